//! The positions that say what has been taken and has left (R15), and the end in order (R17).

use std::collections::{BTreeMap, BTreeSet};

use xp_protocol::codec;
use xp_protocol::events::{Cause, Checkpoint, Event, Trying};
use xp_protocol::inbound::{Inbound, Message};
use xp_protocol::{LanePartition, Offset, Seq, TimeMs};
use xp_transport::{Now, Record};

use super::super::core::Core;
use super::super::exit::{Exit, Step};
use super::{Owner, Suspect};
use crate::fold::Fold;
use crate::gate::Output;

/// What the last checkpoint said, and what the next one will.
pub(super) struct Positions {
    at: TimeMs,
    inbound: Offset,
    sent: Offset,
    /// The number of a checkpoint that is not committed yet, and where an owner that has folded it begins in `inbound`.
    uncommitted: Option<(Seq, Offset)>,
    tells: BTreeMap<LanePartition, u64>,
    /// Sources that have told since.
    told_by: BTreeSet<LanePartition>,
}

impl Positions {
    /// Those of the last owner.
    pub(super) fn new(fold: &Fold, now: TimeMs) -> Self {
        Self {
            at: now,
            inbound: fold.inbound.next(),
            sent: fold.effects.sent(),
            uncommitted: None,
            tells: BTreeMap::new(),
            told_by: BTreeSet::new(),
        }
    }

    /// A source has told: it hears how much of it has been taken.
    pub(super) fn told_by(&mut self, source: &LanePartition) {
        self.told_by.insert(source.clone());
    }

    /// What a checkpoint says was taken of `inbound`, once all up to this number is committed: whoever owns next begins
    /// behind it. Asked for once.
    pub(super) fn take_committed(&mut self, committed: Seq) -> Option<Offset> {
        let checkpoint = self.uncommitted.take_if(|(seq, _)| *seq <= committed)?;
        Some(checkpoint.1)
    }

    /// When they were recorded last.
    pub(super) fn at(&self) -> TimeMs {
        self.at
    }
}

impl Owner {
    /// R15: positions are recorded at least once a second, also when only queries came.
    pub(super) fn checkpoint(&mut self, core: &mut Core, now: Now) {
        let limits = &core.setting.limits;
        let since_ms = now.running.since_ms(self.positions.at);
        if since_ms < limits.records.checkpoint.ms() {
            return;
        }
        // R36: a quiet partition says so now and then, so that its snapshot stays ahead of retention.
        let is_due = since_ms >= limits.records.quiet.ms();
        for source in std::mem::take(&mut self.positions.told_by) {
            let record = tells_taken(&core.setting.partition, &core.fold, &source, now);
            // Behind the gate, so that nothing uncommitted is confirmed.
            self.writer
                .outbox
                .put(core, Output::Confirm(source, record));
        }
        if self.has_news() || is_due {
            self.append_checkpoint(core, now.running);
        }
    }

    pub(super) fn append_checkpoint(&mut self, core: &mut Core, at: TimeMs) {
        let tells_taken: Vec<_> = self
            .tells
            .ends()
            .filter(|(_, number)| *number > 0)
            .map(|(target, number)| (target.clone(), number))
            .collect();
        let (inbound, sent) = (self.inbox.next(), self.writer.sent());
        self.positions.at = at;
        self.positions.inbound = inbound;
        self.positions.sent = sent;
        self.positions.tells = tells_taken.iter().cloned().collect();
        let event = Event::Checkpoint(Checkpoint {
            epoch: core.epoch(),
            seq: core.fold.seq.next(),
            sent,
            inbound,
            tells_taken,
            hashes: core.snapshots.take_hashes(),
        });
        self.writer.append_bare(core, &event);
        self.positions
            .uncommitted
            .get_or_insert((core.fold.seq, core.fold.inbound.next()));
    }

    /// Says in the log that a message is about to be decided (R16).
    pub(super) fn append_trying(&mut self, core: &mut Core, (offset, name): Suspect) {
        let trying = Trying {
            epoch: core.epoch(),
            seq: core.fold.seq.next(),
            sent: self.writer.sent(),
            cause: Cause::Inbound(offset),
        };
        let event = match name {
            Some(name) => Event::TryingNamed(trying, name),
            None => Event::Trying(trying),
        };
        self.writer.append_bare(core, &event);
    }

    fn has_news(&self) -> bool {
        let noted = &self.positions;
        let of = |target: &LanePartition| noted.tells.get(target).copied().unwrap_or_default();
        let is_confirmed = |(target, number): (&LanePartition, u64)| number > of(target);
        self.inbox.next() > noted.inbound
            || noted.sent < self.writer.appends.effects_before()
            || self.tells.ends().any(is_confirmed)
    }

    /// R17: `Release` follows once all that was decided is committed and has arrived; behind it, as soon as it is
    /// committed itself, the partition is followed: everything in memory is committed, so who released goes on as a mirror
    /// with it (R18).
    pub(super) fn finish_release(&mut self, core: &mut Core, now: Now) -> Step {
        let waits = !self.writer.is_drained() && !self.writer.is_released();
        if !self.releasing || self.writer.is_spoilt() || waits {
            return Ok(());
        }
        // What was taken without a commit, the next owner need not look at again.
        if !self.writer.is_released() && self.inbox.next() > core.fold.inbound.next() {
            self.append_checkpoint(core, now.running);
            return Ok(());
        }
        match self.writer.release(core) {
            Some(next) => Err(Exit::Follow(next)),
            None => Ok(()),
        }
    }
}

/// Message to `source` which of its tells this partition has taken (R34).
fn tells_taken(partition: &LanePartition, fold: &Fold, source: &LanePartition, now: Now) -> Record {
    let message = Message::TellsTaken {
        taker: partition.clone(),
        number: fold.tells.last_taken(source),
    };
    let inbound = Inbound {
        time: now.time,
        trace: None,
        message,
    };
    Record {
        header: codec::encode(&inbound).into(),
        ..Record::default()
    }
}
