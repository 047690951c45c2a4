use std::collections::BTreeMap;

use serde_json::Value;
use tokio::task::JoinHandle;
use uuid::Uuid;
use xp_cluster::Members;
use xp_local_kafka::{LocalKafka, Options};
use xp_protocol::cluster::{Definition, Definitions, Kind, Member, Placement, Who};
use xp_protocol::events::{Claim, Event};
use xp_protocol::{Incarnation, LanePartition, Offset, PartitionId, TimeMs};
use xp_transport::kafka::topics::{self, Kind as TopicKind, Topic};
use xp_transport::kafka::{Config, Kafka};
use xp_transport::simulated::Simulated;
use xp_transport::{Record, TopicPartition};

use super::claimed::{Claimed, Claims};
use super::*;

const PARTITIONS: u32 = 4;

fn lanes(labels: &[(&str, &str)]) -> Member {
    let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into()));
    let definition = Definition {
        partitions: PARTITIONS,
        outbound_partitions: 1,
        categories: vec!["board".into()],
        placement: Placement {
            labels: labels.collect(),
            ..Placement::default()
        },
    };
    Member::Lanes(Definitions {
        version: 1,
        lanes: BTreeMap::from([("main".into(), definition)]),
    })
}

fn partition(partition: u32) -> LanePartition {
    LanePartition {
        lane: "main".into(),
        partition: PartitionId(partition),
    }
}

fn state_node(name: &str) -> Who {
    Who {
        lanes: 1,
        address: "10.0.0.1:7410".into(),
        ..Who::new(name, Kind::StateNode)
    }
}

fn edge(name: &str) -> Who {
    let outbound = PartitionId(0);
    Who::new(name, Kind::Edge { outbound })
}

/// Says that it lives and could own everything at once, until it is dropped.
struct Actor(JoinHandle<()>);

impl Actor {
    fn enter(log: &Kafka, number: u128, who: Who) -> Self {
        let log = log.clone();
        Self(tokio::spawn(async move {
            let incarnation = Incarnation(Uuid::from_u128(number));
            let who_joins = who.clone();
            let join = Member::Join {
                incarnation,
                who: who_joins,
            };
            let joined = xp_cluster::log::append(&log, &join).await.unwrap();
            let mut every = tokio::time::interval(Duration::from_millis(100));
            loop {
                every.tick().await;
                let alive = alive(incarnation, &who, joined);
                xp_cluster::log::append(&log, &alive).await.unwrap();
            }
        }))
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn alive(incarnation: Incarnation, who: &Who, joined: Offset) -> Member {
    let warm = match who.kind {
        Kind::StateNode => (0..PARTITIONS).map(partition).collect(),
        Kind::Edge { .. } => Vec::new(),
    };
    Member::Alive {
        incarnation,
        who: who.clone(),
        joined,
        sent: TimeMs(0),
        leaving: false,
        warm,
    }
}

async fn with_a_cluster_log(broker: &LocalKafka) -> Kafka {
    let config = Config::at(&[&broker.bootstrap()]);
    let cluster = Topic {
        name: "cluster".to_owned(),
        partitions: 1,
        kind: TopicKind::Cluster,
        replication: 1,
        min_insync: 1,
        retention: Some(Duration::from_secs(3_600)),
    };
    topics::create(&config, &[cluster]).await.unwrap();
    Kafka::connect(config).await.unwrap()
}

/// What `xp` says to these words.
async fn said(log: &Kafka, words: &str) -> Result<Answer> {
    use crate::command_line::{CommandLine, Task};
    use clap::Parser;
    let words = ["xp", "cluster"].into_iter().chain(words.split(' '));
    let Some(Task::Cluster(asked)) = CommandLine::try_parse_from(words)?.task else {
        panic!("this is no word to a cluster");
    };
    answer(log, 1, Duration::from_secs(20), asked).await
}

async fn page(log: &Kafka, words: &str) -> String {
    let answer = said(log, words).await.unwrap();
    assert_eq!(answer.failure, None, "{}", answer.text);
    answer.text
}

async fn refusal(log: &Kafka, words: &str) -> String {
    format!("{:#}", said(log, words).await.unwrap_err())
}

async fn owners(log: &Kafka) -> Vec<String> {
    let rows: Vec<Value> = serde_json::from_str(&page(log, "partitions --json").await).unwrap();
    let owner = |row: &Value| row["owner"].as_str().unwrap_or("nobody").to_owned();
    rows.iter().map(owner).collect()
}

async fn both_state_nodes_own_something(log: &Kafka) {
    let all_there = async {
        loop {
            let owners = owners(log).await;
            if ["state-1", "state-2"]
                .iter()
                .all(|name| owners.contains(&(*name).to_owned()))
            {
                return;
            }
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), all_there).await;
    waited.expect("placement gives each of two nodes something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_sees_empties_and_moves_on_a_real_broker() {
    let broker = tokio::task::spawn_blocking(|| LocalKafka::start(Options::one()));
    let broker = broker.await.unwrap().unwrap();
    let log = with_a_cluster_log(&broker).await;

    let empty = said(&log, "status").await.unwrap();
    assert!(empty.text.contains("no lanes yet"), "{}", empty.text);
    assert!(empty.failure.is_some());

    xp_cluster::log::append(&log, &lanes(&[])).await.unwrap();
    let one = Actor::enter(&log, 1, state_node("state-1"));
    let two = Actor::enter(&log, 2, state_node("state-2"));
    let door = Actor::enter(&log, 3, edge("edge-1"));
    both_state_nodes_own_something(&log).await;
    let status = page(&log, "status").await;
    for part in [
        "state-1",
        "edge (outbound 0)",
        "10.0.0.1:7410",
        "everything has an owner",
    ] {
        assert!(status.contains(part), "{status}");
    }

    let drained = page(&log, "drain state-1").await;
    assert!(drained.contains("state-1 is drained"), "{drained}");
    assert_eq!(owners(&log).await, ["state-2"; PARTITIONS as usize]);
    let members = page(&log, "members").await;
    assert!(members.contains("drained"), "{members}");
    let refused = refusal(&log, "move main/0 state-1").await;
    assert!(
        refused.contains("`xp cluster drain state-1 --undo`"),
        "{refused}"
    );
    page(&log, "drain state-1 --undo").await;

    let to = match owners(&log).await[2].as_str() {
        "state-1" => "state-2",
        _ => "state-1",
    };
    let moved = page(&log, &format!("move main/2 {to}")).await;
    assert!(moved.contains("main/2 is owned by"), "{moved}");
    assert_eq!(owners(&log).await[2], to);
    let left = page(&log, "move main/2 --auto").await;
    assert!(left.contains("is left to placement"), "{left}");

    let unknown = refusal(&log, "drain state-9").await;
    assert!(unknown.contains("there are state-1, state-2"), "{unknown}");
    let door_drained = refusal(&log, "drain edge-1").await;
    assert!(door_drained.contains("is an edge"), "{door_drained}");
    let nowhere = refusal(&log, "move main/9 state-1").await;
    assert!(nowhere.contains("main/0 to main/3"), "{nowhere}");
    let no_lane = refusal(&log, "partitions --lane mian").await;
    assert!(no_lane.contains("the cluster runs main"), "{no_lane}");

    drop((one, two, door));
    let silent = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let answer = said(&log, "status").await.unwrap();
            if answer.text.contains("nobody has said anything") {
                return answer;
            }
        }
    });
    assert!(silent.await.unwrap().failure.is_some());
    // Both end with a wait, which is not for this thread.
    let ended = tokio::task::spawn_blocking(move || drop((log, broker)));
    ended.await.unwrap();
}

