//! The writer of the log: it runs turns, appends their commits, and lets out what they say behind them.

mod run;
mod commit;
mod put_off;

use xp_protocol::events::Event;
use xp_protocol::{Offset, Seq, TimeMs};

use super::super::bare;
use super::super::core::Core;
use super::super::exit::{Exit, Step};
use super::appends::Appends;
use super::outbox::Outbox;
use super::sessions::Sessions;
use crate::draft::chain_records;
use put_off::PutOff;

pub(super) use run::{Occasion, known};

/// What decides, and what is decided and on its way.
pub(super) struct Writer {
    pub(super) appends: Appends,
    pub(super) outbox: Outbox,
    pub(super) sessions: Sessions,
    pub(super) put_off: PutOff,
    /// An instance failed while it applied events: nothing more is decided with what is in memory.
    spoilt: bool,
    /// A message has spoilt an instance and left no commit: what has been taken must be recorded, or it is met again.
    unrecorded: bool,
    /// The number of the `Release` (R17).
    released: Option<Seq>,
}

impl Writer {
    /// In an epoch whose claim has just been read back.
    pub(super) fn new(core: &Core, now: TimeMs) -> Self {
        Self {
            appends: Appends::new(core.epoch().0),
            outbox: Outbox::new(core, now),
            sessions: Sessions::default(),
            put_off: PutOff::default(),
            spoilt: false,
            unrecorded: false,
            released: None,
        }
    }

    /// R8: everything that may not have gone out goes out again.
    pub(super) fn send_again(&mut self, core: &mut Core) -> Step {
        for unsent in std::mem::take(&mut core.unsent) {
            for (partition, record) in chain_records(&unsent.address, &unsent.commit) {
                self.outbox.put_open(unsent.offset, partition, record);
            }
            self.sessions
                .welcome_again(core, &mut self.outbox, &unsent)?;
        }
        Ok(())
    }

    /// Whether a decision may still be made. Behind a `Release` nothing counts (R17), and a spoilt instance decides
    /// nothing.
    pub(super) fn may_decide(&self) -> bool {
        !self.spoilt && self.released.is_none()
    }

    pub(super) fn is_spoilt(&self) -> bool {
        self.spoilt
    }

    /// Whether more may be decided; not at the bound on uncommitted records, nor at that on those under way to `outbound`
    /// (R9).
    pub(super) fn has_room(&self, core: &Core) -> bool {
        let has_room = self.appends.uncommitted() < core.setting.limits.records.uncommitted_max;
        has_room && !self.outbox.is_held() && !self.spoilt
    }

    /// Whether something waits that only the time or an acknowledgement moves.
    pub(super) fn is_busy(&self) -> bool {
        let waits = self.sessions.waiting() > 0 || self.outbox.is_waiting();
        waits || self.appends.uncommitted() > 0
    }

    /// All effects of records before this offset have gone out.
    pub(super) fn sent(&self) -> Offset {
        self.outbox.sent(&self.appends)
    }

    /// Whether all that was decided is committed, has left, and has arrived where that matters.
    pub(super) fn is_drained(&self) -> bool {
        self.appends.uncommitted() == 0 && self.outbox.is_drained()
    }

    /// Lets sessions hear what they wait for.
    pub(super) fn serve(&mut self, core: &mut Core) {
        if !self.spoilt {
            let end = self.appends.expected(core.fold.seq).next();
            self.sessions.serve(core, &mut self.outbox, end);
        }
    }

    /// Appends a record about the whole partition; none behind a `Release`, where nothing counts (R17).
    pub(super) fn append_bare(&mut self, core: &mut Core, event: &Event) {
        // The fold would give it no number, and the log's answer to it would be taken for the answer to the `Release`.
        if core.fold.released {
            return;
        }
        let expected = self.appends.expected(core.fold.seq.next());
        core.fold.step(expected, event);
        self.appends.push(bare(event), false);
    }

    /// R17: appends the `Release`, and once that is committed says where the log goes on behind it. What was decided must
    /// have gone out before.
    pub(super) fn release(&mut self, core: &mut Core) -> Option<Offset> {
        if let Some(released) = self.released {
            let is_committed = self.appends.committed() >= released;
            return is_committed.then(|| self.appends.expected(released).next());
        }
        let (epoch, seq) = (core.epoch(), core.fold.seq.next());
        self.released = Some(seq);
        self.append_bare(core, &Event::Release { epoch, seq });
        None
    }

    /// Whether the `Release` was appended.
    pub(super) fn is_released(&self) -> bool {
        self.released.is_some()
    }

    /// Whether what has been taken must be recorded now; asked once.
    pub(super) fn take_unrecorded(&mut self) -> bool {
        std::mem::take(&mut self.unrecorded)
    }

    /// The fault is committed and has left: the log rebuilds what is spoilt.
    pub(super) fn finish_spoilt(&self) -> Step {
        let done = self.appends.uncommitted() == 0 && self.outbox.has_left();
        match self.spoilt && done {
            true => Err(Exit::Lost(
                "events could not be applied; the partition is opened anew",
            )),
            false => Ok(()),
        }
    }
}
