use std::collections::BTreeMap;

use bytes::Bytes;
use xp_protocol::{Address, PartitionId, TimeMs, codec};
use xp_settings::{Size, Span};
use xp_transport::simulated::{Faults, LeaderFaults, Simulated};

use super::*;
use crate::fold::{Effects, Fold};
use crate::published::pages::{Page, Taken};
use crate::published::{Outcome, RestoreError, Restoring};
use crate::snapshot::{Ahead, sealed};
use crate::store::{Batch, MemoryStore};

const TOPIC: &str = "main.snapshots";

struct Stage {
    log: Simulated,
    pace: Arc<Pace>,
}

/// A node's store, and its publisher.
struct Node {
    publishing: Publishing,
    turn: watch::Sender<bool>,
    running: tokio::task::JoinHandle<()>,
}

type Content = BTreeMap<Address, (Bytes, Option<Bytes>)>;

fn address(n: u64) -> Address {
    Address::new("thing", &n.to_string()).unwrap()
}

fn at() -> TopicPartition {
    TopicPartition {
        topic: TOPIC.into(),
        partition: PartitionId(0),
    }
}

fn events() -> TopicPartition {
    TopicPartition {
        topic: "main.events".into(),
        partition: PartitionId(0),
    }
}

/// Records that say of which moment they are; every third is larger than a piece.
fn value(n: u64, position: u64) -> Bytes {
    let size = if n.is_multiple_of(3) { 3_000 } else { 30 };
    let mut value = position.to_le_bytes().to_vec();
    value.resize(size, u8::try_from(n % 200).unwrap());
    sealed(&value)
}

fn header(position: u64) -> Bytes {
    sealed(&codec::encode(&Fold {
        last_valid: Some(Offset(position)),
        ..Fold::default()
    }))
}

impl Stage {
    fn new(faults: Faults, seed: u64) -> Self {
        let pace = Pace {
            piece_bytes_max: Size(1_000),
            page_entities: 4,
            settle: Span::from_millis(1_000),
            interval: Span::from_millis(500),
            again_max: Span::from_millis(4_000),
            read: Span::from_secs(10),
            ..Pace::default()
        };
        Self {
            log: Simulated::with_faults(&[(TOPIC, 1)], TimeMs(0), seed, faults),
            pace: Arc::new(pace),
        }
    }

    fn node(&self, mine: bool) -> Node {
        let publishing = Publishing {
            log: Arc::new(self.log.clone()),
            at: at(),
            events: events(),
            store: Arc::new(MemoryStore::default()),
            changes: Arc::default(),
            pace: Arc::clone(&self.pace),
        };
        let (turn, is_mine) = watch::channel(mine);
        Node {
            running: tokio::spawn(publishing.clone().run(is_mine)),
            publishing,
            turn,
        }
    }

    async fn restored(&self) -> Result<(Arc<MemoryStore>, Outcome), RestoreError> {
        let store = Arc::new(MemoryStore::default());
        let restoring = Restoring {
            log: Arc::new(self.log.clone()),
            at: at(),
            store: Arc::clone(&store) as Arc<dyn SnapshotStore>,
            pace: Arc::clone(&self.pace),
        };
        let outcome = restoring.run(None).await?;
        Ok((store, outcome))
    }

