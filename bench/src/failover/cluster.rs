//! Brokers, three state nodes, each with a disk of its own, and two edges.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use rustix::process::Signal;
use xp_local_kafka::{Listener, LocalKafka, Options};

use crate::client::{grow, sow};
use crate::node::{Door, Home, Process};

/// Of the entities that only fill it.
const CELL_BYTES: usize = 200;
pub(super) const LANE: &str = "main";
pub(super) const PARTITIONS: u32 = 12;
pub(super) const STATE_NODES: [&str; 3] = ["state-1", "state-2", "state-3"];
/// Its line to the brokers can be cut.
pub(super) const SEVERABLE: &str = "state-2";
const EDGES: [&str; 2] = ["edge-1", "edge-2"];

/// How many brokers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Brokers {
    One,
    Three,
}

pub(super) struct Cluster {
    pub(super) doors: Vec<Door>,
    pub(super) kafka: LocalKafka,
    nodes: BTreeMap<&'static str, (Process, SocketAddr)>,
    _edges: Vec<Process>,
    home: Home,
}

impl Cluster {
    pub(super) fn start(brokers: Brokers) -> Result<Self> {
        let (options, copies) = match brokers {
            Brokers::One => (Options::one(), "replication = 1\nmin-insync = 1"),
            Brokers::Three => (Options::three(), "replication = 3\nmin-insync = 2"),
        };
        let kafka = LocalKafka::start(options.listening(Listener::Severable))?;
        let home = Home::new(&format!(
            "[kafka]\nbrokers = {}\n{copies}\n[lanes.{LANE}]\npartitions = {PARTITIONS}\noutbound-partitions = 2\n",
            list(&kafka.bootstrap())
        ))?;
        Process::start(&home, &["topics", "create"])?;
        let mut cluster = Self {
            doors: Vec::new(),
            kafka,
            nodes: BTreeMap::new(),
            _edges: Vec::new(),
            home,
        };
        for node in STATE_NODES {
            cluster.restart(node)?;
        }
        for edge in EDGES {
            let (process, line) = Process::start(&cluster.home, &["edge", "--name", edge])?;
            cluster.doors.push(cluster.home.door(&line)?);
            cluster._edges.push(process);
        }
        Ok(cluster)
    }

    /// Makes so many more entities, and one of 4 MiB.
    pub(super) fn fill(&self, cells: u32) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            sow(&self.doors[0], cells, CELL_BYTES).await?;
            grow(&self.doors[0]).await
        })
    }

    /// Starts a state node, and returns when it says that it is ready.
    pub(super) fn restart(&mut self, node: &'static str) -> Result<()> {
        let disk = self.home.path().join(node);
        let disk = disk.to_str().context("the path is UTF-8")?;
        let words = ["state-node", "--name", node, "--data", disk];
        let mut more = Vec::new();
        if node == SEVERABLE {
            let brokers = self.kafka.bootstrap_of(Listener::Severable)?;
            more.push(("XP__KAFKA__BROKERS", list(&brokers)));
        }
        let started = Process::start_answering(&self.home, &words, &more)?;
        self.nodes.insert(node, started);
        Ok(())
    }

    /// Where every node answers over HTTP.
    pub(super) fn answering(&self) -> Vec<SocketAddr> {
        let nodes = self.nodes.values().map(|(_, addr)| *addr);
        nodes
            .chain(self.doors.iter().map(|door| door.addr))
            .collect()
    }

    pub(super) fn kill(&mut self, node: &str) -> Result<()> {
        let (process, _) = self.nodes.remove(node).context("it runs")?;
        process.kill()
    }

    /// Another process takes its place.
    pub(super) fn renew(&mut self, node: &'static str) -> Result<()> {
        self.kill(node)?;
        self.restart(node)
    }

    /// SIGTERM, and waits for its end.
    pub(super) fn terminate(&mut self, node: &str) -> Result<()> {
        let (process, _) = self.nodes.remove(node).context("it runs")?;
        process.signal(Signal::TERM)?;
        process.wait()
    }

    pub(super) fn signal(&self, node: &str, signal: Signal) -> Result<()> {
        self.nodes[node].0.signal(signal)
    }
}

/// The brokers as a TOML list of strings.
fn list(bootstrap: &str) -> String {
    let brokers: Vec<_> = bootstrap.split(',').collect();
    format!("{brokers:?}")
}
