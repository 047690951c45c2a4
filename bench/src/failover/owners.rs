//! The owners of partitions, by a fold of the `cluster` log of the bench's own; and appends to that log.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::runtime::Runtime;
use xp_cluster::Members;
use xp_protocol::cluster::{Kind, Member};
use xp_protocol::{LanePartition, PartitionId};
use xp_transport::kafka::{Config, Kafka};

use super::cluster::{LANE, PARTITIONS, STATE_NODES};
use crate::figures::now;

const LOOK: Duration = Duration::from_millis(50);
/// How long owners must stay as they are before the next trial.
const CALM: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// From partition to the owner's name.
pub(super) type Owned = BTreeMap<u32, String>;

pub(super) struct Owners {
    runtime: Runtime,
    log: Kafka,
}

pub(super) fn lane_partition(partition: u32) -> LanePartition {
    LanePartition {
        lane: LANE.into(),
        partition: PartitionId(partition),
    }
}

impl Owners {
    pub(super) fn at(bootstrap: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let brokers: Vec<_> = bootstrap.split(',').collect();
        let log = runtime.block_on(Kafka::connect(Config::at(&brokers)))?;
        Ok(Self { runtime, log })
    }

    /// The members as of the end of the log; asked again while a broker is away.
    fn members(&self) -> Result<Members> {
        let began = now();
        loop {
            let entered = xp_cluster::log::enter(&self.log, 1);
            match self.runtime.block_on(entered) {
                Ok((members, _)) => return Ok(members),
                Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => pause(LOOK),
            }
        }
    }

    pub(super) fn say(&self, member: &Member) -> Result<()> {
        let said = xp_cluster::log::append(&self.log, member);
        self.runtime.block_on(said)?;
        Ok(())
    }

    fn now(&self) -> Result<Owned> {
        let members = self.members()?;
        let named = |partition: u32| {
            let owner = members.owner(&lane_partition(partition))?;
            let (who, _) = members.get(owner)?;
            Some((partition, who.name.to_string()))
        };
        Ok((0..PARTITIONS).filter_map(named).collect())
    }

    /// Waits until all state nodes are there, everything is owned, and owners stay as they are; and says who owns what.
    pub(super) fn calm(&self) -> Result<Owned> {
        let began = now();
        let (mut since, mut last) = (now(), Owned::new());
        while began.elapsed() < PATIENCE {
            let members = self.members()?;
            let nodes = members
                .iter()
                .filter(|(_, who, _)| who.kind == Kind::StateNode);
            let are_all = nodes.count() == STATE_NODES.len();
            let owned = self.now()?;
            if owned != last || !are_all || owned.len() != PARTITIONS as usize {
                (since, last) = (now(), owned);
            } else if since.elapsed() >= CALM {
                return Ok(last);
            }
            pause(LOOK);
        }
        bail!("the cluster does not come to rest within {PATIENCE:?}")
    }

    /// A member besides the owner that may take the partition at once.
    pub(super) fn mirror(&self, partition: u32) -> Result<String> {
        let members = self.members()?;
        let mirrors = members.mirrors(&lane_partition(partition)).iter();
        let mut names = mirrors.filter_map(|mirror| Some(members.get(*mirror)?.0.name.to_string()));
        names.next().context("the partition has a mirror")
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the director has nothing else to do, and faults have lengths"
)]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}
