//! The owner of a partition: turns become commits, commits are acknowledged at the offset where they must be, and what
//! they say leaves through the gate (R8–R15).

mod hearing;
mod timers;
mod run;
mod commit;
mod positions;
mod sessions;
mod telling;
mod probe;
mod inbox;
mod sockets;
mod outbox;
mod appends;
mod founders;
mod untold;
mod goodbyes;

use xp_protocol::events::{Cause, Event};
use xp_protocol::{Address, Incarnation, LanePartition, Offset, Seq};
use xp_transport::{AppendError, Now, Stored};

use super::bare;
use super::core::{Core, Cut};
use super::exit::{Exit, LastOwner, Step};
use crate::action::{Action, Telling};
use crate::draft::chain_records;
use crate::gate::Output;
use crate::tells::TellId;
use appends::Appends;
use founders::Founders;
use goodbyes::Goodbyes;
use hearing::Hearing;
use inbox::Inbox;
use outbox::Outbox;
use positions::{Handover, Positions};
use probe::{Next, Probe, Suspect};
use run::Occasion;
use sessions::Sessions;
use telling::TellQueues;
use timers::PutOff;

/// What only the owner has.
pub(super) struct Owner {
    appends: Appends,
    outbox: Outbox,
    tells: TellQueues,
    inbox: Inbox,
    probe: Probe,
    sessions: Sessions,
    positions: Positions,
    handover: Handover,
    put_off: PutOff,
    founders: Founders,
    goodbyes: Goodbyes,
    fate: Fate,
}

/// What waits for everything uncommitted.
#[derive(Default)]
struct Fate {
    /// An instance failed while it applied events: nothing more is decided with what is in memory.
    spoilt: bool,
    /// A snapshot that is cut and not written.
    cut: Option<Cut>,
}

impl Owner {
    /// The owner whose claim has been read back, before it does anything.
    pub(super) fn new(core: &Core, last: LastOwner, now: Now) -> Self {
        let inbound = core.fold.inbound;
        Self {
            appends: Appends::new(core.epoch().0),
            outbox: Outbox::new(core),
            tells: TellQueues::again(core),
            inbox: Inbox::new(inbound),
            probe: Probe::new(last),
            sessions: Sessions::default(),
            positions: Positions::new(&core.fold, now.running),
            handover: Handover::default(),
            put_off: PutOff::default(),
            founders: Founders::default(),
            goodbyes: Goodbyes::default(),
            fate: Fate::default(),
        }
    }

    /// R8: first everything that may not have gone out goes out again, then the sessions are checked against the view,
    /// then inbound is read.
    pub(super) fn begin(&mut self, core: &mut Core, now: Now) -> Step {
        if core.setting.rules.emit_again {
            self.send_again(core)?;
        }
        // A successor tells all edges where it begins.
        if self.inbox.next() > Offset(0) {
            self.say_taken_to_all(core);
        }
        self.tells.repeat(core, now);
        self.check_sessions(core, now)?;
        if !self.probe.is_over() {
            core.actions.push(Action::FindInboundEnd);
        }
        let from = core.fold.inbound;
        core.actions.push(Action::ReadInbound { from });
        Ok(())
    }

    fn send_again(&mut self, core: &mut Core) -> Step {
        for unsent in std::mem::take(&mut core.unsent) {
            for (partition, record) in chain_records(&unsent.address, &unsent.commit) {
                self.outbox.put_open(unsent.offset, partition, record);
            }
            let welcomed = self.sessions.welcome_again(core, &mut self.outbox, &unsent);
            welcomed.map_err(|reason| core.discard_snapshot(&reason))?;
        }
        Ok(())
    }

    /// Whether a decision may still be made. Behind a `Release` nothing counts (R17), and a spoilt instance decides
    /// nothing.
    fn may_decide(&self) -> bool {
        !self.fate.spoilt && self.handover.released.is_none()
    }

    /// Whether it reads on; at the bound on uncommitted records, or on those under way to `outbound`, it pauses (R9), and
    /// while messages are held, or edges are asked about a hole.
    pub(super) fn is_reading(&self, core: &Core) -> bool {
        let has_room = self.appends.uncommitted() < core.setting.limits.uncommitted_max;
        let is_deciding = has_room && !self.outbox.is_held();
        let ends = self.handover.releasing || self.fate.spoilt;
        is_deciding && !ends && !self.probe.holds() && !self.inbox.has_hole()
    }

