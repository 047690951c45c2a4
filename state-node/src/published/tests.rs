//! Publishers that fall silent, rivals, sweeps and compaction in any order: what a reader takes for whole is what the
//! events say. A failure prints its seed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use xp_protocol::snapshots::{Body, Head};
use xp_protocol::{Address, Offset, TimeMs};
use xp_transport::{Record, Stored};

use super::publisher::gone;
use super::restorer::{epoch, word};
use super::{Damaged, Publisher, Restored, Restorer, Standing, Survey};

const ENTITIES: u64 = 12;
const PIECE_BYTES: usize = 64;

fn address(n: u64) -> Address {
    Address::new("thing", &n.to_string()).unwrap()
}

/// An entity as the event at `offset` left it; some are larger than a piece.
fn body(n: u64, offset: u64) -> Body {
    let size = if n.is_multiple_of(3) { 200 } else { 10 };
    let mut record = offset.to_le_bytes().to_vec();
    record.resize(8 + size, u8::try_from(offset % 251).unwrap());
    Body {
        record: record.into(),
        pending: n.is_multiple_of(2).then(|| Bytes::from_static(b"waits")),
    }
}

/// What happened: the entity, and whether it was removed.
#[derive(Default)]
struct Events(Vec<(u64, bool)>);

impl Events {
    fn at(&self, n: u64, as_of: Offset) -> Option<Body> {
        let seen = &self.0[..=usize::try_from(as_of.0).unwrap()];
        let (offset, (_, removed)) = seen.iter().enumerate().rfind(|(_, (of, _))| *of == n)?;
        (!removed).then(|| body(n, offset as u64))
    }

    fn end(&self) -> Option<Offset> {
        self.0.len().checked_sub(1).map(|last| Offset(last as u64))
    }
}

#[derive(Default)]
struct Topic {
    records: Vec<Stored>,
    next: u64,
}

impl Topic {
    fn append(&mut self, record: Record) -> Offset {
        let offset = Offset(self.next);
        self.next += 1;
        self.records.push(Stored {
            offset,
            time: TimeMs(0),
            record,
        });
        offset
    }

    /// As brokers do: of the first records some that have a newer one are removed; and tombstones, when nobody reads.
    fn compact(&mut self, random: &mut ChaCha8Rng, is_read: bool) {
        let upto = random.random_range(0..=self.records.len());
        let mut newest = BTreeMap::new();
        for stored in &self.records[..upto] {
            newest.insert(stored.record.key.clone(), stored.offset);
        }
        let spares = random.random_bool(0.3);
        let end = self.records.get(upto).map_or(self.next, |s| s.offset.0);
        self.records.retain(|stored| {
            let is_old = newest
                .get(&stored.record.key)
                .is_some_and(|n| *n > stored.offset);
            let is_tombstone =
                stored.record.value.is_empty() && stored.offset.0 < end && !is_read && !spares;
            (!is_old || (spares && random.random_bool(0.5))) && !is_tombstone
        });
    }
}

enum Step {
    Scan(u64),
    Take,
    Entity(u64),
    Head(Offset),
    Bury,
    Sweep,
}

/// A node that follows the events and publishes what it has stored.
#[derive(Default)]
struct Node {
    stored: Option<Offset>,
    dirty: BTreeSet<u64>,
    publisher: Option<Publisher>,
    steps: Vec<Step>,
}

impl Node {
    fn save(&mut self, events: &Events) {
        let from = self.stored.map_or(0, |stored| stored.0 + 1);
        let changed = events.0.iter().skip(usize::try_from(from).unwrap());
        self.dirty.extend(changed.map(|(n, _)| *n));
        self.stored = events.end();
    }

    /// All that changed so far, and how far that is.
    fn take(&mut self, is_first: bool) {
        let Some(position) = self.stored else { return };
        let changed = std::mem::take(&mut self.dirty).into_iter();
        let mut steps: Vec<_> = changed.map(Step::Entity).collect();
        steps.extend([Step::Head(position), Step::Bury]);
        if is_first {
            steps.push(Step::Sweep);
        }
        self.steps = steps.into_iter().rev().collect();
    }

