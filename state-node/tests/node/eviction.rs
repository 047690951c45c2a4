//! Two processes of one name on one log, and processes whose log is away.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use xp_cluster::lease::LEASE_MS;
use xp_domain_sdk::Domain;
use xp_protocol::events::Event;
use xp_protocol::{DialAttempt, Incarnation, Offset, PartitionId, codec};
use xp_settings::Span;
use xp_state_node::{Config, Handle, PartitionState};
use xp_transport::{Log, Stored, TopicPartition};

use crate::edge::Client;
use crate::ledger::Ledger;
use crate::outage::{Held, Outage};
use crate::world::{World, add};

/// Long enough for a busy machine; no test waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

async fn node(world: &World, log: impl Log, name: u128) -> Handle {
    let mut config = Config::named("node");
    config.settings.stop_wait = Span::from_millis(300);
    let domain = Domain::new().host::<Ledger>().registry().clone();
    let (lanes, clock) = (world.lanes.clone(), world.clock.clone());
    let log = Arc::new(log);
    xp_state_node::start(config, lanes, domain, log, clock, incarnation(name))
        .await
        .unwrap()
}

fn incarnation(name: u128) -> Incarnation {
    Incarnation(Uuid::from_u128(5_000 + name))
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// All records of a partition.
async fn records(log: &dyn Log, topic: &str, partition: u32) -> Vec<Stored> {
    let at = TopicPartition {
        topic: topic.into(),
        partition: PartitionId(partition),
    };
    let end = log.bounds(&at).await.unwrap().next;
    let mut reader = log.read(&at, Offset(0));
    let mut found: Vec<Stored> = Vec::new();
    while found.last().map_or(Offset(0), |last| last.offset.next()) < end {
        found.extend(reader.next().await.unwrap());
    }
    found
}

/// Who claimed the partition, one claim after the other, and who appended after the claims.
async fn claims(log: &dyn Log, partition: u32) -> Vec<(Incarnation, Stored)> {
    let records = records(log, "main.events", partition).await;
    let claim = |stored: Stored| match codec::decode::<Event>(&stored.record.header).unwrap() {
        Event::Claim(claim) => Some((claim.incarnation, stored)),
        _ => None,
    };
    records.into_iter().filter_map(claim).collect()
}

#[tokio::test]
async fn a_second_process_of_a_name_takes_over_and_the_first_ends_without_a_duel() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    assert_eq!(edge.ask(&mut ana, &add("a")).await, "1");
    let first = world.node.take().unwrap();
    let second = node(&world, world.log.clone(), 2).await;
    in_time("the first is told", first.evicted()).await;
    in_time("the first ends", first.ended()).await;
    in_time("the second owns all", second.ready())
        .await
        .unwrap();
    ana.attempt = DialAttempt(2);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    assert_eq!(edge.ask(&mut ana, &add("b")).await, "2");
    for partition in 0..4 {
        let claims = claims(&world.log, partition).await;
        let by: Vec<_> = claims.iter().map(|(by, _)| *by).collect();
        assert_eq!(by.last(), Some(&incarnation(2)), "{by:?}");
        let mine = by.iter().position(|by| *by == incarnation(2)).unwrap();
        assert!(by[mine..].iter().all(|by| *by == incarnation(2)), "{by:?}");
    }
    first.kill().await;
    second.stop().await.unwrap();
}

/// R17: what the first still answered within its lease was not stale.
#[tokio::test]
async fn the_claims_of_a_process_that_replaces_a_living_one_wait_a_lease() {
    let mut world = World::new().await;
    let first = world.node.take().unwrap();
    let second = node(&world, world.log.clone(), 2).await;
    in_time("the second owns all", second.ready())
        .await
        .unwrap();
    let joins = records(&world.log, "cluster", 0).await;
    let joined = joins.iter().find(|stored| {
        let header = &stored.record.header;
        matches!(codec::decode(header), Ok(xp_protocol::cluster::Member::Join { incarnation: by, .. }) if by == incarnation(2))
    });
    let joined = joined.unwrap().time;
    for partition in 0..4 {
        let claims = claims(&world.log, partition).await;
        let (_, claim) = claims.iter().find(|(by, _)| *by == incarnation(2)).unwrap();
        assert!(
            claim.time.since_ms(joined) >= LEASE_MS,
            "{}",
            claim.time.since_ms(joined)
        );
    }
    first.kill().await;
    second.kill().await;
}

/// As one that was stopped and goes on: it believes to own what another has claimed.
#[tokio::test]
async fn a_process_that_slept_through_its_eviction_decides_nothing_and_ends() {
    let mut world = World::new().await;
    world.node.take().unwrap().stop().await.unwrap();
    let sleepy = Outage::of(world.log());
    let first = node(&world, sleepy.clone(), 1).await;
    first.ready().await.unwrap();
    sleepy.hold(Held {
        cluster: true,
        ..Held::default()
    });
    let second = node(&world, world.log.clone(), 2).await;
    in_time("the second owns all", second.ready())
        .await
        .unwrap();
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    // Both decide; what the first appends is void, and it notices.
    for n in 1..=20 {
        assert_eq!(
            edge.ask(&mut ana, &add(&n.to_string())).await,
            n.to_string()
        );
    }
    let all_owned = |states: &Handle| {
        states
            .states()
            .values()
            .all(|state| *state == PartitionState::Owned)
    };
    assert!(all_owned(&second), "{:?}", second.states());
    sleepy.hold(Held::default());
    in_time("the first is told", first.evicted()).await;
    in_time("the first ends", first.ended()).await;
    assert!(all_owned(&second), "{:?}", second.states());
    first.kill().await;
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_whose_log_does_not_answer_stops_in_time_and_says_what_it_left() {
    let mut world = World::new().await;
    world.node.take().unwrap().stop().await.unwrap();
    let away = Outage::of(world.log());
    let first = node(&world, away.clone(), 1).await;
    first.ready().await.unwrap();
    away.hold(Held {
        answers: true,
        ..Held::default()
    });
    let undone = in_time("an end", first.stop()).await.unwrap_err();
    assert_eq!(undone.partitions.len(), 4);
    let said = undone.to_string();
    assert!(
        said.contains("main/3") && said.contains("acknowledged"),
        "{said}"
    );
    // Whoever comes next goes on.
    let second = node(&world, world.log.clone(), 2).await;
    in_time("the second owns all", second.ready())
        .await
        .unwrap();
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_does_not_wait_for_ever_for_a_log_to_start_on() {
    let mut world = World::new().await;
    world.node.take().unwrap().stop().await.unwrap();
    let away = Outage::of(world.log());
    away.hold(Held {
        cluster: true,
        ..Held::default()
    });
    let mut config = Config::named("node");
    config.settings.start_wait = Span::from_millis(50);
    let domain = Domain::new().host::<Ledger>().registry().clone();
    let (lanes, clock) = (world.lanes.clone(), world.clock.clone());
    let started =
        xp_state_node::start(config, lanes, domain, Arc::new(away), clock, incarnation(1));
    let error = in_time("an answer", started)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("has not answered for 50ms"), "{error}");
}
