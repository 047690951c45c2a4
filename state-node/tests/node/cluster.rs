//! Several nodes on one log: who owns what, and what a client notices when that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;
use xp_cluster::members::End;
use xp_cluster::{Duty, log as cluster};
use xp_domain_sdk::Domain;
use xp_protocol::cluster::Member;
use xp_protocol::{Incarnation, LanePartition};
use xp_state_node::{Config, Handle, PartitionState};

use crate::edge::{Client, Edge};
use crate::ledger::{HANG_ONCE, Ledger};
use crate::outage::{Held, Outage};
use crate::world::{World, add};

/// Long enough for a busy machine; no test waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

struct Cluster {
    world: World,
    nodes: BTreeMap<u128, Handle>,
    starts: u128,
}

impl Cluster {
    async fn of(nodes: u128) -> Self {
        let mut world = World::new().await;
        world.node.take().unwrap().stop().await.unwrap();
        let mut cluster = Self {
            world,
            nodes: BTreeMap::new(),
            starts: 0,
        };
        for name in 1..=nodes {
            cluster.start(name).await;
        }
        cluster.settle().await;
        cluster
    }

    async fn start(&mut self, name: u128) {
        let log = self.world.log();
        self.start_on(name, log).await;
    }

    async fn start_on(&mut self, name: u128, log: std::sync::Arc<dyn xp_transport::Log>) {
        self.starts += 1;
        let mut config = Config::named(&format!("state-{name}"));
        let snapshots = self.world.dir.path().join(format!("snapshots-{name}"));
        config.snapshots = Some(snapshots);
        let domain = Domain::new().host::<Ledger>().registry().clone();
        let (lanes, clock) = (self.world.lanes.clone(), self.world.clock.clone());
        let incarnation = Incarnation(Uuid::from_u128(9_000 + self.starts));
        let node = xp_state_node::start(config, lanes, domain, log, clock, incarnation);
        self.nodes.insert(name, node.await.unwrap());
    }

    /// Waits until every node has the same view of placement, does its part of it, and rank and owner agree.
    async fn settle(&self) {
        let settled = async {
            while !self.is_settled() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, settled).await;
        assert!(waited.is_ok(), "{:#?}", self.states());
    }

    fn is_settled(&self) -> bool {
        let owned: Vec<_> = self.nodes.values().flat_map(owned_by).collect();
        let partitions: BTreeSet<_> = owned.iter().cloned().collect();
        let mirrored = |node: &Handle| {
            let states = node.states();
            states
                .values()
                .filter(|state| **state == PartitionState::Mirroring)
                .count()
        };
        let mirrored: usize = self.nodes.values().map(mirrored).sum();
        owned.len() == 4
            && partitions.len() == 4
            && self.nodes.values().all(Handle::is_ready)
            && (self.nodes.len() == 1 || mirrored == 4)
    }

    fn states(&self) -> Vec<BTreeMap<LanePartition, PartitionState>> {
        self.nodes.values().map(Handle::states).collect()
    }

    /// Which node owns a client's entity.
    fn owner(&self, client: &Client) -> u128 {
        let partition = self.world.lanes.locate(&client.address).unwrap();
        let mut nodes = self.nodes.iter();
        let owner = nodes.find(|(_, node)| owned_by(node).contains(&partition));
        *owner.expect("somebody owns it").0
    }

    async fn say(&self, member: Member) {
        cluster::append(&self.world.log, &member).await.unwrap();
    }
}

fn owned_by(node: &Handle) -> Vec<LanePartition> {
    let states = node.states().into_iter();
    let owned = states.filter(|(_, state)| *state == PartitionState::Owned);
    owned.map(|(partition, _)| partition).collect()
}

async fn connected(world: &mut World, entities: &[&str]) -> (Edge, Vec<Client>) {
    let mut edge = world.edge().await;
    let mut clients = Vec::new();
    for (name, entity) in entities.iter().enumerate() {
        let client = Client::new(entity, name as u128 + 1);
        edge.connect(&client, None).await;
        edge.welcome(&client).await;
        clients.push(client);
    }
    (edge, clients)
}

const ENTITIES: [&str; 6] = [
    "ledger/1", "ledger/2", "ledger/3", "ledger/4", "ledger/5", "ledger/6",
];

/// Every client's next command is answered, and comes behind all the ones before.
async fn all_go_on(edge: &mut Edge, clients: &mut [Client]) {
    for client in clients {
        let answer = edge.ask(client, &add("x")).await;
        assert_eq!(answer, client.n.to_string(), "{}", client.address);
    }
}

