//! The installation of several processes: state nodes and two edges on Apache Kafka, clients spread over both edges.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;
use xp_local_kafka::Listener;
use xplatform::runtime::Secret;
use xplatform::runtime::config::secret_file;

use crate::brokers::Brokers;
use crate::entrances::Entrances;
use crate::installation::{Installation, Pace, Signer, Victim, installation_tests};
use crate::process::{Process, bare, end_of};

installation_tests!(Kafka<Open>);

/// What encryption and passwords could change is how processes reach brokers, and nothing of what they do then.
mod over_tls_and_scram {
    use super::{Kafka, Secured};

    crate::installation::installation_tests! { @tests Kafka<Secured>;
        together::two_pipes_see_each_other
        together::a_crowd_over_all_edges_sees_one_board
    }
}

/// How the brokers of an installation are reached.
pub(crate) trait Way {
    const LISTENER: Listener;
}

/// A listener that asks for neither TLS nor a user.
pub(crate) struct Open;

impl Way for Open {
    const LISTENER: Listener = Listener::Plaintext;
}

/// By users, within TLS.
pub(crate) struct Secured;

impl Way for Secured {
    const LISTENER: Listener = Listener::SaslSsl;
}

pub(crate) const LANE: &str = "main";
pub(crate) const PARTITIONS: u32 = 4;
pub(crate) const STATE_NODE: Victim = Victim("state-node");
pub(crate) const EDGES: [Victim; 2] = [Victim("edge-1"), Victim("edge-2")];

/// Which state nodes there are, and what their configuration says besides.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) state_nodes: &'static [Victim],
    /// The one whose line to its brokers can be cut.
    pub(crate) severable: Option<Victim>,
    /// Lines of the configuration.
    pub(crate) more: &'static str,
}

const ONE: Shape = Shape {
    state_nodes: &[STATE_NODE],
    severable: None,
    more: "",
};

pub(crate) struct Kafka<W = Open> {
    pub(crate) brokers: Brokers,
    shape: Shape,
    dir: TempDir,
    entrances: Entrances,
    addresses: BTreeMap<&'static str, SocketAddr>,
    /// How often a process moved to another machine, where a state node finds no snapshots.
    moves: u32,
    running: BTreeMap<&'static str, Process>,
    way: PhantomData<W>,
}

impl<W: Way> Kafka<W> {
    /// Makes the topics and starts all of it on these brokers.
    pub(crate) async fn on(brokers: Brokers) -> Self {
        Self::shaped(ONE, brokers).await
    }

    pub(crate) async fn shaped(shape: Shape, brokers: Brokers) -> Self {
        let mut kafka = Self {
            brokers,
            shape,
            dir: tempfile::tempdir().unwrap(),
            entrances: Entrances::open(EDGES.len()).await,
            addresses: BTreeMap::new(),
            moves: 0,
            running: BTreeMap::new(),
            way: PhantomData,
        };
        kafka.prepare().await;
        for victim in kafka.victims() {
            kafka.restart(victim).await;
        }
        kafka
    }

    /// The configuration, the secret that signs tokens, and the topics.
    async fn prepare(&self) {
        std::fs::write(self.configuration(), self.written()).unwrap();
        Secret::load_or_make(&secret_file(self.dir.path())).unwrap();
        let created = end_of(&mut self.xp(&["topics", "create"])).await;
        assert_eq!(created.code, Some(0), "{}", created.err);
    }

    fn configuration(&self) -> PathBuf {
        self.dir.path().join("xp.toml")
    }

    fn written(&self) -> String {
        let (dir, brokers) = (self.dir.path(), self.brokers.section());
        let secret = secret_file(dir);
        format!(
            "data = {dir:?}\n{brokers}[lanes.{LANE}]\npartitions = {PARTITIONS}\noutbound-partitions = 2\n\
             [edge]\nlisten = \"127.0.0.1:0\"\n[edge.tokens]\nkeys = [{{ secret-file = {secret:?} }}]\n{}",
            self.shape.more
        )
    }

