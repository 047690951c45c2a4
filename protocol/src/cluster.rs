//! Records of the `cluster` log.

use serde::{Deserialize, Serialize};

use crate::codec::Format;
use crate::ids::{Incarnation, Offset, PartitionId, TimeMs};

/// One record of `cluster`; its header holds it, key and value are empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Member {
    /// A process joins. A new incarnation of a stable name replaces the old one (R17).
    Join {
        /// The process.
        incarnation: Incarnation,
        /// Its stable name and kind.
        who: Who,
    },
    /// It is alive, as it was said before members introduced themselves with it. Read, no longer written.
    Heartbeat {
        /// The process.
        incarnation: Incarnation,
        /// Its own clock when it sent this, by which it alone measures its lease (R13).
        sent: TimeMs,
    },
    /// It leaves in order.
    Leave {
        /// The process.
        incarnation: Incarnation,
    },
    /// It is alive. Names everything that its Join did, because the log keeps that for an hour only.
    Alive {
        /// The process.
        incarnation: Incarnation,
        /// Its stable name and kind.
        who: Who,
        /// Where its Join is, or was.
        joined: Offset,
        /// Its own clock when it sent this, by which it alone measures its lease (R13).
        sent: TimeMs,
    },
}

impl Format for Member {
    const NAME: &'static str = "cluster";
    const VERSION: u8 = 1;
}

/// A member's stable name and kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Stays the same across restarts.
    pub name: Box<str>,
    /// What it does.
    pub kind: Kind,
}

/// What a member does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Holds entities.
    StateNode,
    /// Holds sockets.
    Edge {
        /// The outbound partition it reads, fixed for its incarnation (R25).
        outbound: PartitionId,
    },
}
