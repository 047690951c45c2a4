//! A whole state node on the embedded log, spoken to as an edge speaks.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod edge;
mod ledger;

use std::path::Path;
use std::sync::Arc;

use edge::{Client, Edge};
use ledger::Ledger;
use tempfile::TempDir;
use uuid::Uuid;
use xp_domain_sdk::Domain;
use xp_protocol::inbound::Action;
use xp_protocol::outbound::Item;
use xp_protocol::{Attempt, CloseCode, Incarnation, Revision};
use xp_state_node::{Config, Handle, Lane, Lanes, Limits};
use xp_transport::embedded::{Config as LogConfig, Embedded, TopicConfig};
use xp_transport::{Clock, Log};

struct World {
    dir: TempDir,
    lanes: Lanes,
    clock: Clock,
    limits: Limits,
    starts: u128,
    log: Embedded,
    node: Option<Handle>,
}

fn open(dir: &Path) -> Embedded {
    let topics = vec![
        TopicConfig::durable("cluster", 1),
        TopicConfig::durable("main.events", 4),
        TopicConfig::memory("main.inbound", 4, 16 << 20),
        TopicConfig::memory("main.outbound", 1, 16 << 20),
    ];
    Embedded::open(dir.join("log"), LogConfig { topics }).unwrap()
}

impl World {
    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lanes = Lanes::default().with(Lane::new("main", 4, 1), ["ledger"]);
        let log = open(dir.path());
        let clock = Clock::system();
        let mut world = Self {
            dir,
            lanes,
            clock,
            limits,
            starts: 0,
            log,
            node: None,
        };
        world.start().await;
        world
    }

    async fn start(&mut self) {
        self.starts += 1;
        let mut config = Config::named("node");
        config.snapshots = Some(self.dir.path().join("snapshots"));
        config.limits = self.limits.clone();
        let domain = Domain::new().host::<Ledger>();
        let incarnation = Incarnation(Uuid::from_u128(1000 + self.starts));
        let (lanes, log) = (self.lanes.clone(), self.log());
        let node = xp_state_node::start(
            config,
            lanes,
            domain.registry().clone(),
            log,
            self.clock.clone(),
            incarnation,
        );
        let node = node.await.unwrap();
        node.ready().await.unwrap();
        self.node = Some(node);
    }

    fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.log.clone())
    }

    /// The process dies and starts again: memory is gone, and with it `inbound` and `outbound`.
    async fn crash(&mut self) {
        self.node.take().unwrap().kill().await;
        self.reopen().await;
    }

    async fn restart(&mut self) {
        self.node.take().unwrap().stop().await;
        self.reopen().await;
    }

    async fn reopen(&mut self) {
        self.log.close();
        self.log = open(self.dir.path());
        self.start().await;
    }

    async fn edge(&mut self) -> Edge {
        self.starts += 1;
        Edge::join(&self.log(), &self.lanes, &self.clock, self.starts).await
    }
}