    /// One more process of that role and name.
    fn spawn(&self, victim: Victim) -> Process {
        let machine = format!("machine-{}-of-{}", self.moves, victim.0);
        let machine = self.dir.path().join(machine);
        let machine = machine.to_str().unwrap();
        let mut command = match self.role(victim) {
            "edge" => self.xp(&["edge", "--name", victim.0]),
            role => self.xp(&[role, "--name", victim.0, "--data", machine]),
        };
        if self.shape.severable == Some(victim) {
            let brokers = format!("[{:?}]", self.brokers.severable());
            command.env("XP__KAFKA__BROKERS", brokers);
        }
        Process::spawn(&mut command)
    }

    fn role(&self, victim: Victim) -> &'static str {
        match self.shape.state_nodes.contains(&victim) {
            true => "state-node",
            false => "edge",
        }
    }

    fn take(&mut self, victim: Victim) -> Process {
        self.leads(victim, None);
        self.running.remove(victim.0).expect("it runs")
    }

    /// Starts another process of that name on another machine, and gives the former one, whatever it is doing.
    pub(crate) async fn replace(&mut self, victim: Victim) -> Process {
        let former = self.take(victim);
        self.moves += 1;
        self.restart(victim).await;
        former
    }

    /// Where an edge itself listens, behind its door.
    pub(crate) fn address(&self, edge: Victim) -> String {
        format!("ws://{}", self.addresses[edge.0])
    }

    /// New clients find an edge there, or no more.
    fn leads(&self, victim: Victim, addr: Option<SocketAddr>) {
        if let Some(nth) = EDGES.iter().position(|edge| *edge == victim) {
            self.entrances.lead(nth, addr);
        }
    }
}

impl<W: Way> Installation for Kafka<W> {
    const PACE: Pace = Pace {
        kills: 12,
        pauses: 2,
        drains: 4,
        cuts: 400,
    };

    async fn start() -> Self {
        Self::on(Brokers::one(W::LISTENER).await).await
    }

    fn urls(&self) -> Vec<String> {
        self.entrances.urls()
    }

    fn xp(&self, words: &[&str]) -> Command {
        let mut command = bare(self.dir.path());
        command
            .args(words)
            .arg("--config")
            .arg(self.configuration());
        command
    }

    fn signer(&self) -> Signer {
        let secret = Secret::load(&secret_file(self.dir.path())).unwrap();
        Signer(secret.expect("it was made at the start"))
    }

    fn victims(&self) -> Vec<Victim> {
        let state_nodes = self.shape.state_nodes.iter();
        state_nodes.chain(&EDGES).copied().collect()
    }

    fn edges(&self) -> Vec<Victim> {
        EDGES.to_vec()
    }

    async fn kill(&mut self, victim: Victim) {
        self.take(victim).kill().await;
    }

    async fn restart(&mut self, victim: Victim) {
        let mut process = self.spawn(victim);
        let role = self.role(victim);
        let said = process.says(&format!("{role} {} ", victim.0)).await;
        let mut words = said.split_whitespace();
        let addr = words.find_map(|word| word.strip_prefix("ws://"));
        let addr = addr.map(|addr| addr.parse().unwrap());
        self.addresses
            .extend(addr.map(|addr: SocketAddr| (victim.0, addr)));
        self.leads(victim, addr);
        self.running.insert(victim.0, process);
    }

    async fn restart_and_kill(&mut self, victim: Victim, within: Duration) {
        let mut process = self.spawn(victim);
        // Both are what is wanted.
        let _ = timeout(within, process.next_line()).await;
        process.kill().await;
    }

    async fn pause(&mut self, victim: Victim) {
        self.running[victim.0].signal("STOP").await;
    }

    async fn resume(&mut self, victim: Victim) {
        self.running[victim.0].signal("CONT").await;
    }

    async fn terminate(&mut self, victim: Victim) -> Option<i32> {
        // Its door stays open: a draining edge takes no clients, and the door leads to the other one.
        let process = self.running.remove(victim.0).expect("it runs");
        let code = process.terminate().await;
        self.leads(victim, None);
        code
    }

    async fn end(&mut self) {
        let running = |victim: &Victim| self.running.contains_key(victim.0);
        let state_nodes = self.shape.state_nodes.iter();
        let all: Vec<_> = EDGES.iter().chain(state_nodes).copied().collect();
        for victim in all.into_iter().filter(running).collect::<Vec<_>>() {
            assert_eq!(self.terminate(victim).await, Some(0), "{victim:?}");
        }
    }
}
