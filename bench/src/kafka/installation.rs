//! A broker, a state node and an edge.

use std::time::Duration;

use anyhow::{Context, Result};
use xp_local_kafka::{LocalKafka, Options};

use crate::figures::cpu;
use crate::node::{Door, Home, Process};

pub(super) struct Installation {
    door: Door,
    edge: Process,
    state_node: Process,
    kafka: LocalKafka,
    _home: Home,
}

impl Installation {
    pub(super) fn start(partitions: u32) -> Result<Self> {
        let kafka = LocalKafka::start(Options::one())?;
        let home = Home::new(&format!(
            "[kafka]\nbrokers = [\"{}\"]\nreplication = 1\nmin-insync = 1\n[lanes.main]\npartitions = {partitions}\n",
            kafka.bootstrap()
        ))?;
        Process::start(&home, &["topics", "create"])?;
        let (state_node, _) = Process::start(&home, &["state-node"])?;
        let (edge, line) = Process::start(&home, &["edge"])?;
        Ok(Self {
            door: home.door(&line)?,
            edge,
            state_node,
            kafka,
            _home: home,
        })
    }

    pub(super) fn bootstrap(&self) -> String {
        self.kafka.bootstrap()
    }

    pub(super) fn door(&self) -> &Door {
        &self.door
    }

    pub(super) fn cpu(&self) -> Result<Cpu> {
        let broker = self.kafka.pid(0).context("the broker runs")?;
        Ok(Cpu {
            edge: self.edge.cpu()?,
            state_node: self.state_node.cpu()?,
            broker: cpu(broker)?,
        })
    }
}

/// Seconds of user and system time.
#[derive(Clone, Copy)]
pub(super) struct Cpu {
    edge: f64,
    state_node: f64,
    broker: f64,
}

/// A process and its share.
pub(super) type Part = (&'static str, fn(&Cpu) -> f64);

pub(super) const PARTS: [Part; 3] = [
    ("edge", |cpu| cpu.edge),
    ("state node", |cpu| cpu.state_node),
    ("broker", |cpu| cpu.broker),
];

impl Cpu {
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            edge: self.edge - before.edge,
            state_node: self.state_node - before.state_node,
            broker: self.broker - before.broker,
        }
    }

    fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self {
            edge: change(self.edge),
            state_node: change(self.state_node),
            broker: change(self.broker),
        }
    }

    /// Microseconds for each of so many commands.
    pub(super) fn per(&self, commands: u64) -> Self {
        self.map(|seconds| seconds / commands as f64 * 1e6)
    }

    /// Percent of one core.
    pub(super) fn share(&self, of: Duration) -> Self {
        self.map(|seconds| seconds / of.as_secs_f64() * 100.0)
    }
}
