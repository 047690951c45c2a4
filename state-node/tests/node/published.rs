//! Nodes with empty disks: what others published, and the rest of `events`, is all there was (R36).

mod kafka;
mod forgetful;

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use uuid::Uuid;
use xp_domain_sdk::Domain;
use xp_protocol::{Incarnation, LanePartition, Offset, PartitionId};
use xp_settings::{Size, Span};
use xp_state_node::published::{Outcome, Restoring};
use xp_state_node::store::MemoryStore;
use xp_state_node::{Config, Handle, Lane, Lanes, Pace, PartitionState};
use xp_transport::embedded::{Config as LogConfig, Embedded, Retention, TopicConfig};
use xp_transport::{Clock, Log, TopicPartition};

use crate::edge::{Client, Edge};
use crate::ledger::Ledger;
use crate::world::add;

const PATIENCE: Duration = Duration::from_secs(60);

/// A log and the nodes on it.
struct Site {
    dir: TempDir,
    log: Arc<dyn Log>,
    lanes: Lanes,
    clock: Clock,
    starts: u128,
    pace: Pace,
}

fn pace() -> Pace {
    Pace {
        interval: Span::from_millis(50),
        settle: Span::from_millis(0),
        piece_bytes_max: Size::from_kib(4),
        ..Pace::default()
    }
}

impl Site {
    fn new(log: Arc<dyn Log>) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            log,
            lanes: Lanes::default().with(Lane::new("main", 1, 1), ["ledger"]),
            clock: Clock::system(),
            starts: 0,
            pace: pace(),
        }
    }

    /// A node whose disk is as its name left it.
    async fn start(&mut self, name: &str) -> Handle {
        self.starts += 1;
        let mut config = Config::named(name);
        config.snapshots = Some(self.dir.path().join(name));
        config.settings.limits.publishing = self.pace.clone();
        let domain = Domain::new().host::<Ledger>().registry().clone();
        let incarnation = Incarnation(Uuid::from_u128(50_000 + self.starts));
        let (lanes, log) = (self.lanes.clone(), Arc::clone(&self.log));
        let node =
            xp_state_node::start(config, lanes, domain, log, self.clock.clone(), incarnation);
        node.await.unwrap()
    }

    async fn edge(&mut self) -> Edge {
        self.starts += 1;
        Edge::join(&self.log, &self.lanes, &self.clock, self.starts).await
    }

    fn at(&self, topic: &str) -> TopicPartition {
        TopicPartition {
            topic: format!("main.{topic}").into(),
            partition: PartitionId(0),
        }
    }

    async fn first_event(&self) -> Offset {
        let bounds = self.log.bounds(&self.at("events")).await;
        bounds.unwrap().first
    }

    /// Waits until what is published has seen an offset of `events`.
    async fn published(&self, upto: Offset) {
        let restoring = || Restoring {
            log: Arc::clone(&self.log),
            at: self.at("snapshots"),
            store: Arc::new(MemoryStore::default()),
            pace: Arc::new(pace()),
        };
        let published = async {
            loop {
                match restoring().run(None).await.unwrap() {
                    Outcome::Restored(position) if position >= upto => return,
                    _ => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, published).await;
        assert!(waited.is_ok(), "nothing was published up to {upto}");
    }

    /// The last record that is not empty comes again, with another last byte.
    async fn damage(&self) {
        let at = self.at("snapshots");
        let upto = self.log.bounds(&at).await.unwrap().next;
        let mut reader = self.log.read(&at, Offset(0));
        let mut last = None;
        let mut next = Offset(0);
        while next < upto {
            for stored in reader.next().await.unwrap() {
                next = stored.offset.next();
                let has_value = !stored.record.value.is_empty();
                last = Some(stored.record).filter(|_| has_value).or(last);
            }
        }
        let mut record = last.unwrap();
        let mut value = record.value.to_vec();
        *value.last_mut().unwrap() ^= 1;
        record.value = value.into();
        self.log.append(&at, vec![record]).await.remove(0).unwrap();
    }

    async fn last_event(&self) -> Offset {
        let bounds = self.log.bounds(&self.at("events")).await;
        Offset(bounds.unwrap().next.0 - 1)
    }
}

/// Entities with sessions, some small and one larger than a piece.
async fn fill(edge: &mut Edge, clients: &mut [Client], commands: usize) {
    for _ in 0..commands {
        for client in clients.iter_mut() {
            let answer = edge.ask(client, &add(&"x".repeat(500))).await;
            assert_eq!(answer, client.n.to_string());
        }
    }
}

async fn connected(edge: &mut Edge, entities: u128) -> Vec<Client> {
    let mut clients = Vec::new();
    for name in 1..=entities {
        let client = Client::new(&format!("ledger/{name}"), name);
        edge.connect(&client, None).await;
        edge.welcome(&client).await;
        clients.push(client);
    }
    clients
}

/// Through another edge: a busy machine may have silenced the former one meanwhile.
async fn again(site: &mut Site, clients: &mut [Client]) -> Edge {
    let mut edge = site.edge().await;
    for client in clients {
        client.attempt = client.attempt.next();
        edge.connect(client, None).await;
        let (_, n, _) = edge.welcome(client).await;
        assert_eq!(n, client.n);
    }
    edge
}

fn embedded(dir: &TempDir) -> Embedded {
    let events = TopicConfig {
        segment_bytes: 16 << 10,
        ..TopicConfig::durable("main.events", 1)
    };
    let kept = Retention {
        bytes: Some(48 << 10),
        age_ms: None,
    };
    let topics = vec![
        TopicConfig::durable("cluster", 1),
        events.keeping(kept),
        TopicConfig::memory("main.inbound", 1, 16 << 20),
        TopicConfig::memory("main.outbound", 1, 16 << 20),
        TopicConfig::durable("main.snapshots", 1),
    ];
    Embedded::open(dir.path().join("log"), LogConfig { topics }).unwrap()
}

#[tokio::test]
async fn a_node_with_an_empty_disk_joins_after_the_oldest_events_were_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut site = Site::new(Arc::new(embedded(&dir)));
    let old = site.start("old").await;
    old.ready().await.unwrap();
    let mut edge = site.edge().await;
    let mut clients = connected(&mut edge, 5).await;
    fill(&mut edge, &mut clients, 40).await;
    assert!(site.first_event().await > Offset(0));
    site.published(site.last_event().await).await;
    fill(&mut edge, &mut clients, 1).await;
    old.kill().await;

    let new = site.start("new").await;
    new.ready().await.unwrap();
    // Every answer says how many entries there are, and every session knows its numbers.
    fill(&mut edge, &mut clients, 1).await;
    new.stop().await.unwrap();
}

