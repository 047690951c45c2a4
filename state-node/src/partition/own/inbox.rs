//! The position of an owner in `inbound`, and what the edges know of it (R42).
//!
//! After so much that both sides have agreed on it says what it has taken, to the edges that it has heard since: they hold
//! back what they would append. Where little is said, nothing is; a successor begins with it, because what the last owner
//! said may have died with it.
//!
//! A hole in `inbound` are messages that are gone before they were taken, because the log keeps only so much of them and
//! the partition was too far behind. Whatever they were, nobody was told that they had been taken. Commands and queries
//! their clients send again, tells and their confirmations their sources. Only who said goodbye says it once, so the edges
//! are asked which of the sockets that count as attached they still hold; when they have the question, the partition goes
//! on behind the hole. Until then its position stays before it: a successor finds the same hole, and asks as well.

use std::collections::BTreeSet;

use bytes::BytesMut;
use xp_protocol::cluster::Kind;
use xp_protocol::flow::NOTICE;
use xp_protocol::outbound::{Item, Outbound, Recipients};
use xp_protocol::{Incarnation, LanePartition, Offset, PartitionId, TimeMs, codec};
use xp_transport::{Now, Record, Stored};

use super::super::core::Core;
use super::outbox::Outbox;
use super::untold::Untold;

/// How often a partition that is overrun again and again says so, in milliseconds.
const SAID_AGAIN_MS: u64 = 10_000;

/// The position in `inbound`.
pub(super) struct Inbox {
    /// The next offset to look at.
    next: Offset,
    untold: Untold,
    /// While the edges are asked about a hole, nothing is read.
    hole: Option<Hole>,
    /// Messages that were missed and not spoken of.
    missed: u64,
    missed_said: Option<TimeMs>,
}

/// Messages that are gone from `inbound` untaken.
struct Hole {
    /// Where `inbound` goes on.
    first: Offset,
    /// How many records had left with the last of the questions; none while they are at the gate.
    left: Option<u64>,
}

impl Inbox {
    pub(super) fn new(next: Offset) -> Self {
        Self {
            next,
            untold: Untold::default(),
            hole: None,
            missed: 0,
            missed_said: None,
        }
    }

    /// The next offset to look at.
    pub(super) fn next(&self) -> Offset {
        self.next
    }

    /// A record is taken, unless it was before.
    pub(super) fn take(&mut self, stored: &Stored) -> bool {
        if stored.offset < self.next {
            return false;
        }
        self.next = stored.offset.next();
        self.untold.took(stored);
        true
    }

    /// The message that was taken last is of this edge.
    pub(super) fn heard(&mut self, edge: Incarnation) {
        self.untold.from(edge);
    }

    /// Says to every edge what was taken.
    pub(super) fn say_to_all(&mut self, core: &mut Core, outbox: &mut Outbox, commit: Offset) {
        let members = core.placement.members.iter();
        self.untold.heard = members.map(|(member, ..)| member).collect();
        self.say(core, outbox, commit);
    }

    /// Says what was taken, if it is much.
    pub(super) fn say_if_much(&mut self, core: &mut Core, outbox: &mut Outbox, commit: Offset) {
        if self.untold.weight >= NOTICE {
            self.say(core, outbox, commit);
        }
    }

    fn say(&mut self, core: &mut Core, outbox: &mut Outbox, commit: Offset) {
        let untold = std::mem::take(&mut self.untold);
        let record = taken(core.setting.partition.partition, self.next);
        let to = listened(core, &untold.heard);
        outbox.emit_last(core, commit, to, &record);
    }

    /// `inbound` begins at `first` now. Whether something is gone that was not taken.
    pub(super) fn miss(&mut self, partition: &LanePartition, first: Offset, now: Now) -> bool {
        if first <= self.next {
            return false;
        }
        self.hole = Some(Hole { first, left: None });
        self.report(partition, first, now);
        true
    }

    fn report(&mut self, partition: &LanePartition, first: Offset, now: Now) {
        let from = self.next;
        self.missed += first.0 - from.0;
        let said = self.missed_said;
        if said.is_some_and(|said| now.running.since_ms(said) < SAID_AGAIN_MS) {
            return;
        }
        self.missed_said = Some(now.running);
        let missed = std::mem::take(&mut self.missed);
        tracing::warn!(
            %partition, missed, %from, %first,
            "messages were dropped from inbound before they were taken, none of them acknowledged to a client; they \
             come again, and the partition goes on: it is slower than what it is told, or inbound keeps too little"
        );
    }

    /// The questions have left the gate, among so many records.
    pub(super) fn asked(&mut self, left: u64) {
        if let Some(hole) = &mut self.hole {
            hole.left = Some(left);
        }
    }

    /// Whether the edges are asked about a hole.
    pub(super) fn has_hole(&self) -> bool {
        self.hole.is_some()
    }

    /// Where `inbound` goes on behind a hole, once the edges have the questions: so many records have arrived.
    pub(super) fn close_hole(&mut self, arrived: u64) -> Option<Offset> {
        let asked = |hole: &mut Hole| hole.left.is_some_and(|left| left <= arrived);
        self.hole.take_if(asked).map(|hole| hole.first)
    }

    /// Nothing before `first` is there to be taken.
    pub(super) fn skip_to(&mut self, first: Offset) {
        self.next = self.next.max(first);
    }
}

/// Where these edges listen.
fn listened(core: &Core, edges: &BTreeSet<Incarnation>) -> BTreeSet<PartitionId> {
    let members = core.placement.members.iter();
    let outbound = members.filter_map(|(member, who, _)| match who.kind {
        Kind::Edge { outbound } if edges.contains(&member) => Some(outbound),
        Kind::Edge { .. } | Kind::StateNode => None,
    });
    outbound.collect()
}

/// A record about a partition has no key.
fn taken(partition: PartitionId, upto: Offset) -> Record {
    let mut header = Outbound::default();
    let item = Item::Taken { partition, upto };
    header.deliver(&mut BytesMut::new(), Recipients::Everybody, item, &[]);
    Record {
        header: codec::encode(&header).into(),
        ..Record::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(offset: u64) -> Stored {
        Stored {
            offset: Offset(offset),
            time: TimeMs(0),
            record: Record::default(),
        }
    }

    fn missed(inbox: &mut Inbox, first: u64) -> bool {
        let partition = LanePartition {
            lane: "main".into(),
            partition: PartitionId(0),
        };
        inbox.miss(&partition, Offset(first), Now::steady(TimeMs(0)))
    }

    #[test]
    fn a_record_is_taken_once() {
        let mut inbox = Inbox::new(Offset(5));
        assert!(!inbox.take(&stored(4)) && inbox.take(&stored(5)) && !inbox.take(&stored(5)));
        assert_eq!(inbox.next(), Offset(6));
    }

    #[test]
    fn a_hole_is_closed_once_the_edges_have_its_questions() {
        let mut inbox = Inbox::new(Offset(5));
        assert!(!missed(&mut inbox, 5), "nothing is gone that was not taken");
        assert!(missed(&mut inbox, 9) && inbox.has_hole());
        assert_eq!(inbox.close_hole(100), None, "they have not left");
        inbox.asked(7);
        assert_eq!(inbox.close_hole(6), None, "one of them has not arrived");
        assert_eq!(inbox.next(), Offset(5), "a successor finds the same hole");
        assert_eq!(inbox.close_hole(7), Some(Offset(9)));
        inbox.skip_to(Offset(9));
        assert!(inbox.next() == Offset(9) && !inbox.has_hole());
    }
}
