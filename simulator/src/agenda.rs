//! The agenda of a run: what is due, for whom, and what each append is for.

use std::collections::BTreeMap;

use xp_protocol::{Address, ClaimId, Offset, Revision, TimeMs};
use xp_state_node::partition::Faulted;
use xp_state_node::store::Batch;
use xp_state_node::tells::TellId;

use super::deeds::Deed;
use super::disk::Disk;
use super::names::{ClientId, EdgeId, NodeId, SocketId};
use super::partition_name::PartitionName;

/// What is due, by its time and the order in which it was planned.
#[derive(Default)]
pub(super) struct Agenda {
    due: BTreeMap<(TimeMs, u64), Due>,
    planned: u64,
}

impl Agenda {
    pub(super) fn plan(&mut self, when: TimeMs, due: Due) {
        self.due.insert((when, self.planned), due);
        self.planned += 1;
    }

    /// When the next thing is due.
    pub(super) fn next_at(&self) -> Option<TimeMs> {
        self.due.first_key_value().map(|((when, _), _)| *when)
    }

    pub(super) fn next(&mut self) -> Option<Due> {
        self.due.pop_first().map(|(_, due)| due)
    }
}

/// Something that is due for a process.
#[derive(Debug)]
pub(super) enum Due {
    Node(NodeId, NodeDue),
    Edge(EdgeId, EdgeDue),
    Client(ClientId, ClientDue),
    Chaos(Act),
}

/// What an append's answer is for.
#[derive(Debug)]
pub(super) enum Asker {
    Node(NodeId, NodeAck),
    Edge(EdgeId, EdgeAck),
    Nobody,
}

/// Something that is due for a state node.
#[derive(Debug)]
pub(super) enum NodeDue {
    Join,
    Beat,
    News,
    Tick,
    Turn(Part, u64),
    PollCluster,
    PollEvents(PartitionName),
    PollInbound(PartitionName),
    Answer(NodeAck, Option<Offset>),
    InboundEnd(Part),
    Gap(Part, Offset, Offset),
    Rescan(Part, Scan),
    Save(Part, Batch),
    FoldAnew(Part, Offset, Vec<(Address, Revision)>),
    /// What a partition publishes goes on, in one of its epochs.
    Publish(Part, u64),
    /// A partition is restored, in one of its attempts.
    Restore(PartitionName, u64),
    Reopen(PartitionName, Faulted),
}

/// What an append of a state node was for.
#[derive(Clone, Copy, Debug)]
pub(super) enum NodeAck {
    Join,
    Beat,
    Claim(Part),
    Batch(Part, u64, usize),
    Emitted(Part, u64),
    Told(Part, PartitionName, TellId),
    /// One of the records of an epoch.
    Published(Part, u64, usize),
    /// The mark of an attempt to restore.
    Marked(PartitionName, u64, ClaimId),
}

/// A partition in one of its lives on this process: late answers of an earlier one are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) partition: PartitionName,
    pub(super) life: u64,
}

/// A part of the log that a core wants to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    pub(super) id: u64,
    pub(super) from: Offset,
    pub(super) upto: Offset,
    pub(super) bytes_max: usize,
}

impl NodeDue {
    /// Whether it comes over the network: a process that is cut off learns of it later.
    pub(super) fn is_heard(&self) -> bool {
        matches!(
            self,
            Self::PollCluster
                | Self::PollEvents(_)
                | Self::PollInbound(_)
                | Self::InboundEnd(_)
                | Self::Gap(..)
                | Self::Rescan(..)
                | Self::Restore(..)
                | Self::Answer(_, Some(_))
        )
    }
}

impl EdgeDue {
    /// Whether it comes over the network.
    pub(super) fn is_heard(&self) -> bool {
        matches!(
            self,
            Self::PollCluster | Self::PollOutbound(_) | Self::Message(_) | Self::Answer(_, Some(_))
        )
    }
}

/// Something that is due for an edge.
#[derive(Debug)]
pub(super) enum EdgeDue {
    Join,
    Beat,
    Tick,
    PollCluster,
    PollOutbound(&'static str),
    Retry(PartitionName),
    Message(SocketId),
    Answer(EdgeAck, Option<Offset>),
}

/// What an append of an edge was for.
#[derive(Clone, Copy, Debug)]
pub(super) enum EdgeAck {
    Join,
    Lane(PartitionName, u64, usize),
}

/// Something that is due for a client.
#[derive(Debug)]
pub(super) enum ClientDue {
    Begin,
    Think,
    Tick,
    Message(SocketId),
}

/// Something that is done.
pub(super) enum Act {
    /// A deed of the run.
    Deed(Deed),
    /// A process of a node's name starts.
    StartNode(usize, Disk),
    /// An edge's process starts in place of an earlier one.
    StartEdge(usize),
    /// A node stands still once more, so many times in all.
    Stutter(NodeId, u32),
    /// Slow topics are as they were.
    Weather,
    /// The newest records of a partition are lost, acknowledged or not.
    Truncate,
    /// The oldest `events` are deleted.
    CutShort,
    /// From here on nothing goes wrong.
    Calm,
}

impl std::fmt::Debug for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Deed(_) => "Deed",
            Self::StartNode(..) => "StartNode",
            Self::StartEdge(_) => "StartEdge",
            Self::Stutter(..) => "Stutter",
            Self::Weather => "Weather",
            Self::Truncate => "Truncate",
            Self::CutShort => "CutShort",
            Self::Calm => "Calm",
        })
    }
}
