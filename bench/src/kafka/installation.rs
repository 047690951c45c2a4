//! A broker, a state node and an edge.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use xp_local_kafka::{LocalKafka, Options};

use crate::figures::median;
use crate::node::{self, Door, Home, Process};

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
            broker: node::cpu(broker)?,
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

/// The same for one command.
pub(super) struct Cost(Cpu);

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

    pub(super) fn per(&self, commands: u64) -> Cost {
        Cost(self.map(|seconds| seconds / commands as f64 * 1e6))
    }

    /// In words, as shares of one core.
    pub(super) fn share(&self, of: Duration) -> String {
        let Self {
            edge,
            state_node,
            broker,
        } = self.map(|seconds| seconds / of.as_secs_f64() * 100.0);
        format!("edge {edge:.1} %, state node {state_node:.1} %, broker {broker:.1} %")
    }

    pub(super) fn median(costs: &[Cost]) -> Cost {
        let middle = |of: fn(&Cpu) -> f64| median(costs.iter().map(|cost| of(&cost.0)).collect());
        Cost(Self {
            edge: middle(|cpu| cpu.edge),
            state_node: middle(|cpu| cpu.state_node),
            broker: middle(|cpu| cpu.broker),
        })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cpu {
            edge,
            state_node,
            broker,
        } = self.0;
        write!(
            f,
            "edge {edge:.0} µs, state node {state_node:.0} µs, broker {broker:.0} µs"
        )
    }
}