    /// One step; who dies in the middle of it leaves some of its last append behind.
    fn publish(&mut self, events: &Events, topic: &mut Topic, dies: Option<&mut ChaCha8Rng>) {
        let Some(stored) = self.stored else { return };
        if self.publisher.is_none() {
            let epoch = topic.append(gone(Bytes::from_static(b"mark")));
            self.publisher = Some(Publisher::new(epoch, PIECE_BYTES));
            self.dirty.clear();
            let scan = (0..ENTITIES).map(Step::Scan).rev();
            self.steps = [Step::Take].into_iter().chain(scan).collect();
            return;
        }
        let Some(step) = self.steps.pop() else {
            if !self.dirty.is_empty() {
                self.take(false);
            }
            return;
        };
        if let Step::Take = step {
            return self.take(true);
        }
        let publisher = self.publisher.as_mut().unwrap();
        let mut appends = match step {
            Step::Scan(n) if events.at(n, stored).is_none() => Vec::new(),
            Step::Scan(n) | Step::Entity(n) => {
                let body = events.at(n, stored);
                let written = publisher.entity(&address(n), body.as_ref(), stored);
                vec![written.pieces, vec![written.entity], written.gone]
            }
            Step::Head(position) => vec![vec![publisher.head(fold(position), position)]],
            Step::Take => unreachable!("it is handled above"),
            Step::Bury => vec![publisher.tombstones()],
            Step::Sweep => vec![older(topic, publisher.epoch())],
        };
        if let Some(random) = dies {
            *self = Self::default();
            appends.truncate(random.random_range(0..=appends.len()));
            if let Some(last) = appends.last_mut() {
                last.retain(|_| random.random_bool(0.5));
            }
        }
        for record in appends.into_iter().flatten() {
            topic.append(record);
        }
    }
}

fn older(topic: &Topic, than: Offset) -> Vec<Record> {
    let older = topic.records.iter().filter(|stored| {
        let of = word(stored).ok().and_then(|word| epoch(&word));
        of.is_some_and(|of| of < than)
    });
    older
        .map(|stored| gone(stored.record.key.clone()))
        .collect()
}

fn fold(position: Offset) -> Bytes {
    Bytes::from(format!("fold at {position}"))
}

/// A reader that reads on while others write.
struct Reading {
    at: u64,
    restorer: Restorer,
    store: BTreeMap<Address, Body>,
}

fn best(topic: &Topic) -> Option<Head> {
    let mut survey = Survey::default();
    for stored in &topic.records {
        survey.take(&word(stored).unwrap());
    }
    survey.best().cloned()
}

impl Reading {
    fn begin(topic: &Topic) -> Option<Self> {
        let head = best(topic)?;
        Some(Self {
            at: 0,
            restorer: Restorer::new(head.epoch, 1 << 20),
            store: BTreeMap::new(),
        })
    }

    fn read(&mut self, topic: &Topic, count: usize) {
        let from = self.at;
        let unread = topic.records.iter().filter(|s| s.offset.0 >= from);
        for stored in unread.take(count) {
            self.at = stored.offset.0 + 1;
            match self.restorer.take(stored).unwrap() {
                Some((address, Some(body))) => drop(self.store.insert(address, body)),
                Some((address, None)) => drop(self.store.remove(&address)),
                None => {}
            }
        }
    }

    fn check(&self, events: &Events) -> Option<Restored> {
        let Standing::Whole(restored) = self.restorer.standing() else {
            return None;
        };
        assert_eq!(restored.fold, fold(restored.position));
        let ahead: BTreeMap<_, _> = restored.ahead.iter().cloned().collect();
        for n in 0..ENTITIES {
            let as_of = ahead.get(&address(n)).copied();
            let as_of = as_of.unwrap_or(restored.position);
            let expected = events.at(n, as_of);
            assert_eq!(
                self.store.get(&address(n)),
                expected.as_ref(),
                "{n} {:?} {restored:?} {:?}",
                self.restorer,
                events.0
            );
        }
        Some(restored)
    }
}

