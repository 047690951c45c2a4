//! The appends of a run: who made each, who waits for its answer, and how many chain records are under way.

use std::collections::BTreeMap;

use xp_protocol::Offset;
use xp_state_node::large::is_large;
use xp_transport::simulated::{AppendId, ProducerId};

use super::agenda::{Asker, NodeAck, Part};
use super::names::NodeId;
use super::partition_name::PartitionName;

/// How many are under way, and the most that were.
#[derive(Clone, Copy, Default)]
struct UnderWay {
    now: usize,
    most: usize,
}

/// What is known of every append.
#[derive(Default)]
pub(super) struct Appends {
    askers: BTreeMap<AppendId, Asker>,
    authors: BTreeMap<AppendId, ProducerId>,
    /// Who wrote each record of `events`.
    writers: BTreeMap<(PartitionName, Offset), ProducerId>,
    /// Chain records on their way to `outbound`, by process and life of a partition there.
    chained: BTreeMap<(NodeId, Part), UnderWay>,
}

impl Appends {
    /// A process appends something, and `asker` waits for the answer.
    pub(super) fn made(&mut self, id: AppendId, author: ProducerId, asker: Asker) {
        if let Some(chained) = self.chained(&asker) {
            chained.now += 1;
            chained.most = chained.most.max(chained.now);
        }
        self.askers.insert(id, asker);
        self.authors.insert(id, author);
    }

    /// A record of `events` lies there now.
    pub(super) fn landed(&mut self, id: AppendId, partition: PartitionName, offset: Offset) {
        let writer = self.authors.get(&id).copied();
        let writer = writer.expect("every append has its author");
        self.writers.insert((partition, offset), writer);
    }

    /// An append is answered: who waited for that.
    pub(super) fn answered(&mut self, id: AppendId) -> Option<Asker> {
        let asker = self.askers.remove(&id)?;
        if let Some(chained) = self.chained(&asker) {
            chained.now = chained.now.saturating_sub(1);
        }
        Some(asker)
    }

    fn chained(&mut self, asker: &Asker) -> Option<&mut UnderWay> {
        match asker {
            Asker::Node(node, NodeAck::Emitted(part, emission)) if !is_large(*emission) => {
                Some(self.chained.entry((*node, *part)).or_default())
            }
            _ => None,
        }
    }

    /// Who wrote each record of `events`.
    pub(super) fn writers(
        &self,
    ) -> impl Iterator<Item = ((PartitionName, Offset), ProducerId)> + '_ {
        self.writers.iter().map(|(at, writer)| (*at, *writer))
    }

    /// The most chain records of a partition that a process had under way at once.
    pub(super) fn chained_max(&self) -> usize {
        let most = self.chained.values().map(|chained| chained.most);
        most.max().unwrap_or_default()
    }
}