    /// Whether something waits that only the time or an acknowledgement moves.
    pub(super) fn is_busy(&self) -> bool {
        let waits = self.sessions.waiting() > 0 || self.outbox.is_waiting();
        waits || self.appends.uncommitted() > 0
    }

    /// In how many milliseconds something is due that no record announces.
    pub(super) fn due_in_ms(&self, core: &Core, now: Now) -> Option<u64> {
        // While it decides nothing, no timer fires either.
        let timer = core.residents.index.next_due();
        let timer = timer.filter(|_| self.is_reading(core));
        let timer_ms = timer.map(|due| due.since_ms(now.time));
        let large_ms = self.outbox.wakes_at(core);
        let large_ms = large_ms.map(|at| at.since_ms(now.running));
        timer_ms.into_iter().chain(large_ms).min()
    }

    /// Hands the records decided since the last call to the shell.
    pub(super) fn flush(&mut self, core: &mut Core) {
        let append = self.appends.flush(core.fold.seq);
        core.actions.extend(append);
    }

    /// Where the next record that is committed is expected.
    pub(super) fn next_commit(&self) -> Offset {
        self.appends.next_commit()
    }

    /// R13, R17: another node should own the partition, or this one still. Who folds that it is displaced stops answering
    /// at once, and hands over when its gate is drained.
    pub(super) fn assign(&mut self, owns: bool) -> Step {
        if !owns && self.outbox.displace() {
            self.handover.releasing = true;
        }
        Ok(())
    }

    /// Ends the ownership in order: what was decided is committed and leaves, then `Release` follows (R17).
    pub(super) fn release(&mut self) -> Step {
        self.handover.releasing = true;
        Ok(())
    }

    /// R8, R29: sessions of edges that the view no longer lists are detached.
    pub(super) fn check_sessions(&mut self, core: &mut Core, now: Now) -> Step {
        for (edge, address) in sockets::of_lost_edges(core) {
            self.lose_edge(core, &address, edge, now)?;
        }
        Ok(())
    }

    /// This node's lease has moved on.
    pub(super) fn on_lease(&mut self, core: &mut Core, now: Now) -> Step {
        self.outbox.release_leased(core, now);
        Ok(())
    }

    /// Records of `inbound`, decided one after the other.
    pub(super) fn on_inbound(&mut self, core: &mut Core, batch: &[Stored], now: Now) -> Step {
        // What was due before these messages came is decided before them.
        self.fire_timers(core, now)?;
        if !self.probe.is_over() {
            self.probe.hold(batch);
            return self.take_held(core, now);
        }
        for stored in batch {
            self.take(core, stored, false, now)?;
        }
        Ok(())
    }

    /// Where `inbound` ended when this node's claim was read back.
    pub(super) fn inbound_end(&mut self, core: &mut Core, end: Offset, now: Now) -> Step {
        self.probe.inbound_end(end, now);
        self.take_held(core, now)
    }

    /// Takes what the probe holds, as far as it may be taken now.
    fn take_held(&mut self, core: &mut Core, now: Now) -> Step {
        while !self.fate.spoilt
            && !self.handover.releasing
            && let Some(stored) = self.probe.front().cloned()
        {
            let committed = self.appends.committed();
            let poisonous = match self.probe.next(core, committed, &stored, now) {
                Next::Take => false,
                Next::Poison { told_as } => {
                    if told_as.is_some() {
                        self.append_trying(core, (stored.offset, told_as));
                    }
                    true
                }
                Next::Try => {
                    self.append_tryings(core);
                    return Ok(());
                }
                Next::Wait => return Ok(()),
            };
            self.probe.pop();
            self.take(core, &stored, poisonous, now)?;
        }
        Ok(())
    }

    fn append_tryings(&mut self, core: &mut Core) {
        let suspects = self.probe.together(core);
        let Some((last, _)) = suspects.last() else {
            return;
        };
        let upto = last.next();
        // From the end, so that the fold tells a group from one message after the other.
        for suspect in suspects.into_iter().rev() {
            self.append_trying(core, suspect);
        }
        self.probe.tries(upto, core.fold.seq);
    }

