//! Domain code that does not return (R47), and clocks that are set (R48).

use std::time::Duration;

use xp_protocol::{Address, LanePartition};
use xp_state_node::PartitionState;

use crate::edge::Client;
use crate::ledger::HANG;
use crate::world::{World, add};

/// Long enough for a busy machine; no test waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

async fn until(what: &str, holds: impl Fn() -> bool) {
    let held = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, held).await;
    assert!(waited.is_ok(), "in vain: {what}");
}

fn partition(address: &str) -> LanePartition {
    let address: Address = address.parse().unwrap();
    LanePartition {
        lane: "main".into(),
        partition: address.partition(4),
    }
}

/// R47: it stops its partition and nobody else; the node says which message it was, and ends when it is told to.
#[tokio::test]
async fn domain_code_that_does_not_return_stops_its_partition_alone() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    let others = (2..).map(|number| format!("ledger/{number}"));
    let mut elsewhere = others.filter(|other| partition(other) != partition("ledger/1"));
    let mut ben = Client::new(&elsewhere.next().unwrap(), 2);
    for client in [&ana, &ben] {
        edge.connect(client, None).await;
        edge.welcome(client).await;
    }
    edge.send(&mut ana, r#"{"type":"Hang"}"#).await;
    let node = world.node.take().unwrap();
    let stopped = |state: &PartitionState| matches!(state, PartitionState::Stopped(Some(reason)) if reason.contains("for ledger/1"));
    until("the watchdog names the entity", || {
        node.states()
            .get(&partition("ledger/1"))
            .is_some_and(stopped)
    })
    .await;
    assert!(!node.is_ready());
    let problems = node.observer().problems();
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("for ledger/1")),
        "{problems:?}"
    );
    assert_eq!(edge.ask(&mut ben, &add("b")).await, "1");
    let stopped = tokio::time::timeout(PATIENCE, node.stop()).await;
    assert_eq!(stopped.unwrap(), Ok(()));
    HANG.release();
}

/// R13, R48: the lease is measured by a time that nobody can set.
#[tokio::test]
async fn a_clock_that_is_set_back_costs_no_lease() {
    let world = World::new().await;
    let node = world.node.as_ref().unwrap();
    until("it has its lease", || node.has_lease()).await;
    world.clock.set(-600_000);
    until("it has its lease again", || node.has_lease()).await;
}
