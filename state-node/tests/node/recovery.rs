//! Snapshots that are lost, damaged or of another history; entities that come and go.

use std::time::Duration;

use uuid::Uuid;
use xp_domain_sdk::Domain;
use xp_protocol::inbound::ClientAction;
use xp_protocol::{DialAttempt, Incarnation};
use xp_settings::Span;
use xp_state_node::Config;

use crate::edge::Client;
use crate::ledger::Ledger;
use crate::world::{World, add, bounded, open};

fn snapshots(world: &World) -> std::path::PathBuf {
    world.dir.path().join("snapshots")
}

/// The snapshots of a node that has stopped. A task of it that ends on its own, such as a publisher, may hold them a
/// moment longer.
async fn disk(world: &World) -> sled::Db {
    let opened = async {
        loop {
            if let Ok(db) = sled::open(snapshots(world)) {
                return db;
            }
            tokio::task::yield_now().await;
        }
    };
    let opened = tokio::time::timeout(Duration::from_secs(10), opened).await;
    opened.expect("nobody holds the snapshots of a node that has stopped")
}

/// Two entities with a snapshot, and the node stopped.
async fn stored() -> (World, Client) {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    for entry in ["a", "b"] {
        edge.ask(&mut ana, &add(entry)).await;
    }
    world.node.take().unwrap().stop().await.unwrap();
    (world, ana)
}

async fn shows_everything(world: &mut World, ana: &Client) {
    world.reopen().await;
    let mut edge = world.edge().await;
    let again = Client {
        attempt: DialAttempt(ana.attempt.0 + 1),
        ..ana.clone()
    };
    edge.connect(&again, None).await;
    let (_, n, shown) = edge.welcome(&again).await;
    assert!(shown.contains(r#""entries":["a","b"]"#), "{shown}");
    assert_eq!(n, 2);
}

#[tokio::test]
async fn without_its_snapshots_a_node_replays_the_log() {
    let (mut world, ana) = stored().await;
    std::fs::remove_dir_all(snapshots(&world)).unwrap();
    shows_everything(&mut world, &ana).await;
    let (replayed, total) = world.node.as_ref().unwrap().progress().get();
    assert!(replayed >= 4 && total >= 4, "{replayed} of {total}");
}

#[tokio::test]
async fn damaged_snapshots_are_replaced_by_the_log() {
    for kind in [b'h', b'e', b'p'] {
        let (mut world, ana) = stored().await;
        let db = disk(&world).await;
        for name in db.tree_names() {
            let tree = db.open_tree(&name).unwrap();
            for key in tree.iter().keys().map(Result::unwrap) {
                if key.first() == Some(&kind) {
                    tree.insert(key, &b"damaged"[..]).unwrap();
                }
            }
        }
        drop(db);
        shows_everything(&mut world, &ana).await;
    }
}

/// R35: what another boot of the machine left is verified before it is used.
#[tokio::test]
async fn snapshots_of_another_boot_are_verified_at_once() {
    let (mut world, ana) = stored().await;
    let db = disk(&world).await;
    db.insert("boot", "another").unwrap();
    for name in db.tree_names() {
        let tree = db.open_tree(&name).unwrap();
        for key in tree.scan_prefix("e").keys().map(Result::unwrap) {
            tree.insert(key, &b"damaged"[..]).unwrap();
        }
    }
    drop(db);
    shows_everything(&mut world, &ana).await;
}

#[tokio::test]
async fn a_directory_that_sled_cannot_read_is_thrown_away() {
    for file in ["db", "conf"] {
        let (mut world, ana) = stored().await;
        let path = snapshots(&world).join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte ^= u8::try_from(at % 251).unwrap();
        }
        std::fs::write(&path, bytes).unwrap();
        shows_everything(&mut world, &ana).await;
        let (replayed, _) = world.node.as_ref().unwrap().progress().get();
        assert!(replayed >= 4, "{file}: {replayed}");
    }
}

/// R35: a log that ends before its snapshot has lost what was committed.
#[tokio::test]
async fn a_log_that_is_shorter_than_its_snapshots_stops_loudly() {
    let (mut world, _) = stored().await;
    world.log.close();
    std::fs::remove_dir_all(world.dir.path().join("log")).unwrap();
    world.log = open(world.dir.path());
    let mut config = Config::named("node");
    config.snapshots = Some(snapshots(&world));
    let domain = Domain::new().host::<Ledger>().registry().clone();
    let incarnation = Incarnation(Uuid::from_u128(99));
    let (lanes, clock) = (world.lanes.clone(), world.clock.clone());
    let node = xp_state_node::start(config, lanes, domain, world.log(), clock, incarnation).await;
    let reason = node.unwrap().ready().await.unwrap_err();
    assert!(
        reason.contains("main/") && reason.contains("offset"),
        "{reason}"
    );
}

#[tokio::test]
async fn idle_entities_leave_memory_and_come_back() {
    let limits = bounded(|limits| {
        limits.residents.passivate = Span::from_millis(1000);
        limits.residents.min = 0;
        limits.sessions.grace = Span::from_millis(100);
        limits.sessions.memory = Span::from_millis(100);
    });
    let mut world = World::with(limits).await;
    let mut edge = world.edge().await;
    for name in 0..20 {
        let mut client = Client::new(&format!("ledger/{name}"), name);
        edge.connect(&client, None).await;
        edge.welcome(&client).await;
        assert_eq!(edge.ask(&mut client, &add("a")).await, "1");
        edge.say(&client, ClientAction::Disconnect { left: true }, "")
            .await;
    }
    let node = world.node.as_ref().unwrap();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while node.resident() > 0 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} entities stay in memory",
            node.resident()
        );
        world.clock.advance(500);
        tokio::task::yield_now().await;
    }
    let mut client = Client::new("ledger/7", 99);
    edge.connect(&client, None).await;
    edge.welcome(&client).await;
    assert_eq!(edge.ask(&mut client, &add("b")).await, "2");
}