#[tokio::test]
async fn three_nodes_share_the_partitions_and_each_has_a_mirror() {
    let mut cluster = Cluster::of(3).await;
    let (mut edge, mut clients) = connected(&mut cluster.world, &ENTITIES).await;
    all_go_on(&mut edge, &mut clients).await;
    let members = cluster.nodes[&1].members();
    assert_eq!(members.unplaced().count(), 0);
    for node in cluster.nodes.values() {
        for (partition, duty) in members.duties(node.incarnation()) {
            let expected = match duty {
                Duty::Own => PartitionState::Owned,
                Duty::Mirror => PartitionState::Mirroring,
            };
            assert_eq!(node.states()[&partition], expected, "{partition}");
        }
    }
    for (_, node) in std::mem::take(&mut cluster.nodes) {
        node.stop().await.unwrap();
    }
}

#[tokio::test]
async fn whoever_is_killed_others_go_on_with_every_session() {
    let mut cluster = Cluster::of(3).await;
    let (mut edge, mut clients) = connected(&mut cluster.world, &ENTITIES).await;
    all_go_on(&mut edge, &mut clients).await;
    let killed = cluster.owner(&clients[0]);
    cluster.nodes.remove(&killed).unwrap().kill().await;
    all_go_on(&mut edge, &mut clients).await;
    cluster.settle().await;
    cluster.start(killed).await;
    cluster.settle().await;
    all_go_on(&mut edge, &mut clients).await;
}