fn add(entry: &str) -> String {
    format!(r#"{{"type":"Add","data":{{"entry":"{entry}"}}}}"#)
}

#[tokio::test]
async fn a_command_is_answered_after_its_event() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    let (revision, n, shown) = edge.welcome(&ana).await;
    assert_eq!((revision, n), (1, 0));
    assert_eq!(
        shown,
        r#"[{"type":"All","data":{"entries":[],"present":1}}]"#
    );
    edge.send(&mut ana, &add("a")).await;
    let event = edge
        .hear(&ana, |heard| matches!(heard.item, Item::Event { .. }))
        .await;
    assert_eq!(event.text(), r#"[{"type":"Added","data":{"entry":"a"}}]"#);
    assert!(event.chained);
    assert_eq!(edge.answer(&ana).await, "1");
}

#[tokio::test]
async fn a_repeated_number_gets_its_stored_answer_also_after_a_crash() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    assert_eq!(edge.ask(&mut ana, &add("a")).await, "1");
    assert_eq!(edge.ask(&mut ana, &add("")).await, r#"reject "Empty""#);
    edge.send_again(&ana, 1, &add("a")).await;
    let first = Client {
        n: 1,
        ..ana.clone()
    };
    assert_eq!(edge.answer(&first).await, "1");

    world.crash().await;
    let mut edge = world.edge().await;
    ana.attempt = Attempt(2);
    edge.connect(&ana, None).await;
    let (_, n, shown) = edge.welcome(&ana).await;
    assert_eq!(n, 2);
    assert!(shown.contains(r#""entries":["a"]"#), "{shown}");
    edge.send_again(&ana, 2, &add("")).await;
    assert_eq!(edge.answer(&ana).await, r#"reject "Empty""#);
    assert_eq!(edge.ask(&mut ana, &add("b")).await, "2");
}

#[tokio::test]
async fn a_hole_in_the_numbers_closes_the_socket() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    edge.send_again(&ana, 2, &add("a")).await;
    let close = Item::Close {
        code: CloseCode::ComeBack,
    };
    edge.hear(&ana, |heard| heard.item == close).await;
}

#[tokio::test]
async fn a_panic_is_a_fault_for_that_message_alone() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    assert_eq!(
        edge.ask(&mut ana, r#"{"type":"Panic"}"#).await,
        "fault panicked"
    );
    assert_eq!(edge.ask(&mut ana, "{").await, "fault unreadable");
    assert_eq!(
        edge.ask(&mut ana, r#"{"type":"Grow","data":{"bytes":2000000}}"#)
            .await,
        "fault too-large"
    );
    assert_eq!(edge.ask(&mut ana, &add("a")).await, "1");
}

#[tokio::test]
async fn a_panic_in_apply_is_a_fault_before_the_append() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    assert_eq!(edge.ask(&mut ana, &add("a")).await, "1");
    assert_eq!(
        edge.ask(&mut ana, r#"{"type":"SpoilApply"}"#).await,
        "fault panicked"
    );
    assert_eq!(edge.ask(&mut ana, &add("b")).await, "2");
}

#[tokio::test]
async fn a_resume_repeats_exactly_what_was_missed_from_memory_and_from_the_log() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let (mut ana, mut ben) = (Client::new("ledger/1", 1), Client::new("ledger/1", 2));
    for client in [&ana, &ben] {
        edge.connect(client, None).await;
        edge.welcome(client).await;
    }
    edge.say(&ben, Action::Disconnect { left: false }, "").await;
    for entry in ["a", "b", "c"] {
        edge.ask(&mut ana, &add(entry)).await;
    }
    ben.attempt = Attempt(2);
    let missed = resume(&mut edge, &ben, 2).await;
    assert_eq!(missed, ["a", "b", "c"]);

    // What was in memory is gone after a restart, and the log has it.
    world.restart().await;
    let mut edge = world.edge().await;
    ben.attempt = Attempt(3);
    let missed = resume(&mut edge, &ben, 3).await;
    assert_eq!(missed, ["a", "b", "c"], "revision 3 was the disconnect");
}

/// Connects with `since` and returns the entries of the events that follow, up to the revision announced.
async fn resume(edge: &mut Edge, client: &Client, since: u64) -> Vec<String> {
    edge.connect(client, Some(since)).await;
    let resumed = edge
        .hear(client, |heard| {
            matches!(heard.item, Item::Resumed { .. } | Item::Welcome { .. })
        })
        .await;
    let Item::Resumed {
        since: echoed,
        upto,
        announce,
        ..
    } = resumed.item
    else {
        panic!("started over: {resumed:?}")
    };
    assert_eq!((echoed, announce), (Revision(since), true));
    let mut missed = Vec::new();
    while missed.len() < 3 {
        let event = edge
            .hear(client, |heard| matches!(heard.item, Item::Event { .. }))
            .await;
        let Item::Event { revision, .. } = event.item else {
            unreachable!()
        };
        assert!(revision > echoed && revision <= upto && !event.chained);
        let outputs: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
        missed.push(outputs[0]["data"]["entry"].as_str().unwrap().to_owned());
    }
    missed
}

#[tokio::test]
async fn a_resume_of_a_forgotten_session_is_refused() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let ana = Client::new("ledger/1", 1);
    edge.connect(&ana, Some(4)).await;
    let close = Item::Close {
        code: CloseCode::SessionExpired,
    };
    edge.hear(&ana, |heard| heard.item == close).await;
}

#[tokio::test]
async fn a_refused_connection_leaves_neither_session_nor_entity() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let (ana, ben) = (Client::new("ledger/1", 1), Client::new("ledger/1", 2));
    edge.connect_as(&ana, None, r#"{"sub":"ana","guest":true}"#)
        .await;
    let no = edge
        .hear(&ana, |heard| matches!(heard.item, Item::Reject { .. }))
        .await;
    assert_eq!(no.text(), r#""Guests""#);
    edge.hear(&ana, |heard| {
        heard.item
            == Item::Close {
                code: CloseCode::Refused,
            }
    })
    .await;
    edge.connect(&ben, None).await;
    assert_eq!(edge.welcome(&ben).await.0, 1);
}

#[tokio::test]
async fn timers_and_deferred_answers_survive_a_crash() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    assert_eq!(
        edge.ask(&mut ana, r#"{"type":"Alarm","data":{"ms":20000}}"#)
            .await,
        "0"
    );
    edge.send(&mut ana, r#"{"type":"Later","data":{"ms":20000}}"#)
        .await;
    edge.send(&mut ana, &add("a")).await;
    assert_eq!(edge.answer(&ana).await, "1");

    world.crash().await;
    let mut edge = world.edge().await;
    ana.attempt = Attempt(2);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    world.clock.advance(20_000);
    let alarm = edge
        .hear(&ana, |heard| heard.text().contains("alarm"))
        .await;
    assert!(matches!(alarm.item, Item::Event { .. }));
    let later = Client {
        n: 2,
        ..ana.clone()
    };
    assert_eq!(edge.answer(&later).await, "7");
}

#[tokio::test]
async fn a_ticket_that_nobody_answers_becomes_a_fault() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    edge.send(&mut ana, r#"{"type":"Nothing"}"#).await;
    edge.send(&mut ana, &add("a")).await;
    assert_eq!(edge.answer(&ana).await, "1");
    world.clock.advance(world.limits.ticket_ms);
    let waiting = Client {
        n: 1,
        ..ana.clone()
    };
    assert_eq!(edge.answer(&waiting).await, "fault unanswered");
}

#[tokio::test]
async fn entities_converse_across_partitions_and_crashes() {
    let mut world = World::new().await;
    let mut ana = Client::new("ledger/1", 1);
    let mut edge = world.edge().await;
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    for round in 1..=6_u64 {
        let borrow = format!(r#"{{"type":"Borrow","data":{{"from":"other{round}","entry":"e"}}}}"#);
        edge.send(&mut ana, &borrow).await;
        if round % 2 == 0 {
            // Whatever was on its way between the two is in the log, or is sent again.
            world.crash().await;
            edge = world.edge().await;
            ana.attempt = Attempt(round);
            edge.connect(&ana, None).await;
            edge.welcome(&ana).await;
            edge.send_again(&ana, round, &borrow).await;
        }
        assert_eq!(edge.answer(&ana).await, "101", "round {round}");
    }
    let refused = r#"{"type":"Borrow","data":{"from":"other1","entry":""}}"#;
    assert_eq!(edge.ask(&mut ana, refused).await, r#"reject "Empty""#);
}

#[tokio::test]
async fn a_lost_session_ends_once_after_its_grace() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let (mut ana, ben) = (Client::new("ledger/1", 1), Client::new("ledger/1", 2));
    edge.connect(&ben, None).await;
    edge.welcome(&ben).await;
    // A crash loses the edge with the process: its sessions are detached, and end after the grace.
    world.crash().await;
    let mut edge = world.edge().await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut present = String::new();
    for attempt in 1.. {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the lost session is still there: {present}"
        );
        world.clock.advance(world.limits.grace_ms);
        ana.attempt = Attempt(attempt);
        edge.connect(&ana, None).await;
        (.., present) = edge.welcome(&ana).await;
        if present.contains(r#""present":1"#) {
            break;
        }
    }
    // It has ended once: after its memory too, nobody leaves again.
    world.clock.advance(world.limits.memory_ms);
    ana.attempt = Attempt(u64::MAX);
    edge.connect(&ana, None).await;
    let (.., shown) = edge.welcome(&ana).await;
    assert!(shown.contains(r#""present":1"#), "{shown}");
}

#[tokio::test]
async fn the_entity_ends_a_session() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let (mut ana, ben) = (Client::new("ledger/1", 1), Client::new("ledger/1", 2));
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    edge.send(&mut ana, r#"{"type":"Kick"}"#).await;
    let close = Item::Close {
        code: CloseCode::Terminated,
    };
    edge.hear(&ana, |heard| heard.item == close).await;
    edge.connect(&ben, None).await;
    let (revision, _, shown) = edge.welcome(&ben).await;
    assert!(shown.contains(r#""present":1"#), "{revision} {shown}");
}

#[tokio::test]
async fn what_an_earlier_life_of_a_session_saw_last_is_no_place_to_resume_from() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let (mut ana, ben) = (Client::new("ledger/1", 1), Client::new("ledger/1", 2));
    edge.connect(&ana, None).await;
    let (seen, ..) = edge.welcome(&ana).await;
    edge.send(&mut ana, r#"{"type":"Kick"}"#).await;
    let close = Item::Close {
        code: CloseCode::Terminated,
    };
    edge.hear(&ana, |heard| heard.item == close).await;
    edge.connect(&ben, None).await;
    let (.., shown) = edge.welcome(&ben).await;
    assert!(shown.contains(r#""present":1"#), "ana is over: {shown}");
    ana.attempt = Attempt(2);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    ana.attempt = Attempt(3);
    edge.connect(&ana, Some(seen)).await;
    let accepted = edge
        .hear(&ana, |heard| {
            matches!(heard.item, Item::Resumed { .. } | Item::Welcome { .. })
        })
        .await;
    assert!(
        matches!(accepted.item, Item::Welcome { .. }),
        "it must start over: {accepted:?}"
    );
}

#[tokio::test]
async fn a_newer_socket_replaces_the_older_one_and_an_older_one_is_ignored() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let old = Client::new("ledger/1", 1);
    let mut new = Client {
        attempt: Attempt(5),
        ..old.clone()
    };
    edge.connect(&old, None).await;
    edge.welcome(&old).await;
    edge.connect(&new, None).await;
    edge.hear(&old, |heard| {
        heard.item
            == Item::Close {
                code: CloseCode::Replaced,
            }
    })
    .await;
    edge.welcome(&new).await;
    let late = Client {
        attempt: Attempt(3),
        ..old.clone()
    };
    edge.connect(&late, None).await;
    edge.say(&old, Action::Disconnect { left: false }, "").await;
    assert_eq!(edge.ask(&mut new, &add("a")).await, "1");
}

#[tokio::test]
async fn a_whisper_reaches_one_and_all_see_one_event_frame() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let (mut ana, ben) = (Client::new("ledger/1", 1), Client::new("ledger/1", 2));
    for client in [&ana, &ben] {
        edge.connect(client, None).await;
        edge.welcome(client).await;
    }
    edge.send(&mut ana, r#"{"type":"Whisper","data":{"text":"psst"}}"#)
        .await;
    let to_ben = edge
        .hear(&ben, |heard| matches!(heard.item, Item::Event { .. }))
        .await;
    assert_eq!(
        to_ben.text(),
        r#"[{"type":"Text","data":{"text":"for all"}}]"#
    );
    let to_ana = edge
        .hear(&ana, |heard| matches!(heard.item, Item::Event { .. }))
        .await;
    let both =
        r#"[{"type":"Text","data":{"text":"for all"}},{"type":"Text","data":{"text":"psst"}}]"#;
    assert_eq!(to_ana.text(), both);
}

#[tokio::test]
async fn idle_entities_leave_memory_and_come_back() {
    let limits = Limits {
        passivate_ms: 1000,
        resident_min: 0,
        grace_ms: 100,
        memory_ms: 100,
        ..Limits::default()
    };
    let mut world = World::with(limits).await;
    let mut edge = world.edge().await;
    for name in 0..20 {
        let mut client = Client::new(&format!("ledger/{name}"), name);
        edge.connect(&client, None).await;
        edge.welcome(&client).await;
        assert_eq!(edge.ask(&mut client, &add("a")).await, "1");
        edge.say(&client, Action::Disconnect { left: true }, "")
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