fn live(seed: u64) -> [usize; 2] {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut events, mut topic) = (Events::default(), Topic::default());
    let mut nodes = [Node::default(), Node::default(), Node::default()];
    let mut reading = None;
    let mut wholes = 0;
    for _ in 0..600 {
        let node = &mut nodes[random.random_range(0..3)];
        match random.random_range(0..100) {
            0..25 => {
                let removed = random.random_bool(0.2);
                events.0.push((random.random_range(0..ENTITIES), removed));
            }
            25..40 => node.save(&events),
            40..90 => {
                let dies = random.random_bool(0.02).then_some(&mut random);
                node.publish(&events, &mut topic, dies);
            }
            90..94 => topic.compact(&mut random, reading.is_some()),
            94..96 => reading = Reading::begin(&topic),
            _ => {
                if let Some(reading) = &mut reading {
                    reading.read(&topic, random.random_range(0..40));
                    wholes += usize::from(reading.check(&events).is_some());
                }
            }
        }
    }
    topic.compact(&mut random, false);
    let Some(head) = best(&topic) else {
        return [wholes, 0];
    };
    let mut last = Reading::begin(&topic).unwrap();
    last.read(&topic, usize::MAX);
    let restored = last.check(&events);
    let restored = restored.unwrap_or_else(|| panic!("{:?}", last.restorer.standing()));
    assert_eq!(restored.position, head.position);
    [wholes, usize::from(!restored.ahead.is_empty())]
}

#[test]
fn what_is_whole_is_what_the_events_say() {
    let mut seen = [0, 0];
    for seed in 0..300 {
        let outcome = std::panic::catch_unwind(|| live(seed));
        let counts = outcome.unwrap_or_else(|_| panic!("seed {seed} fails"));
        seen = [seen[0] + counts[0], seen[1] + counts[1]];
    }
    let [midway, ahead] = seen;
    assert!(
        midway > 100,
        "{midway} readings were whole while others wrote"
    );
    assert!(ahead > 30, "{ahead} heads had entities ahead of them");
}

/// One epoch with a head, and the reading of it.
fn published() -> (Events, Topic) {
    let (mut events, mut topic) = (Events::default(), Topic::default());
    for n in 0..6 {
        events.0.push((n, false));
    }
    let mut node = Node::default();
    node.save(&events);
    for _ in 0..30 {
        node.publish(&events, &mut topic, None);
    }
    (events, topic)
}

fn read(topic: &Topic) -> Result<Standing, Damaged> {
    let mut restorer = Restorer::new(best(topic).unwrap().epoch, 1 << 20);
    for stored in &topic.records {
        restorer.take(stored)?;
    }
    Ok(restorer.standing())
}

#[test]
fn a_record_that_is_missing_shows() {
    let (_, topic) = published();
    assert!(matches!(read(&topic), Ok(Standing::Whole(_))));
    for missing in 0..topic.records.len() {
        let mut records = topic.records.clone();
        let taken = records.remove(missing).record;
        let is_newest = records[missing..].iter().all(|s| s.record.key != taken.key);
        let torn = Topic { records, next: 99 };
        if best(&torn).is_some() && is_newest && !taken.value.is_empty() {
            let standing = read(&torn).unwrap();
            assert!(matches!(standing, Standing::Unfinished(_)), "{standing:?}");
        }
    }
}

#[test]
fn a_damaged_value_is_named_by_its_offset() {
    let (_, topic) = published();
    let mut found = 0;
    for at in 0..topic.records.len() {
        let mut records = topic.records.clone();
        let mut value = records[at].record.value.to_vec();
        let Some(byte) = value.last_mut() else {
            continue;
        };
        *byte ^= 1;
        records[at].record.value = value.into();
        // A piece is judged with its entity.
        let error = read(&Topic { records, next: 99 }).unwrap_err();
        assert!(error.to_string().contains("fails its checksum"), "{error}");
        found += 1;
    }
    assert!(found > 6, "{found}");
}

#[test]
fn pieces_without_an_entity_are_bounded() {
    let (_, topic) = published();
    let mut restorer = Restorer::new(best(&topic).unwrap().epoch, 100);
    let refused = topic.records.iter().find_map(|s| restorer.take(s).err());
    assert!(matches!(
        refused,
        Some(Damaged::Pieces { bytes_max: 100, .. })
    ));
}

#[test]
fn a_word_of_another_version_is_refused() {
    let (_, mut topic) = published();
    let mut header = topic.records[1].record.header.to_vec();
    header[0] = 99;
    topic.records[1].record.header = header.into();
    let refused = word(&topic.records[1]).unwrap_err().to_string();
    assert!(refused.contains("version 99"), "{refused}");
}