/// The fold of these words, each a tenth of a second after the one before.
fn folded(words: &[Member]) -> Members {
    let mut members = Members::new(1);
    for (offset, word) in (0..).zip(words) {
        members.apply(Offset(offset), TimeMs(1_000 + 100 * offset), word);
    }
    members
}

fn joins(number: u128, who: Who) -> Member {
    Member::Join {
        incarnation: Incarnation(Uuid::from_u128(number)),
        who,
    }
}

#[test]
fn what_nobody_may_own_is_fatal_and_says_which_labels_are_missing() {
    let members = folded(&[lanes(&[("region", "eu")]), joins(1, state_node("state-1"))]);
    let picture = Picture::of(&members, false);
    assert_eq!(picture.failure().as_deref(), Some("users wait; see above"));
    let page = page::status(&picture);
    assert!(
        page.contains("fatal: 4 partitions of lane main have no owner"),
        "{page}"
    );
    assert!(page.contains("with the labels region = \"eu\""), "{page}");
    let refused = Request::moving(&members, &partition(0), Some("state-1")).unwrap_err();
    assert!(refused.to_string().contains("region = \"eu\""), "{refused}");
}

#[test]
fn who_owns_in_fact_stands_beside_who_should() {
    let members = folded(&[
        lanes(&[]),
        joins(1, state_node("state-1")),
        joins(2, state_node("state-2")),
    ]);
    let by = |number| Claimed::By(Incarnation(Uuid::from_u128(number)));
    let owner = members.owner(&partition(1)).unwrap();
    let other = if owner.0.as_u128() == 1 { 2 } else { 1 };
    let claims = Claims::from([
        (partition(0), Claimed::Nobody),
        (partition(1), Claimed::By(owner)),
        (partition(2), by(7)),
        (partition(3), Claimed::Unknown("no answer".to_owned())),
    ]);
    let picture = Picture::of(&members, false).beside(&members, &claims);
    let facts: Vec<_> = picture
        .partitions
        .iter()
        .map(|row| &*row.owner_in_fact)
        .collect();
    let gone = format!("a process that is gone ({})", Uuid::from_u128(7));
    let serving = picture.partitions[1].owner.as_deref().unwrap();
    assert_eq!(facts, ["nobody", serving, &gone, "unknown: no answer"]);
    let told = |partition: &str| {
        let mut problems = picture.problems.iter();
        problems.any(|problem| {
            problem
                .what
                .starts_with(&format!("{partition} is to be owned by"))
        })
    };
    assert_eq!(
        ["main/0", "main/1", "main/2", "main/3"].map(told),
        [true, false, true, false]
    );
    // Somebody else decides there, and lives.
    let claims = Claims::from([(partition(1), by(other))]);
    let picture = Picture::of(&members, false).beside(&members, &claims);
    let wrong = picture.partitions[1].owner_in_fact.clone();
    assert_eq!(wrong, format!("state-{other}"));
    assert!(page::status(&picture).contains(&format!("and in fact {wrong} owns it")));
}