/// R46, R47: the stuck node lives and serves what it has besides; who is warm takes the partition, and decides the
/// message that the other never came to an end with.
#[tokio::test]
async fn an_owner_whose_domain_code_does_not_return_is_taken_over_by_who_is_warm() {
    let mut cluster = Cluster::of(2).await;
    let (mut edge, mut clients) = connected(&mut cluster.world, &ENTITIES).await;
    all_go_on(&mut edge, &mut clients).await;
    let stuck = cluster.owner(&clients[0]);
    let answer = edge.ask(&mut clients[0], r#"{"type":"HangOnce"}"#).await;
    assert_eq!(answer, "2", "it is decided once, behind what was before");
    assert_ne!(cluster.owner(&clients[0]), stuck);
    let problems = cluster.nodes[&stuck].observer().problems();
    let named = problems.iter().any(|said| said.contains("for ledger/1"));
    assert!(named, "{problems:?}");
    all_go_on(&mut edge, &mut clients).await;
    let still_there = cluster.nodes[&stuck].incarnation();
    let members = cluster.nodes[&(3 - stuck)].members();
    assert!(members.is_alive(still_there), "the node itself lives");
    HANG_ONCE.release();
    // It goes on as a mirror, and has decided nothing.
    cluster.settle().await;
    all_go_on(&mut edge, &mut clients).await;
}

#[tokio::test]
async fn a_node_that_stops_hands_over_what_it_owns() {
    let mut cluster = Cluster::of(3).await;
    let (mut edge, mut clients) = connected(&mut cluster.world, &ENTITIES).await;
    for name in 1..=3 {
        cluster.nodes.remove(&name).unwrap().stop().await.unwrap();
        all_go_on(&mut edge, &mut clients).await;
        cluster.start(name).await;
        cluster.settle().await;
        all_go_on(&mut edge, &mut clients).await;
    }
}

#[tokio::test]
async fn a_partition_goes_where_a_person_moves_it_and_back() {
    let mut cluster = Cluster::of(3).await;
    let (mut edge, mut clients) = connected(&mut cluster.world, &ENTITIES).await;
    let partition = cluster.world.lanes.locate(&clients[0].address).unwrap();
    for name in [1, 2, 3] {
        let to = Some(format!("state-{name}").into());
        let partition = partition.clone();
        cluster.say(Member::Move { partition, to }).await;
        let moved = async {
            while !owned_by(&cluster.nodes[&name]).contains(&partition_of(&cluster, &clients[0])) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, moved)
            .await
            .expect("it moves");
        all_go_on(&mut edge, &mut clients).await;
    }
}

fn partition_of(cluster: &Cluster, client: &Client) -> LanePartition {
    cluster.world.lanes.locate(&client.address).unwrap()
}

#[tokio::test]
async fn a_drained_node_owns_nothing_and_still_mirrors_nothing_that_others_can() {
    let mut cluster = Cluster::of(3).await;
    let (mut edge, mut clients) = connected(&mut cluster.world, &ENTITIES).await;
    let drain = |drained| Member::Drain {
        name: "state-2".into(),
        drained,
    };
    cluster.say(drain(true)).await;
    let drained = async {
        while !cluster.nodes[&2].states().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, drained)
        .await
        .expect("it gives everything away");
    all_go_on(&mut edge, &mut clients).await;
    cluster.say(drain(false)).await;
    cluster.settle().await;
    all_go_on(&mut edge, &mut clients).await;
}

/// R37: as one that is cut off from the log; its partitions are others' when it comes back.
#[tokio::test]
async fn a_node_that_is_not_heard_is_evicted_and_told_why() {
    let mut cluster = Cluster::of(2).await;
    let cut = Outage::of(cluster.world.log());
    let log = std::sync::Arc::new(cut.clone());
    cluster.start_on(3, log).await;
    cluster.settle().await;
    let (mut edge, mut clients) = connected(&mut cluster.world, &ENTITIES).await;
    cut.hold(Held {
        answers: true,
        cluster: true,
        ..Held::default()
    });
    let silent = cluster.nodes.remove(&3).unwrap();
    cluster.settle().await;
    all_go_on(&mut edge, &mut clients).await;
    cut.hold(Held::default());
    let end = tokio::time::timeout(PATIENCE, silent.evicted()).await;
    assert_eq!(end, Ok(End::Silent));
    all_go_on(&mut edge, &mut clients).await;
    silent.kill().await;
    cluster.start(3).await;
    cluster.settle().await;
    all_go_on(&mut edge, &mut clients).await;
}

/// R46: the node lives, and so it is heard of; what it could own no more is another's all the same.
#[tokio::test]
async fn a_partition_that_stops_on_its_owner_is_taken_over_alone() {
    let mut cluster = Cluster::of(2).await;
    let cut = Outage::of(cluster.world.log());
    let log = std::sync::Arc::new(cut.clone());
    cluster.start_on(3, log).await;
    cluster.settle().await;
    let (mut edge, mut clients) = connected(&mut cluster.world, &ENTITIES).await;
    let partition = partition_of(&cluster, &clients[0]);
    let to = Some("state-3".into());
    let moved = partition.clone();
    cluster
        .say(Member::Move {
            partition: moved,
            to,
        })
        .await;
    let has_come = async {
        while !owned_by(&cluster.nodes[&3]).contains(&partition) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let has_come = tokio::time::timeout(PATIENCE, has_come).await;
    assert!(has_come.is_ok(), "{:#?}", cluster.states());
    all_go_on(&mut edge, &mut clients).await;
    cut.hold(Held {
        broken: Some(partition.partition),
        ..Held::default()
    });
    let broken = &cluster.nodes[&3];
    let has_stopped = async {
        while !matches!(
            broken.states().get(&partition),
            Some(PartitionState::Stopped(_))
        ) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let has_stopped = tokio::time::timeout(PATIENCE, has_stopped).await;
    assert!(has_stopped.is_ok(), "{:#?}", cluster.states());
    all_go_on(&mut edge, &mut clients).await;
    assert_eq!(broken.eviction(), None);
    let members = cluster.nodes[&1].members();
    assert_ne!(members.owner(&partition), Some(broken.incarnation()));
}

#[tokio::test]
async fn a_node_says_what_it_does_of_each_partition_until_it_is_gone() {
    let mut cluster = Cluster::of(2).await;
    let observer = cluster.nodes[&1].observer();
    let told = async {
        loop {
            let status = observer.status().await.expect("the node is there");
            let follows = |lag: Option<u64>| lag == Some(0);
            let mirrored = status.partitions.iter().filter(|p| p.state == "mirroring");
            // Positions are told with each partition's next tick.
            if mirrored.clone().count() > 0 && mirrored.clone().all(|p| follows(p.lag)) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let status = tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert!(status.ready, "{:?}", status.problems);
    let does = |duty: &str, state: &str| {
        let all = status.partitions.iter();
        all.filter(|p| p.duty == Some(duty) && p.state == state)
            .count()
    };
    assert_eq!(does("own", "owned") + does("mirror", "mirroring"), 4);
    cluster.nodes.remove(&1).unwrap().kill().await;
    let gone = async {
        while observer.status().await.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    assert_eq!(observer.problems().len(), 1);
}
