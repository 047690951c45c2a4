//! Identifiers and units, each a type of its own so that none is mistaken for another.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A client's logical connection to one entity. The client chooses it and keeps it across sockets.
    ConnectionId
}
id! {
    /// One start of one node's process.
    Incarnation
}
id! {
    /// Names one claim, so that the same claim appended twice is recognised (R2).
    ClaimId
}
id! {
    /// Names one life of an inbound log, whose offsets start anew with every life (R4).
    LogIdentity
}
number! {
    /// Rises with every dial of one connection id; orders its sockets (R27).
    DialAttempt(u64)
}
number! {
    /// Rises with every claim that one process makes of a partition; orders its claims under one view (R2).
    ClaimAttempt(u64)
}
number! {
    /// How many commits an entity has seen.
    Revision(u64)
}
number! {
    /// A record's position in one partition of one topic, counted from 0.
    Offset(u64)
}
number! {
    /// The offset of the claim under which a record was written (R2).
    Epoch(u64)
}
number! {
    /// A record's number within its epoch, dense from 1 (R3).
    Seq(u64)
}
number! {
    /// One slice of a topic.
    PartitionId(u32)
}
number! {
    /// A session's command number: 1, 2, 3 … without holes (R30).
    MessageNumber(u64)
}
number! {
    /// A deferred answer, unique within its entity.
    TicketId(u64)
}
number! {
    /// Milliseconds since the Unix epoch.
    TimeMs(u64)
}

impl TimeMs {
    /// This time, `ms` milliseconds later; stays at the end of time instead of overflowing.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this time; 0 when `earlier` is later.
    #[must_use]
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How much of the `cluster` log a node had folded: (generation, offset). Orders claims (R2).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct View {
    /// Rises when the `cluster` log is recreated.
    pub generation: u64,
    /// The last folded offset.
    pub offset: Offset,
}
