//! Three state nodes and two edges: any of them is killed, stopped, cut off or rolled under load, and clients notice at
//! most that an answer takes a moment longer.
//!
//! `XP_E2E_ROUNDS` strikes more often than every run does.

mod lost_edge;

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use tokio::time::{Instant, sleep_until};
use xp_client::Lost;
use xp_local_kafka::{Listener, LocalKafka};
use xp_protocol::CloseCode;
use xp_protocol::lane::events_topic;

use crate::brokers::Brokers;
use crate::crowd::{Crowd, Outcome};
use crate::installation::{Installation, Victim};
use crate::kafka::{EDGES, Kafka, LANE, Shape};
use crate::owners::Owners;
use crate::seed;

const STATE_NODES: [Victim; 3] = [Victim("state-1"), Victim("state-2"), Victim("state-3")];
/// On all partitions of the lane.
const BOARDS: [&str; 6] = ["red", "green", "blue", "white", "black", "grey"];
const DRAWERS_PER_BOARD: usize = 2;
/// Commands that each may send around one strike.
const COMMANDS: u64 = 30;
/// Longer than a lease and than the silence after which a state node is gone; an edge is given up a little later.
const PAUSE: Duration = Duration::from_secs(5);

const THREE: Shape = Shape {
    state_nodes: &STATE_NODES,
    severable: None,
    more: "",
};

/// How often one test strikes.
fn rounds(usual: usize) -> usize {
    let given = std::env::var("XP_E2E_ROUNDS").ok();
    given.map_or(usual, |rounds| {
        rounds.parse().expect("XP_E2E_ROUNDS is a number")
    })
}

/// A cluster under load.
struct Attack {
    at: Kafka,
    crowd: Crowd<'static>,
    owners: Owners,
    rng: ChaCha8Rng,
}

impl Attack {
    async fn on(shape: Shape, brokers: Brokers, name: &str) -> Self {
        let rng = seed::rng(name);
        let at: Kafka = Kafka::shaped(shape, brokers).await;
        let owners = Owners::of(at.victims(), &at.brokers.bootstrap()).await;
        let mut crowd = Crowd::start(&BOARDS, DRAWERS_PER_BOARD, &at);
        crowd.back().await;
        Self {
            at,
            crowd,
            owners,
            rng,
        }
    }

    async fn begin(name: &str) -> Self {
        Self::on(THREE, Brokers::one(Listener::Plaintext).await, name).await
    }

    /// Who owns the board of this round.
    async fn owner(&self, round: usize) -> Victim {
        self.owners.of_board(BOARDS[round % BOARDS.len()]).await
    }

    /// What nobody would notice proves nothing.
    async fn give_it_something(&self, node: Victim) {
        self.owners.give(BOARDS[0], node).await;
    }

    /// Grants commands, and returns somewhere between the first and the last answer.
    async fn in_the_middle(&mut self) {
        self.crowd.within_a_round(&mut self.rng, COMMANDS).await;
    }

    /// Everything granted so far is answered, and more is granted and answered too.
    async fn goes_on(&self) {
        self.crowd.load.grant(COMMANDS);
        self.crowd.answered(self.crowd.load.granted_so_far()).await;
    }

    async fn finish(mut self) -> Outcome {
        let outcome = self.crowd.finish(&mut self.at).await;
        eprintln!("{}", outcome.summary());
        outcome
    }
}

