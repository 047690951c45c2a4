//! Records of the `cluster` log.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::codec::Format;
use crate::events::Event;
use crate::ids::{Incarnation, Offset, PartitionId, TimeMs};
use crate::inbound::Inbound;
use crate::lane::LanePartition;
use crate::outbound::Outbound;

/// One record of `cluster`; its header holds it, key and value are empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Member {
    /// A process joins. A new incarnation of a stable name replaces the old one (R17).
    Join {
        /// The process, which is not a member before this record.
        incarnation: Incarnation,
        /// Who it is.
        who: Who,
    },
    /// It is alive. Names everything that its Join did, because the log keeps that for an hour only.
    Alive {
        /// The process that says so.
        incarnation: Incarnation,
        /// Who it is.
        who: Who,
        /// Where its Join is, or was.
        joined: Offset,
        /// For how long it had been running when it sent this, by which it alone measures its lease (R13): nobody can set
        /// that.
        sent: TimeMs,
        /// It is about to leave in order, and hands its partitions over.
        leaving: bool,
        /// The partitions that it has folded up to their end, and could own at once.
        warm: Vec<LanePartition>,
    },
    /// It leaves in order.
    Leave {
        /// The process, which is no member any more from here on.
        incarnation: Incarnation,
    },
    /// What the lanes are from here on, if the version is higher than the last.
    Lanes(Definitions),
    /// The fold of this log itself, so that who joins need not read all of it (R37).
    Fold {
        /// The last offset that it holds.
        upto: Offset,
        /// The fold, encoded.
        members: Bytes,
    },
    /// A person asks that a node own nothing as long as others can, or takes that back.
    Drain {
        /// The node's stable name.
        name: Box<str>,
        /// Whether it is to be drained.
        drained: bool,
    },
    /// A person asks that a partition be owned by this node as long as it can be, or leaves it to placement again.
    Move {
        /// The partition that is to be moved.
        partition: LanePartition,
        /// The node's stable name.
        to: Option<Box<str>>,
    },
}

impl Format for Member {
    const NAME: &'static str = "cluster";
    const VERSION: u8 = 2;
}

/// A member as it describes itself, the same for all its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Stays the same across restarts.
    pub name: Box<str>,
    /// What it does.
    pub kind: Kind,
    /// Where people find it, as host and port; may be empty.
    pub address: Box<str>,
    /// Its share of the partitions, beside the weights of the others. One of weight 0 owns only what no other can.
    pub weight: u16,
    /// What placement may ask for, such as `region = "eu"`.
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// The highest version that it reads of each format (R38).
    pub formats: BTreeMap<Box<str>, u8>,
    /// The version of the lane definitions that it was started with.
    pub lanes: u32,
}

/// The weight of a member that was not given one.
pub const WEIGHT: u16 = 100;

impl Who {
    /// A member of the usual weight that reads what this build reads.
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            address: Box::default(),
            weight: WEIGHT,
            labels: BTreeMap::new(),
            formats: formats(),
            lanes: 0,
        }
    }
}

/// The fold of this log and its version, which rises when equal records would be folded to other members than before:
/// who folds otherwise would name other owners.
pub const FOLD: (&str, u8) = ("members", 2);

/// The highest version that this build reads of each format that goes over a log.
#[must_use]
pub fn formats() -> BTreeMap<Box<str>, u8> {
    let version = |name: &str, version| (name.into(), version);
    BTreeMap::from([
        version(Member::NAME, Member::VERSION),
        version(FOLD.0, FOLD.1),
        version(Event::NAME, Event::VERSION),
        version(Inbound::NAME, Inbound::VERSION),
        version(Outbound::NAME, Outbound::VERSION),
    ])
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// It holds entities: it owns and mirrors partitions.
    StateNode,
    /// It holds sockets, and owns nothing.
    Edge {
        /// The outbound partition it reads, fixed for its incarnation (R25).
        outbound: PartitionId,
    },
}

/// All lanes, in one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    /// The highest one holds.
    pub version: u32,
    /// The lanes by name.
    pub lanes: BTreeMap<Box<str>, Definition>,
}

/// One lane, as far as all nodes must agree on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Partitions of `inbound` and `events`; never changed.
    pub partitions: u32,
    /// Partitions of `outbound`; never changed.
    pub outbound_partitions: u32,
    /// The categories it serves.
    pub categories: Vec<Box<str>>,
    /// Where its partitions live.
    pub placement: Placement,
}

/// Where the partitions of a lane live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// A member must have all of these labels. The label `name` is every member's stable name.
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// How many members mirror each partition, beside its owner.
    pub standbys: u8,
    /// The node that owns them all while it can, by its stable name.
    pub pin: Option<Box<str>>,
}

impl Default for Placement {
    fn default() -> Self {
        Self {
            labels: BTreeMap::new(),
            standbys: 1,
            pin: None,
        }
    }
}
