//! The owners of partitions, by a fold of the `cluster` log of the test's own.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use xp_cluster::Members;
use xp_protocol::cluster::Member;
use xp_protocol::{Address, Incarnation, LanePartition};
use xp_transport::kafka::{Config, Kafka};

use crate::installation::Victim;
use crate::kafka::{LANE, PARTITIONS};
use crate::process::PATIENCE;

/// How often the log is looked at while something is waited for.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct Owners {
    log: Kafka,
    victims: Vec<Victim>,
}

impl Owners {
    pub(crate) async fn of(victims: Vec<Victim>, bootstrap: &str) -> Self {
        let brokers: Vec<_> = bootstrap.split(',').collect();
        let log = Kafka::connect(Config::at(&brokers)).await.unwrap();
        Self { log, victims }
    }

    /// The members as of the end of the log.
    async fn members(&self) -> Members {
        xp_cluster::log::enter(&self.log, 1).await.unwrap().0
    }

    /// Waits until somebody should own the board's partition, and says who.
    pub(crate) async fn of_board(&self, board: &str) -> Victim {
        let partition = partition(board);
        let owner = |members: &Members| self.owner(members, &partition);
        self.until("somebody owns the board", owner).await
    }

    /// Moves the board's partition to this node, and waits until it is there.
    pub(crate) async fn give(&self, board: &str, node: Victim) {
        let partition = partition(board);
        let moved = Member::Move {
            partition: partition.clone(),
            to: Some(node.0.into()),
        };
        xp_cluster::log::append(&self.log, &moved).await.unwrap();
        let owns = |members: &Members| (self.owner(members, &partition)? == node).then_some(());
        self.until("the node owns the board", owns).await;
    }

    fn owner(&self, members: &Members, partition: &LanePartition) -> Option<Victim> {
        let owner = members.owner(partition)?;
        self.victim(&members.get(owner)?.0.name)
    }

    fn victim(&self, name: &str) -> Option<Victim> {
        let mut victims = self.victims.iter();
        victims.find(|victim| victim.0 == name).copied()
    }

    /// A member's incarnation, once it has one that is not `former`.
    pub(crate) async fn incarnation(
        &self,
        victim: Victim,
        former: Option<Incarnation>,
    ) -> Incarnation {
        self.until("it is a member again", |members| {
            let mut all = members.iter();
            let its_own = all.find(|(_, who, _)| *who.name == *victim.0);
            let incarnation = its_own.map(|(incarnation, ..)| incarnation);
            incarnation.filter(|incarnation| Some(*incarnation) != former)
        })
        .await
    }

    /// Waits until the member is one no longer.
    pub(crate) async fn evicted(&self, incarnation: Incarnation) {
        self.until("it is evicted", |members| {
            (!members.is_alive(incarnation)).then_some(())
        })
        .await;
    }

    async fn until<T>(&self, what: &str, holds: impl Fn(&Members) -> Option<T>) -> T {
        let held = async {
            loop {
                if let Some(found) = holds(&self.members().await) {
                    return found;
                }
                sleep(LOOK).await;
            }
        };
        let held = timeout(PATIENCE, held).await;
        held.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
    }
}

fn partition(board: &str) -> LanePartition {
    let address: Address = format!("board/{board}").parse().unwrap();
    LanePartition {
        lane: LANE.into(),
        partition: address.partition(PARTITIONS),
    }
}
