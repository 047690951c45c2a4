//! What a partition knows besides its fold: as a follower, or as the owner.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use xp_protocol::events::Commit;
use xp_protocol::{
    Address, Attempt, ClaimId, ConnectionId, LanePartition, Offset, PartitionId, Revision, Seq,
    TimeMs,
};
use xp_transport::Record;

use crate::entity::Floor;
use crate::gate::{Emitter, Gate};
use crate::store::Batch;

#[derive(Clone)]
pub(super) struct Unsent {
    pub(super) offset: Offset,
    pub(super) address: Address,
    pub(super) commit: Arc<Commit>,
}

pub(super) enum Role {
    /// Reads the log; `from` is the next offset it wants.
    Following(Following),
    Owning(Box<Owner>),
    /// Thrown away; every input is ignored.
    Over,
}

pub(super) struct Following {
    /// Records up to here were folded into the snapshot already and are only looked through.
    pub(super) snapshot_end: Option<Offset>,
    pub(super) next: Offset,
    pub(super) claiming: Option<Claiming>,
}

pub(super) struct Claiming {
    pub(super) id: ClaimId,
    pub(super) attempt: u64,
}

/// What only the owner has.
pub(super) struct Owner {
    /// The expected offset of number s is `base + s`, when nothing foreign lies between (R10).
    pub(super) base: u64,
    pub(super) committed: Seq,
    /// Appended and not committed, in order.
    pub(super) uncommitted: VecDeque<Uncommitted>,
    pub(super) acknowledged: BTreeMap<Seq, Offset>,
    pub(super) round: u64,
    /// Records decided since the last `Action::Append`.
    pub(super) fresh: Vec<Record>,
    pub(super) reading_gap: bool,
    pub(super) repeat_at: Option<TimeMs>,
    /// Whether the last append failed, so that a full disk is told of once.
    pub(super) failing: bool,
    pub(super) gate: Gate,
    pub(super) emitter: Emitter,
    pub(super) emit_again_at: Option<TimeMs>,
    /// Answers to queries that wait for the lease (R13).
    pub(super) leased: Vec<(PartitionId, Record)>,
    /// The next inbound offset to look at.
    pub(super) inbound: Offset,
    pub(super) checkpointed: Checkpointed,
    pub(super) tells: BTreeMap<LanePartition, Tells>,
    pub(super) tells_taken_dirty: BTreeSet<LanePartition>,
    pub(super) rescans: BTreeMap<u64, Rescanning>,
    pub(super) next_rescan: u64,
    pub(super) releasing: bool,
    /// An instance failed while it applied events: nothing more is decided with what is in memory.
    pub(super) spoilt: bool,
    pub(super) released: Option<Seq>,
    pub(super) snapshot: Option<(Seq, u64, Batch)>,
}

pub(super) struct Uncommitted {
    pub(super) record: Record,
    /// Whether it has effects that a checkpoint should note as sent.
    pub(super) effects: bool,
}

pub(super) struct Checkpointed {
    pub(super) at: TimeMs,
    pub(super) inbound: Offset,
    pub(super) sent: Offset,
    pub(super) effects_before: Offset,
    pub(super) tells: BTreeMap<LanePartition, u64>,
}

#[derive(Default)]
pub(super) struct Tells {
    pub(super) confirmed: u64,
    pub(super) sent_at: TimeMs,
    /// The last number that has left the gate.
    pub(super) sent: u64,
    /// They go out again at once: an earlier owner may not have sent them.
    pub(super) again: bool,
}

impl Tells {
    pub(super) fn again(sent: u64) -> Self {
        Self {
            sent,
            again: true,
            ..Self::default()
        }
    }
}

pub(super) struct Rescanning {
    pub(super) address: Address,
    pub(super) connection: ConnectionId,
    pub(super) attempt: Attempt,
    pub(super) since: Revision,
    pub(super) upto: Revision,
    pub(super) floor: Floor,
    pub(super) announce: bool,
}

impl Owner {
    /// Whether it decides; at the bound on uncommitted records it pauses (R9).
    pub(super) fn is_deciding(&self, uncommitted_max: usize) -> bool {
        !self.releasing && !self.spoilt && self.uncommitted.len() < uncommitted_max
    }
}