/// Sessions, and what waits, come with the entities: nobody has to connect anew.
#[tokio::test]
async fn a_mirror_with_an_empty_disk_takes_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut site = Site::new(Arc::new(embedded(&dir)));
    let old = site.start("old").await;
    old.ready().await.unwrap();
    let mut edge = site.edge().await;
    let mut clients = connected(&mut edge, 3).await;
    fill(&mut edge, &mut clients, 60).await;
    assert!(site.first_event().await > Offset(0));
    site.published(site.first_event().await).await;
    let new = site.start("new").await;
    new.ready().await.unwrap();
    fill(&mut edge, &mut clients, 2).await;
    old.stop().await.unwrap();
    fill(&mut edge, &mut clients, 2).await;
    new.stop().await.unwrap();
}

#[tokio::test]
async fn a_damaged_published_snapshot_of_a_shortened_log_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let mut site = Site::new(Arc::new(embedded(&dir)));
    let old = site.start("old").await;
    old.ready().await.unwrap();
    let mut edge = site.edge().await;
    let mut clients = connected(&mut edge, 3).await;
    fill(&mut edge, &mut clients, 60).await;
    site.published(site.first_event().await).await;
    old.kill().await;
    site.damage().await;

    let new = site.start("new").await;
    let partition = LanePartition {
        lane: "main".into(),
        partition: PartitionId(0),
    };
    let settled = tokio::time::timeout(PATIENCE, new.settled()).await;
    let states = settled.unwrap();
    let PartitionState::Stopped(Some(reason)) = &states[&partition] else {
        panic!("{states:?}")
    };
    assert!(reason.contains("fails its checksum"), "{reason}");
    assert!(reason.contains("publishes them anew"), "{reason}");
    new.kill().await;

    // The node that has the state publishes it anew, under another epoch.
    let old = site.start("old").await;
    old.ready().await.unwrap();
    let mut edge = again(&mut site, &mut clients).await;
    fill(&mut edge, &mut clients, 1).await;
    site.published(site.last_event().await).await;
    old.kill().await;
    let new = site.start("new").await;
    new.ready().await.unwrap();
    let mut edge = again(&mut site, &mut clients).await;
    fill(&mut edge, &mut clients, 1).await;
    new.stop().await.unwrap();
}