/// A log in memory with these events.
async fn log_of(events: &[Event]) -> Simulated {
    let log = Simulated::new(&[("main.events", 1)], TimeMs(0));
    let record = |event: &Event| Record {
        header: xp_protocol::codec::encode(event).into(),
        ..Record::default()
    };
    let at = TopicPartition {
        topic: "main.events".into(),
        partition: PartitionId(0),
    };
    for event in events {
        log.append(&at, vec![record(event)])
            .await
            .remove(0)
            .unwrap();
    }
    log
}

fn claim(number: u128) -> Event {
    Event::Claim(Claim {
        id: xp_protocol::ClaimId(Uuid::from_u128(100 + number)),
        incarnation: Incarnation(Uuid::from_u128(number)),
        view: xp_protocol::View::default(),
        attempt: xp_protocol::ClaimAttempt(0),
        rules: xp_protocol::events::RULES,
        inbound: xp_protocol::LogIdentity(Uuid::nil()),
    })
}

#[tokio::test]
async fn whose_claim_the_log_goes_by_owns_in_fact() {
    let released = |epoch| Event::Release {
        epoch: xp_protocol::Epoch(epoch),
        seq: xp_protocol::Seq(1),
    };
    for (events, expected) in [
        (vec![], Claimed::Nobody),
        (vec![claim(1)], Claimed::By(Incarnation(Uuid::from_u128(1)))),
        (vec![claim(1), released(0)], Claimed::Nobody),
        // The first one writes on, and does not know that it has lost.
        (
            vec![claim(1), claim(2), released(0)],
            Claimed::By(Incarnation(Uuid::from_u128(2))),
        ),
    ] {
        let log = log_of(&events).await;
        let claims = claims(&log, std::iter::once(partition(0)), LOOK).await;
        assert_eq!(claims[&partition(0)], expected);
    }
    let log = log_of(&[]).await;
    let claims = claims(&log, std::iter::once(partition(3)), LOOK).await;
    assert!(matches!(&claims[&partition(3)], Claimed::Unknown(_)));
}

#[test]
fn one_node_serves_and_is_warned_of() {
    let members = folded(&[lanes(&[]), joins(1, state_node("state-1"))]);
    let picture = Picture::of(&members, false);
    assert_eq!(picture.failure(), None);
    let page = page::status(&picture);
    assert!(
        page.contains("warning: 4 partitions of lane main could be taken over by nobody"),
        "{page}"
    );
}

#[test]
fn a_node_of_older_lanes_is_named() {
    let old = Who {
        lanes: 0,
        ..state_node("state-1")
    };
    let members = folded(&[lanes(&[]), joins(1, old)]);
    let page = page::status(&Picture::of(&members, false));
    assert!(
        page.contains("started with version 0 of the lanes, and the cluster runs 1"),
        "{page}"
    );
}

#[test]
fn who_cannot_be_emptied_is_waited_for_and_the_wish_stands() {
    let drain = Member::Drain {
        name: "state-1".into(),
        drained: true,
    };
    let members = folded(&[lanes(&[]), joins(1, state_node("state-1")), drain]);
    let request = Request::drain(&members, "state-1", true).unwrap();
    assert!(!request.holds(&members));
    let said = request.waits(&members, Duration::from_secs(1));
    assert!(said.contains("owns 4 partitions still (main/0, "), "{said}");
    assert!(said.contains("xp cluster drain state-1 --undo"), "{said}");
    let picture = Picture::of(&members, false);
    assert!(page::status(&picture).contains("is drained and owns 4 partitions still"));
}

#[test]
fn a_mark_can_be_taken_off_a_node_that_is_gone() {
    let mark = |drained| Member::Drain {
        name: "state-1".into(),
        drained,
    };
    let members = folded(&[lanes(&[]), mark(true)]);
    let request = Request::drain(&members, "state-1", false).unwrap();
    assert!(request.holds(&folded(&[lanes(&[]), mark(true), mark(false)])));
    assert!(Request::drain(&folded(&[lanes(&[])]), "state-1", false).is_err());
}