    /// Decides one record of `inbound`; a poisonous one has ended as many processes as it may (R16).
    fn take(&mut self, core: &mut Core, stored: &Stored, poisonous: bool, now: Now) -> Step {
        if !self.may_decide() || !self.inbox.take(stored) {
            return Ok(());
        }
        Hearing::of(self, core, stored, poisonous, now).hear()
    }

    /// The acknowledgements of one append, in order.
    pub(super) fn appended(
        &mut self,
        core: &mut Core,
        numbers: (Seq, u64),
        results: &[Result<Offset, AppendError>],
        now: Now,
    ) -> Step {
        self.appends.acknowledge(core, numbers, results, now);
        self.appends.settle(core)?;
        self.take_held(core, now)
    }

    /// R10: what lies between the last committed record and an unexpected acknowledgement. A claim in it ends
    /// the ownership; foreign records move the expected offset.
    pub(super) fn gap(&mut self, core: &mut Core, batch: &[Stored], now: Now) -> Step {
        let Some(placed) = self.appends.judge(&core.fold, batch) else {
            return Err(Exit::Lost("another node has claimed the partition"));
        };
        self.appends.move_behind(&mut core.fold, &placed);
        // A cut at positions that have moved fits no log.
        self.fate.cut = None;
        for offset in placed {
            self.appends.commit_at(offset);
            // What follows a record leaves under the record's own offset, before the next one moves it.
            self.let_out(core, now);
        }
        self.appends.settle(core)?;
        self.take_held(core, now)
    }

    /// A chain record was acknowledged, or its append failed (R14).
    pub(super) fn emitted(&mut self, id: u64, arrived: bool, now: Now) -> Step {
        self.outbox.emitted(id, arrived, now);
        Ok(())
    }

    /// A tell was acknowledged, or its append failed.
    pub(super) fn told(
        &mut self,
        core: &mut Core,
        target: &LanePartition,
        answer: (TellId, bool),
        now: Now,
    ) -> Step {
        self.tells.told(core, target, answer, now);
        Ok(())
    }

    /// A portion of the log that was asked for; `None` when it is gone.
    pub(super) fn rescanned(&mut self, core: &mut Core, id: u64, batch: Option<&[Stored]>) -> Step {
        self.sessions.rescanned(core, &mut self.outbox, id, batch);
        Ok(())
    }

    /// R42: `inbound` begins at `first` now, and what was before it and not taken is gone.
    pub(super) fn missed(&mut self, core: &mut Core, first: Offset, now: Now) -> Step {
        if !self.inbox.miss(core, first, now) {
            let from = self.inbox.next();
            core.actions.push(Action::ReadInbound { from });
            return Ok(());
        }
        if core.setting.rules.ask_after_a_hole {
            let asked = sockets::ask_edges(core, &mut self.outbox);
            asked.map_err(|reason| core.discard_snapshot(&reason))?;
        }
        self.outbox.put(core, Output::Mark);
        Ok(())
    }

    /// Timers fire, positions are recorded, what failed is tried again.
    pub(super) fn tick(&mut self, core: &mut Core, now: Now) -> Step {
        self.fire_timers(core, now)?;
        self.flush(core);
        let again = self.appends.repeat(core.setting.rules.again_in_order, now);
        core.actions.extend(again);
        self.outbox.emit_again(now);
        self.tells.repeat(core, now);
        self.checkpoint(core, now);
        Ok(())
    }

    /// R29: one commit for all sessions of the entity on that edge; more only when one record cannot hold them.
    fn lose_edge(
        &mut self,
        core: &mut Core,
        address: &Address,
        edge: Incarnation,
        now: Now,
    ) -> Step {
        let loaded = core.load(address);
        loaded.map_err(|reason| core.discard_snapshot(&reason))?;
        let mut lost = sockets::lost_sessions(core, address, edge);
        while !lost.is_empty() {
            let occasion = Occasion::now(address, Cause::Verdict { edge }, now);
            self.run(core, occasion, |turn, entity| turn.lose_edge(entity, &lost))?;
            let left = sockets::lost_sessions(core, address, edge);
            // An owner that may not decide any more detaches nobody; whoever comes next checks again (R8).
            if left.len() == lost.len() {
                return Ok(());
            }
            lost = left;
        }
        Ok(())
    }

