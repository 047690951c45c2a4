//! What a partition knows besides its fold: as a follower, or as the owner.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use xp_protocol::events::{Commit, TimerKey};
use xp_protocol::{
    Address, Attempt, ClaimId, ConnectionId, LanePartition, Offset, PartitionId, Revision, Seq,
    TimeMs,
};
use xp_transport::{Record, Stored};

use super::goodbyes::Goodbyes;
use super::untold::Untold;
use crate::fold::Rereading;
use crate::gate::{Emitter, Gate};
use crate::large::Large;
use crate::store::Batch;
use crate::tells::Tells;

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
    /// Since when this node knows that it should own the partition.
    pub(super) assigned: Option<TimeMs>,
    /// The claim that was appended and neither read back nor refused.
    pub(super) claiming: Option<ClaimId>,
    /// How often it has claimed; orders its claims under one view (R2).
    pub(super) attempts: u64,
    /// Nothing is claimed before: the last claim failed or was refused.
    pub(super) claim_from: TimeMs,
    /// Entities of a restored snapshot that have seen more than its fold, and up to where; until all is read.
    pub(super) ahead: BTreeMap<Address, Offset>,
    /// Up to where some of them has.
    pub(super) ahead_end: Option<Offset>,
}

impl Following {
    pub(super) fn new(snapshot_end: Option<Offset>, next: Offset) -> Self {
        Self {
            snapshot_end,
            next,
            assigned: None,
            claiming: None,
            attempts: 0,
            claim_from: TimeMs(0),
            ahead: BTreeMap::new(),
            ahead_end: None,
        }
    }

    /// The same, with entities that have seen more than the fold.
    pub(super) fn with_ahead(self, ahead: BTreeMap<Address, Offset>) -> Self {
        Self {
            ahead_end: ahead.values().max().copied(),
            ahead,
            ..self
        }
    }
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
    /// Timers whose words go to a partition that takes none, and when to look again, by the time for which this node has
    /// been running.
    pub(super) put_off: VecDeque<(TimeMs, (TimeMs, Address, TimerKey))>,
    pub(super) tells_taken_dirty: BTreeSet<LanePartition>,
    /// What is too large for one record, and what goes out with it at a pace (R41).
    pub(super) large: Large,
    /// Sessions that wait to be welcomed.
    pub(super) welcomes: Welcomes,
    /// Sessions that wait to be resumed from memory, and from the log.
    pub(super) resumes: VecDeque<Resume>,
    pub(super) scans: VecDeque<Resume>,
    /// The log is read for some of them.
    pub(super) scan: Option<Scan>,
    pub(super) next_scan: u64,
    /// Taken from the inbound log and not looked at yet: messages that are taken one at a time (R16).
    pub(super) held: VecDeque<Stored>,
    pub(super) caution: Caution,
    /// Until when everything is tried, because what the last owner may have died of is sent again (R16).
    pub(super) wary_until: Option<TimeMs>,
    pub(super) releasing: bool,
    /// Another node should own the partition: queries are answered no more (R13).
    pub(super) displaced: bool,
    /// An instance failed while it applied events: nothing more is decided with what is in memory.
    pub(super) spoilt: bool,
    pub(super) released: Option<Seq>,
    pub(super) snapshot: Option<(Seq, u64, Batch)>,
    pub(super) hole: Option<Hole>,
    pub(super) goodbyes: Goodbyes,
    /// Messages that were missed and not spoken of.
    pub(super) missed: u64,
    pub(super) missed_said: Option<TimeMs>,
    pub(super) untold: Untold,
}

/// Messages that are gone from `inbound` untaken (R42). While the edges are asked about them, nothing is read.
pub(super) struct Hole {
    /// Where `inbound` goes on.
    pub(super) first: Offset,
    /// How many records had left with the last of the questions; none while they are at the gate.
    pub(super) left: Option<u64>,
}

/// R16: after an epoch that ended without `Release`, some message may have ended its owner.
#[derive(Clone, Copy)]
pub(super) enum Caution {
    /// None is needed, or none any more.
    None,
    /// Up to where the suspects reach is being asked. Where they are `resent`, the inbound log that had them is gone (R4),
    /// and their clients send them again.
    Asking { resent: bool },
    /// Messages before this offset are tried before they are taken.
    Until(Offset),
    /// Those before `upto` are about to be taken, once this last record of it is committed.
    Trying {
        until: Offset,
        upto: Offset,
        seq: Seq,
    },
    /// Those before `upto` may be taken.
    Tried { until: Offset, upto: Offset },
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

/// A session that goes on behind `since`.
#[derive(Clone)]
pub(super) struct Resume {
    pub(super) address: Address,
    pub(super) connection: ConnectionId,
    pub(super) attempt: Attempt,
    pub(super) since: Revision,
    /// Its client waits for a `welcome … resumed`.
    pub(super) announce: bool,
}

/// The log is read, portion by portion, for sessions of one entity (R20).
pub(super) struct Scan {
    pub(super) id: u64,
    pub(super) address: Address,
    pub(super) sessions: Vec<Resume>,
    pub(super) judge: Rereading,
    /// Where the next portion begins, and where the last one ends.
    pub(super) next: Offset,
    pub(super) upto: Offset,
    /// The revision at that end.
    pub(super) until: Revision,
    pub(super) bytes: usize,
    /// A portion is being read.
    pub(super) reading: bool,
}

/// Sessions that wait to be welcomed, those of one entity together, the entity that has waited longest first.
#[derive(Default)]
pub(super) struct Welcomes {
    order: VecDeque<Address>,
    waiting: BTreeMap<Address, Vec<(ConnectionId, Attempt)>>,
    count: usize,
}

impl Welcomes {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// How many entities' sessions wait.
    pub(super) fn entities(&self) -> usize {
        self.order.len()
    }

    pub(super) fn push(&mut self, address: &Address, connection: ConnectionId, attempt: Attempt) {
        if !self.waiting.contains_key(address) {
            self.order.push_back(address.clone());
        }
        let waiting = self.waiting.entry(address.clone()).or_default();
        if !waiting.contains(&(connection, attempt)) {
            waiting.push((connection, attempt));
            self.count += 1;
        }
    }

    pub(super) fn pop(&mut self) -> Option<(Address, Vec<(ConnectionId, Attempt)>)> {
        let address = self.order.pop_front()?;
        let waiting = self.waiting.remove(&address).unwrap_or_default();
        self.count -= waiting.len();
        Some((address, waiting))
    }
}

impl Owner {
    /// Whether it decides; at the bound on uncommitted records, or on those under way to `outbound`, it pauses (R9).
    pub(super) fn is_deciding(&self, uncommitted_max: usize) -> bool {
        let has_room = self.uncommitted.len() < uncommitted_max && self.gate.held().is_none();
        !self.releasing && !self.spoilt && has_room
    }

    /// Whether a decision may still be made. Behind a `Release` nothing counts (R17), and a spoilt instance decides
    /// nothing.
    pub(super) fn may_decide(&self) -> bool {
        !self.spoilt && self.released.is_none()
    }

    /// Whether it reads on; while messages are held, or edges are asked about a hole, it does not.
    pub(super) fn is_reading(&self, uncommitted_max: usize) -> bool {
        self.is_deciding(uncommitted_max) && self.held.is_empty() && self.hole.is_none()
    }
}