    /// Reads again until a snapshot of that position is there; on a bad day a reading may fail.
    async fn until(&self, position: u64) -> Arc<MemoryStore> {
        let mut said = None;
        for _ in 0..300 {
            match self.restored().await {
                Ok((store, outcome)) if outcome == Outcome::Restored(Offset(position)) => {
                    return store;
                }
                other => said = Some(other.map(|(_, outcome)| outcome)),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("no snapshot of {position} was published, but {said:?}");
    }

    /// Every record there is.
    async fn records(&self) -> Vec<xp_transport::Stored> {
        let upto = self.log.bounds(&at()).await.unwrap().next;
        let mut reader = self.log.read(&at(), Offset(0));
        let mut found: Vec<xp_transport::Stored> = Vec::new();
        while found.len() < usize::try_from(upto.0).unwrap() {
            found.extend(reader.next().await.unwrap());
        }
        found
    }
}

impl Node {
    /// As a partition saves.
    async fn save(&self, position: u64, changed: &[u64], removed: &[u64]) {
        let mut batch = Batch {
            header: header(position),
            ..Batch::default()
        };
        for n in changed {
            batch
                .entities
                .push((address(*n), Some(value(*n, position))));
            let waits = (*n % 2 == 0).then(|| header(*n));
            batch.pending.push((address(*n), waits));
        }
        for n in removed {
            batch.entities.push((address(*n), None));
            batch.pending.push((address(*n), None));
        }
        let mut changes = self.publishing.changes.lock().await;
        let addresses: Vec<_> = batch.entities.iter().map(|(a, _)| a.clone()).collect();
        self.publishing.store.write(batch).unwrap();
        changes.note(&addresses);
    }

    fn content(&self) -> Content {
        content(self.publishing.store.as_ref())
    }
}

fn content(store: &dyn SnapshotStore) -> Content {
    let all = store.addresses(None, usize::MAX).unwrap().into_iter();
    let record = |a: Address| {
        let record = store.entity(&a).unwrap().unwrap();
        let pending = store.pending_of(&a).unwrap();
        (a, (record, pending))
    };
    all.map(record).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_published_fills_an_empty_store() {
    let stage = Stage::new(Faults::none(), 0);
    let node = stage.node(true);
    node.save(10, &(0..30).collect::<Vec<_>>(), &[]).await;
    let store = stage.until(10).await;
    assert_eq!(content(store.as_ref()), node.content());
    assert_eq!(store.header().unwrap(), Some(header(10)));
    assert_eq!(store.ahead().unwrap(), None);

    node.save(20, &[1, 3, 99], &[2, 6]).await;
    let store = stage.until(20).await;
    assert_eq!(content(store.as_ref()), node.content());
    assert_eq!(content(store.as_ref()).len(), 29);
}

/// R36: `events` may not begin anywhere before somebody can have the snapshot, nor behind what may not have gone out.
#[test]
fn a_head_covers_events_once_it_is_acknowledged() {
    let fold = |unsent: &[u64]| {
        sealed(&codec::encode(&Fold {
            last_valid: Some(Offset(10)),
            effects: Effects::new(
                Offset(0),
                unsent.iter().copied().map(Offset).collect::<Vec<_>>(),
            ),
            ..Fold::default()
        }))
    };
    for (fold, covered) in [
        (fold(&[]), 11),
        (fold(&[7, 9]), 7),
        (Bytes::from_static(b"?"), 0),
    ] {
        let mut writing = Writing::new(Offset(0), Offset(0), &Pace::default());
        let empty = Page {
            as_of: Offset(10),
            entities: Vec::new(),
        };
        assert!(matches!(writing.step(), Step::Page(None)));
        writing.page(empty);
        assert!(matches!(writing.step(), Step::Read { .. }));
        writing.read(&[]).unwrap();
        assert!(matches!(writing.step(), Step::Take));
        writing.taken(Taken {
            changed: Vec::new(),
            fold,
            position: Offset(10),
        });
        let Step::Append(head) = writing.step() else {
            panic!("the head is appended")
        };
        assert_eq!((head.len(), writing.covered()), (1, None));
        writing.appended(&[Offset(1)]);
        writing.step();
        assert_eq!(writing.covered(), Some(Offset(covered)));
    }
}

/// Whoever restored a snapshot has entities that have seen more than its header. What says so is not published, so they
/// would see again what they have seen.
#[tokio::test(start_paused = true)]
async fn what_was_restored_is_published_once_its_header_has_caught_up() {
    let stage = Stage::new(Faults::none(), 0);
    let node = stage.node(true);
    let ahead = Ahead([(address(1), Offset(15))].into());
    let restored = Batch {
        header: header(10),
        entities: vec![(address(1), Some(value(1, 15)))],
        ahead: Some(sealed(&codec::encode(&ahead))),
        ..Batch::default()
    };
    node.publishing.store.write(restored).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stage.restored().await.unwrap().1, Outcome::Nothing);
    node.save(20, &[2], &[]).await;
    let store = stage.until(20).await;
    assert_eq!(content(store.as_ref()), node.content());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_published_by_who_mirrors_for_a_moment() {
    let stage = Stage::new(Faults::none(), 0);
    let node = stage.node(true);
    node.save(10, &[1], &[]).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    node.turn.send_replace(false);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stage.restored().await.unwrap().1, Outcome::Nothing);
    node.turn.send_replace(true);
    stage.until(10).await;
    drop(node.turn);
    node.running.await.unwrap();
}

/// What the earlier one wrote is behind, and what it left is removed.
#[tokio::test(start_paused = true)]
async fn a_later_publisher_counts_and_removes_what_the_earlier_one_left() {
    let stage = Stage::new(Faults::none(), 0);
    let first = stage.node(true);
    first.save(10, &(0..10).collect::<Vec<_>>(), &[]).await;
    stage.until(10).await;
    first.turn.send_replace(false);
    let second = stage.node(true);
    second.save(12, &(5..20).collect::<Vec<_>>(), &[]).await;
    let store = stage.until(12).await;
    assert_eq!(content(store.as_ref()), second.content());

    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut newest = BTreeMap::new();
    for stored in stage.records().await {
        newest.insert(stored.record.key.clone(), stored.record);
    }
    let left = newest.values().filter(|record| !record.value.is_empty());
    // The head, an entity each, and three pieces for every third of them.
    assert_eq!(left.count(), 1 + 15 + 3 * 5);
}

#[tokio::test(start_paused = true)]
async fn of_two_publishers_one_goes_on() {
    let stage = Stage::new(Faults::none(), 0);
    let (one, other) = (stage.node(true), stage.node(true));
    for position in [10, 20, 30, 40] {
        one.save(position, &[1, 2, 3], &[]).await;
        other.save(position, &[1, 2, 3], &[]).await;
        let store = stage.until(position).await;
        assert_eq!(content(store.as_ref()), one.content());
    }
}

/// What the earlier one has published may have let `events` be deleted.
#[tokio::test(start_paused = true)]
async fn a_later_publisher_that_is_behind_takes_nothing_from_what_is_published() {
    let stage = Stage::new(Faults::none(), 0);
    let first = stage.node(true);
    first.save(20, &(0..10).collect::<Vec<_>>(), &[]).await;
    stage.until(20).await;
    first.turn.send_replace(false);
    let second = stage.node(true);
    second.save(12, &[1, 2], &[]).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (store, outcome) = stage.restored().await.unwrap();
    assert_eq!(outcome, Outcome::Restored(Offset(20)));
    assert_eq!(content(store.as_ref()), first.content());
    second.save(20, &[3, 4], &[1]).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (store, outcome) = stage.restored().await.unwrap();
    assert_eq!(outcome, Outcome::Restored(Offset(20)));
    assert_eq!(content(store.as_ref()), second.content());
}

/// What could not be told apart from lost is published anew under another epoch.
#[tokio::test(start_paused = true)]
async fn failing_appends_delay_a_snapshot_and_do_not_falsify_it() {
    let faults = Faults {
        duplication: 0.0,
        leaders: LeaderFaults::none(),
        ..Faults::rough()
    };
    for seed in 0..10 {
        let stage = Stage::new(faults.clone(), seed);
        let node = stage.node(true);
        for position in [10, 20, 30] {
            node.save(position, &[position % 7, 8, 9], &[position % 3])
                .await;
            let store = stage.until(position).await;
            assert_eq!(content(store.as_ref()), node.content(), "seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn more_changes_than_are_kept_in_mind_are_published_with_all_the_rest() {
    let mut stage = Stage::new(Faults::none(), 0);
    let pace = Pace {
        changes_max: 3,
        ..Pace::clone(&stage.pace)
    };
    stage.pace = Arc::new(pace);
    let node = stage.node(true);
    node.save(10, &(0..30).collect::<Vec<_>>(), &[]).await;
    stage.until(10).await;
    node.save(20, &(0..9).collect::<Vec<_>>(), &[20]).await;
    let store = stage.until(20).await;
    assert_eq!(content(store.as_ref()), node.content());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_ahead_of_what_is_published_stays_as_it_is() {
    let stage = Stage::new(Faults::none(), 0);
    let node = stage.node(true);
    node.save(10, &[1, 2], &[]).await;
    stage.until(10).await;
    let restoring = Restoring {
        log: Arc::new(stage.log.clone()),
        at: at(),
        store: Arc::clone(&node.publishing.store),
        pace: Arc::clone(&stage.pace),
    };
    let before = node.content();
    let outcome = restoring.run(Some(Offset(10))).await.unwrap();
    assert_eq!(outcome, Outcome::Older(Offset(10)));
    assert_eq!(node.content(), before);
    assert_eq!(node.publishing.store.header().unwrap(), Some(header(10)));
}

#[tokio::test(start_paused = true)]
async fn a_published_snapshot_that_is_not_whole_is_refused_with_what_to_do() {
    let stage = Stage::new(Faults::none(), 0);
    let node = stage.node(true);
    node.save(10, &[1, 2], &[]).await;
    stage.until(10).await;
    node.turn.send_replace(false);
    // Somebody removes one entity.
    let records = stage.records().await;
    let entity = records
        .iter()
        .find(|stored| stored.record.key.ends_with(b"thing/1"));
    let key = entity.unwrap().record.key.clone();
    let other = Stage::new(Faults::none(), 0);
    for stored in records
        .into_iter()
        .filter(|stored| stored.record.key != key)
    {
        other
            .log
            .append(&at(), vec![stored.record])
            .await
            .remove(0)
            .unwrap();
    }
    let store = Arc::new(MemoryStore::default());
    let restoring = Restoring {
        log: Arc::new(other.log.clone()),
        at: at(),
        store: Arc::clone(&store) as Arc<dyn SnapshotStore>,
        pace: Arc::clone(&stage.pace),
    };
    let refused = restoring.run(None).await.unwrap_err().to_string();
    assert!(refused.contains("counts 2 entities"), "{refused}");
    assert!(refused.contains("publishes them anew"), "{refused}");
    assert_eq!(store.header().unwrap(), None);
    assert!(content(store.as_ref()).is_empty());
}
