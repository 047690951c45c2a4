//! The partitions that are open on a node, each with what its real shell has besides the core.

mod publication;
mod inbound;

use std::collections::BTreeMap;

use xp_protocol::{Offset, Seq};
use xp_state_node::partition::Partition;
use xp_state_node::schedule::{Phase, Schedule};
use xp_transport::simulated::Cursor;
use xp_transport::{AppendError, Now};

use super::membership::Membership;
use crate::agenda::{NodeDue as Due, Part};
use crate::names::NodeId;
use crate::partition_name::PartitionName;
use crate::process::Process;
use crate::stage::Stage;

use inbound::Inbound;
use publication::Publication;

/// The records of one append that are under way.
pub(super) struct Flight {
    first: Seq,
    round: u64,
    results: Vec<Option<Result<Offset, AppendError>>>,
}

impl Flight {
    pub(super) fn new(first: Seq, round: u64, count: usize) -> Self {
        Self {
            first,
            round,
            results: vec![None; count],
        }
    }
}

/// A partition that is open.
pub(super) struct Held {
    pub(super) part: Part,
    pub(super) core: Partition,
    /// Where it reads `events`: a place that notices when the log was truncated below it.
    pub(super) cursor: Option<Cursor>,
    pub(super) inbound: Inbound,
    pub(super) flights: BTreeMap<u64, Flight>,
    pub(super) schedule: Schedule,
    pub(super) publication: Publication,
    /// It was restored from what is published when it was opened.
    pub(super) restored: bool,
    /// The turn that is planned; what was planned before it is so no longer.
    pub(super) turn: u64,
}

impl Held {
    pub(super) fn new(part: Part, core: Partition, schedule: Schedule, restored: bool) -> Self {
        Self {
            part,
            core,
            cursor: None,
            inbound: Inbound::closed(),
            flights: BTreeMap::new(),
            schedule,
            publication: Publication::default(),
            restored,
            turn: 0,
        }
    }

    /// One answer to an append; the core hears of it once all are there.
    pub(super) fn answered(
        &mut self,
        (id, index): (u64, usize),
        result: Result<Offset, AppendError>,
        now: Now,
    ) {
        let Some(flight) = self.flights.get_mut(&id) else {
            return;
        };
        flight.results[index] = Some(result);
        if flight.results.iter().any(Option::is_none) {
            return;
        }
        if let Some(flight) = self.flights.remove(&id) {
            let results: Vec<_> = flight.results.into_iter().flatten().collect();
            self.core
                .appended(flight.first, flight.round, &results, now);
        }
    }

    /// Says what has changed, and plans the next turn.
    pub(super) fn plan_turn(
        &mut self,
        now: Now,
        me: &Process<NodeId>,
        membership: &mut Membership,
        stage: &mut Stage,
    ) {
        let news = self.schedule.news(&self.core);
        let begins = news.is_some_and(Phase::is_warm) && !self.inbound.ahead().is_open();
        if begins {
            self.inbound
                .begin(self.core.fold().inbound.next(), &stage.plan);
        }
        self.turn += 1;
        let due = Due::Turn(self.part, self.turn);
        let wait_ms = self.schedule.wait_ms(&self.core, now);
        me.plan(stage, wait_ms, due);
        if begins {
            me.plan(stage, 1, Due::PollInbound(self.part.partition));
        }
        if news.is_some() {
            membership.tell(me, stage);
        }
    }
}

/// The partitions that are open.
#[derive(Default)]
pub(super) struct Partitions(BTreeMap<PartitionName, Held>);

impl Partitions {
    pub(super) fn open(&mut self, held: Held) {
        self.0.insert(held.part.partition, held);
    }

    pub(super) fn close(&mut self, partition: PartitionName) -> Option<Held> {
        self.0.remove(&partition)
    }

    pub(super) fn is_open(&self, partition: PartitionName) -> bool {
        self.0.contains_key(&partition)
    }

    /// A partition in whatever life.
    pub(super) fn at(&mut self, partition: PartitionName) -> Option<&mut Held> {
        self.0.get_mut(&partition)
    }

    /// A partition in one of its lives.
    pub(super) fn of(&mut self, part: Part) -> Option<&mut Held> {
        self.at(part.partition).filter(|held| held.part == part)
    }

    pub(super) fn partitions(&self) -> Vec<PartitionName> {
        self.0.keys().copied().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PartitionName, &Held)> {
        self.0.iter().map(|(partition, held)| (*partition, held))
    }
}
