//! One machine whose log forgets: what it deletes is published (R36), its disk stays small, and no crash loses what was
//! answered.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use xp_protocol::Offset;
use xp_settings::Span;
use xp_state_node::Handle;
use xp_transport::embedded::{Compaction, Config as LogConfig, Embedded, Retention, TopicConfig};

use super::{PATIENCE, Site, again, connected};
use crate::edge::{Client, Edge};
use crate::world::add;

const SEGMENT_BYTES: u64 = 16 << 10;
const EVENTS_BYTES: u64 = 48 << 10;
const ENTRY: &str = "what happened then";
const CLIENTS: u128 = 4;

fn open(dir: &TempDir) -> Embedded {
    let small = |name| TopicConfig {
        segment_bytes: SEGMENT_BYTES,
        ..TopicConfig::durable(name, 1)
    };
    let kept = Retention {
        bytes: Some(EVENTS_BYTES),
        age_ms: None,
    };
    let compaction = Compaction {
        tombstones_ms: 1_000,
    };
    let topics = vec![
        TopicConfig::durable("cluster", 1),
        small("main.events").keeping(kept).once_released(),
        TopicConfig::memory("main.inbound", 1, 16 << 20),
        TopicConfig::memory("main.outbound", 1, 16 << 20),
        small("main.snapshots").compacted(compaction),
    ];
    Embedded::open(dir.path().join("log"), LogConfig { topics }).unwrap()
}

/// A machine with one process, which dies now and then.
struct Machine {
    disk: TempDir,
    log: Embedded,
    site: Site,
    node: Option<Handle>,
}

impl Machine {
    async fn new() -> Self {
        let disk = tempfile::tempdir().unwrap();
        let log = open(&disk);
        let mut site = Site::new(Arc::new(log.clone()));
        let node = Some(site.start("node").await);
        Self {
            disk,
            log,
            site,
            node,
        }
    }

    async fn kill(&mut self) {
        self.node.take().unwrap().kill().await;
        self.log.close();
    }

    async fn start(&mut self) {
        self.log = open(&self.disk);
        self.site.log = Arc::new(self.log.clone());
        let node = self.site.start("node").await;
        node.ready().await.unwrap();
        self.node = Some(node);
    }

    fn bytes(&self, topic: &str) -> u64 {
        bytes(&self.disk.path().join("log").join(topic))
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn(&Self) -> bool) {
        let waiting = async {
            while !is_so(self).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        let (events, snapshots) = (self.bytes("main.events"), self.bytes("main.snapshots"));
        assert!(waited.is_ok(), "{what}; {events} and {snapshots} bytes");
    }

    /// What is kept, the segments that are not full or not whole, and their indexes; what is published, once before and
    /// once after a compaction and once by the epoch before.
    async fn is_small(&self, clients: &[Client]) {
        let entry = ENTRY.len() as u64 + 80;
        let state: u64 = clients.iter().map(|client| client.n * entry).sum();
        let events = EVENTS_BYTES + 4 * SEGMENT_BYTES;
        let snapshots = 6 * state + 8 * SEGMENT_BYTES;
        self.until("the disk fills up", async |machine| {
            machine.bytes("main.events") <= events && machine.bytes("main.snapshots") <= snapshots
        })
        .await;
    }
}

fn bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).unwrap();
    files
        .map(|file| file.unwrap().metadata().map_or(0, |data| data.len()))
        .sum()
}

/// Every answer says how many entries there are: as many as commands were answered, or some is lost or doubled.
async fn fill(edge: &mut Edge, clients: &mut [Client], commands: usize) {
    for _ in 0..commands {
        for client in clients.iter_mut() {
            let answer = edge.ask(client, &add(ENTRY)).await;
            assert_eq!(answer, client.n.to_string());
        }
    }
}

/// R36, R49: whatever the moment of its death, it goes on from what it has published and the rest of its log.
#[tokio::test]
async fn a_machine_that_dies_again_and_again_stays_small_and_loses_nothing() {
    let seed: u64 = std::env::var("XP_SEED").map_or(5, |seed| seed.parse().unwrap());
    eprintln!("XP_SEED={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut machine = Machine::new().await;
    machine.node.as_ref().unwrap().ready().await.unwrap();
    let mut edge = machine.site.edge().await;
    let mut clients = connected(&mut edge, CLIENTS).await;
    let mut brief = Client::new("ledger/brief", 99);
    edge.connect(&brief, None).await;
    edge.welcome(&brief).await;
    assert_eq!(edge.ask(&mut brief, &add(ENTRY)).await, "1");
    edge.send(&mut brief, r#"{"type":"End"}"#).await;
    let mut begins = Offset(0);
    for round in 0..8 {
        fill(&mut edge, &mut clients, random.random_range(20..60)).await;
        if random.random_bool(0.6) {
            machine.is_small(&clients).await;
        }
        let first = machine.site.first_event().await;
        assert!(first >= begins, "round {round}");
        begins = first;
        machine.kill().await;
        if random.random_bool(0.3) {
            // The disk's part that is a cache of the log.
            std::fs::remove_dir_all(machine.site.dir.path().join("node")).unwrap();
        }
        machine.start().await;
        edge = again(&mut machine.site, &mut clients).await;
    }
    fill(&mut edge, &mut clients, 30).await;
    machine.is_small(&clients).await;
    assert!(machine.site.first_event().await > Offset(500));

    // Nothing but the log is left.
    machine.kill().await;
    std::fs::remove_dir_all(machine.site.dir.path().join("node")).unwrap();
    machine.start().await;
    let mut edge = again(&mut machine.site, &mut clients).await;
    fill(&mut edge, &mut clients, 1).await;
    // What has ended stays so: somebody else begins it anew.
    let late = Client::new("ledger/brief", 100);
    edge.connect(&late, None).await;
    let (_, n, shown) = edge.welcome(&late).await;
    assert_eq!(n, 0);
    assert!(!shown.contains(ENTRY), "{shown}");
    machine.kill().await;
}

/// R36: nothing goes that is not published, however large the log grows.
#[tokio::test]
async fn what_is_not_published_is_not_deleted() {
    let mut machine = Machine::new().await;
    machine.kill().await;
    machine.site.pace.settle = Span::from_secs(3_600);
    machine.start().await;
    let mut edge = machine.site.edge().await;
    let mut clients = connected(&mut edge, CLIENTS).await;
    while machine.bytes("main.events") < 3 * EVENTS_BYTES {
        fill(&mut edge, &mut clients, 10).await;
    }
    assert_eq!(machine.site.first_event().await, Offset(0));
    machine.kill().await;
    machine.site.pace.settle = Span::from_millis(0);
    machine.start().await;
    let mut edge = again(&mut machine.site, &mut clients).await;
    fill(&mut edge, &mut clients, 1).await;
    machine.is_small(&clients).await;
    assert!(machine.site.first_event().await > Offset(0));
    machine.kill().await;
}