    /// What every input ends with: what may leave does, and what can be ended is.
    pub(super) fn finish(&mut self, core: &mut Core, now: Now) -> Step {
        if !self.fate.spoilt {
            let end = self.appends.expected(core.fold.seq).next();
            self.sessions.serve(core, &mut self.outbox, end);
        }
        // What follows no record of this input need not wait for the next acknowledgement.
        self.let_out(core, now);
        self.close_hole(core, now);
        self.outbox.send_large(core, now);
        self.say_taken_if_much(core);
        self.finish_release(core, now)?;
        self.save_committed(core);
        self.finish_spoilt()
    }

    /// Lets out what the gate no longer holds, as far as there is room.
    fn let_out(&mut self, core: &mut Core, now: Now) {
        while let Some((commit, output)) = self.outbox.next(core, &self.appends) {
            self.hand_over(core, commit, output, now);
        }
    }

    fn hand_over(&mut self, core: &mut Core, commit: Offset, output: Output, now: Now) {
        match output {
            Output::Chain(partition, record) => self.outbox.emit(core, commit, partition, record),
            Output::Plain(partition, record) => self.outbox.speak(core, partition, record),
            Output::Large(cut) => self.outbox.push_large(*cut),
            Output::Leased(partition, record) => self.outbox.answer(core, partition, record, now),
            Output::Tell(tell) => self.tells.tell(core, &tell, now),
            Output::Confirm(target, record) => {
                let id = None;
                let telling = Telling { target, id, record };
                core.actions.push(Action::Tell(Box::new(telling)));
            }
            Output::Mark => {
                let (left, _) = self.outbox.left_and_arrived();
                self.inbox.asked(left);
            }
        }
    }

    /// The edges have the questions: the partition goes on behind the hole, and says so in the log (R15).
    fn close_hole(&mut self, core: &mut Core, now: Now) {
        let (_, arrived) = self.outbox.left_and_arrived();
        let Some(first) = self.inbox.close_hole(arrived) else {
            return;
        };
        // What is held was read before the hole was found, and is taken first.
        if !self.probe.holds() {
            self.inbox.skip_to(first);
        }
        if self.may_decide() {
            self.append_checkpoint(core, now.running);
        }
        self.say_taken_to_all(core);
        core.actions.push(Action::ReadInbound { from: first });
    }

    fn say_taken_to_all(&mut self, core: &mut Core) {
        let commit = self.next_commit();
        self.inbox.say_to_all(core, &mut self.outbox, commit);
    }

    fn say_taken_if_much(&mut self, core: &mut Core) {
        let commit = self.next_commit();
        self.inbox.say_if_much(core, &mut self.outbox, commit);
    }

    /// The fault is committed and has left: the log rebuilds what is spoilt.
    fn finish_spoilt(&self) -> Step {
        let done = self.appends.uncommitted() == 0 && self.outbox.has_left();
        match self.fate.spoilt && done {
            true => Err(Exit::Lost(
                "events could not be applied; the partition is opened anew",
            )),
            false => Ok(()),
        }
    }

    /// Whether a snapshot may be cut now.
    pub(super) fn may_cut(&self) -> bool {
        self.fate.cut.is_none() && !self.fate.spoilt
    }

    /// Keeps a cut until its last record is committed.
    pub(super) fn keep_cut(&mut self, core: &mut Core, cut: Cut) {
        self.fate.cut = Some(cut);
        self.save_committed(core);
    }

    /// R35: a cut is written only after its number is committed.
    fn save_committed(&mut self, core: &mut Core) {
        let (committed, early) = (
            self.appends.committed(),
            !core.setting.rules.committed_snapshots,
        );
        if let Some(cut) = self.fate.cut.take_if(|cut| cut.seq <= committed || early) {
            core.save(cut);
        }
    }

    /// Appends a record about the whole partition.
    fn append_bare(&mut self, core: &mut Core, event: &Event) {
        let expected = self.appends.expected(core.fold.seq.next());
        core.fold.step(expected, event);
        self.appends.push(bare(event), false);
    }
}