impl Outcome {
    /// Whatever happens to state nodes, no client loses its socket.
    fn nobody_lost_a_socket(&self) {
        for history in &self.histories {
            let (name, losses) = (&history.name, &history.view.losses);
            assert!(losses.is_empty(), "{name} lost its socket: {losses:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_owner_is_replaced_while_it_is_dead_and_no_socket_closes() {
    let mut attack = Attack::begin("killed owners").await;
    for round in 0..rounds(3) {
        let owner = attack.owner(round).await;
        attack.in_the_middle().await;
        attack.at.kill(owner).await;
        attack.goes_on().await;
        attack.at.restart(owner).await;
    }
    attack.finish().await.nobody_lost_a_socket();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_stands_still_is_replaced_meanwhile_and_comes_back_as_a_new_member() {
    let mut attack = Attack::begin("stopped owners").await;
    for round in 0..rounds(1) {
        let owner = attack.owner(round).await;
        let former = attack.owners.incarnation(owner, None).await;
        attack.in_the_middle().await;
        let until = Instant::now() + PAUSE;
        attack.at.pause(owner).await;
        attack.goes_on().await;
        sleep_until(until).await;
        attack.in_the_middle().await;
        attack.at.resume(owner).await;
        attack.owners.incarnation(owner, Some(former)).await;
        attack.goes_on().await;
    }
    attack.finish().await.nobody_lost_a_socket();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_cut_off_from_kafka_is_replaced_meanwhile_and_comes_back_as_a_new_member() {
    let shape = Shape {
        severable: Some(STATE_NODES[1]),
        ..THREE
    };
    let brokers = Brokers::severable_one().await;
    let mut attack = Attack::on(shape, brokers, "cut off").await;
    let node = STATE_NODES[1];
    for _ in 0..rounds(1) {
        let former = attack.owners.incarnation(node, None).await;
        attack.give_it_something(node).await;
        attack.in_the_middle().await;
        let until = Instant::now() + PAUSE;
        attack.at.brokers.cut();
        attack.goes_on().await;
        attack.owners.evicted(former).await;
        sleep_until(until).await;
        attack.in_the_middle().await;
        attack.at.brokers.mend();
        attack.owners.incarnation(node, Some(former)).await;
        attack.goes_on().await;
    }
    attack.finish().await.nobody_lost_a_socket();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_stands_still_closes_its_sockets_and_serves_on_as_a_new_member() {
    let mut attack = Attack::begin("stopped edges").await;
    for round in 0..rounds(1) {
        let edge = EDGES[round % EDGES.len()];
        let former = attack.owners.incarnation(edge, None).await;
        attack.in_the_middle().await;
        let until = Instant::now() + PAUSE;
        attack.at.pause(edge).await;
        attack.owners.evicted(former).await;
        sleep_until(until).await;
        attack.at.resume(edge).await;
        attack.owners.incarnation(edge, Some(former)).await;
        // Its door leads to where it listened before.
        attack.crowd.back().await;
        attack.goes_on().await;
    }
    let outcome = attack.finish().await;
    assert!(outcome.resumed() > 0, "nobody was ever sent away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_everything_fails_no_command_and_only_edges_close_sockets() {
    let mut attack = Attack::begin("rolling restart").await;
    for node in STATE_NODES {
        attack.in_the_middle().await;
        assert_eq!(attack.at.terminate(node).await, Some(0), "{node:?}");
        attack.goes_on().await;
        attack.at.restart(node).await;
    }
    for edge in EDGES {
        attack.in_the_middle().await;
        assert_eq!(attack.at.terminate(edge).await, Some(0), "{edge:?}");
        attack.at.restart(edge).await;
        attack.crowd.back().await;
        attack.goes_on().await;
    }
    let outcome = attack.finish().await;
    let draining = Some(CloseCode::Draining.number());
    for history in &outcome.histories {
        let (name, losses) = (&history.name, &history.view.losses);
        let closed = losses.iter().filter(|lost| !is_turned_away(lost));
        let codes: Vec<_> = closed.map(Lost::code).collect();
        let told = codes.iter().all(|code| *code == draining);
        assert!(told && codes.len() <= EDGES.len(), "{name}: {losses:?}");
    }
}

/// A dial that an edge answers while it is leaving, or begins to answer: no socket is closed by that, and the client's
/// next dial goes elsewhere.
fn is_turned_away(lost: &Lost) -> bool {
    let dials = ["answered 503", "Handshake not finished"];
    let is_dial = |why: &String| dials.iter().any(|dial| why.contains(dial));
    matches!(lost, Lost::Transport(why) if is_dial(why))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_among_three_brokers_is_killed_and_the_cluster_loses_and_doubles_nothing() {
    let mut attack = Attack::on(THREE, Brokers::three().await, "killed leader").await;
    for round in 0..rounds(1) {
        let leader = attack.leader(round).await;
        attack.in_the_middle().await;
        let brokers = &attack.at.brokers;
        brokers.does(move |kafka| kafka.kill(leader)).await;
        attack.goes_on().await;
        brokers.does(move |kafka| kafka.restart(leader)).await;
        attack.goes_on().await;
    }
    attack.finish().await.nobody_lost_a_socket();
}

impl Attack {
    /// Who leads what one of the lane's partitions decides.
    async fn leader(&self, round: usize) -> usize {
        let topic = events_topic(LANE);
        let partition = u32::try_from(round).unwrap() % crate::kafka::PARTITIONS;
        let leads = move |kafka: &LocalKafka| kafka.leader(&topic, partition);
        self.at.brokers.does(leads).await
    }
}
