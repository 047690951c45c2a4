//! The owner of a partition: turns become commits, commits are acknowledged at the offset where they must be, and what
//! they say leaves through the gate (R8–R15).

mod dispatch;
mod timers;
mod positions;
mod writer;
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

use xp_protocol::rules::Rule;
use xp_protocol::{LanePartition, Offset, Seq};
use xp_transport::{AppendError, Now, Stored};

use super::core::{Core, Cut};
use super::exit::{Exit, Predecessor, Step};
use crate::action::{Action, Telling};
use crate::gate::Output;
use crate::tells::TellId;
use appends::Settled;
use dispatch::Dispatch;
use founders::Founders;
use goodbyes::Goodbyes;
use inbox::Inbox;
use positions::Positions;
use probe::{Next, PoisonProbe, Suspect};
use telling::TellQueues;
use writer::Writer;

/// What only the owner has.
pub(super) struct Owner {
    writer: Writer,
    tells: TellQueues,
    inbox: Inbox,
    probe: PoisonProbe,
    positions: Positions,
    founders: Founders,
    goodbyes: Goodbyes,
    /// R17: nothing more is taken, and the partition is handed over.
    releasing: bool,
    /// A snapshot that waits for its last record to be committed.
    cut: Option<Cut>,
}

impl Owner {
    /// The owner whose claim has been read back, before it does anything.
    pub(super) fn new(core: &Core, before: Predecessor, now: Now) -> Self {
        let inbound = core.fold.inbound.next();
        Self {
            writer: Writer::new(core, now.running),
            tells: TellQueues::again(core),
            inbox: Inbox::new(inbound),
            probe: PoisonProbe::new(before),
            positions: Positions::new(&core.fold, now.running),
            founders: Founders::default(),
            goodbyes: Goodbyes::after(before, inbound, now.running),
            releasing: false,
            cut: None,
        }
    }

    /// R8: first everything that may not have gone out goes out again, then the sessions are checked against the view,
    /// then inbound is read.
    pub(super) fn begin(&mut self, core: &mut Core, now: Now) -> Step {
        if core.holds(Rule::EmitAgain) {
            self.writer.send_again(core)?;
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
        let from = core.fold.inbound.next();
        core.actions.push(Action::ReadInbound { from });
        Ok(())
    }

    /// Whether it reads on; at the bound on uncommitted records, or on those under way to `outbound`, it pauses (R9), and
    /// while messages are held, or edges are asked about a hole.
    pub(super) fn is_reading(&self, core: &Core) -> bool {
        let is_deciding = self.writer.has_room(core) && !self.releasing;
        is_deciding && !self.probe.holds() && !self.inbox.has_hole()
    }

    /// Whether something waits that only the time or an acknowledgement moves.
    pub(super) fn is_busy(&self) -> bool {
        self.writer.is_busy()
    }

    /// In how many milliseconds something is due that no record announces.
    pub(super) fn due_in_ms(&self, core: &Core, now: Now) -> Option<u64> {
        // While it decides nothing, no timer fires either.
        let timer = core.residents.index.next_due();
        let timer = timer.filter(|_| self.is_reading(core));
        let timer_ms = timer.map(|due| due.since_ms(now.time));
        let large_ms = self.writer.outbox.wakes_at(core);
        let large_ms = large_ms.map(|at| at.since_ms(now.running));
        timer_ms.into_iter().chain(large_ms).min()
    }

    /// Hands the records decided since the last call to the shell.
    pub(super) fn flush(&mut self, core: &mut Core) {
        let append = self.writer.appends.flush(core.fold.seq);
        core.actions.extend(append);
    }

    /// Where the next record that is committed is expected.
    pub(super) fn next_commit(&self) -> Offset {
        self.writer.appends.next_commit()
    }

    /// R13, R17: another node should own the partition, or this one still. Who folds that it is displaced stops answering
    /// at once, and hands over when its gate is drained.
    pub(super) fn assign(&mut self, owns: bool) -> Step {
        if !owns && self.writer.outbox.displace() {
            self.releasing = true;
        }
        Ok(())
    }

    /// Ends the ownership in order: what was decided is committed and leaves, then `Release` follows (R17).
    pub(super) fn release(&mut self) -> Step {
        self.releasing = true;
        Ok(())
    }

    /// R8, R29: sessions of edges that the view no longer lists are detached.
    pub(super) fn check_sessions(&mut self, core: &mut Core, now: Now) -> Step {
        for (edge, address) in sockets::of_lost_edges(core) {
            self.writer.lose_edge(core, &address, edge, now)?;
        }
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
        while !self.writer.is_spoilt()
            && !self.releasing
            && let Some(stored) = self.probe.front().cloned()
        {
            let committed = self.writer.appends.committed();
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
        if !self.writer.may_decide() || !self.inbox.take(stored) {
            return Ok(());
        }
        Dispatch::of(self, core, stored, poisonous, now).run()
    }

    /// The acknowledgements of one append, in order.
    pub(super) fn appended(
        &mut self,
        core: &mut Core,
        numbers: (Seq, u64),
        results: &[Result<Offset, AppendError>],
        now: Now,
    ) -> Step {
        let partition = &core.setting.partition;
        let appends = &mut self.writer.appends;
        appends.acknowledge(partition, numbers, results, now);
        self.settle(core, now)?;
        self.take_held(core, now)
    }

    /// What is committed leaves before anything more is decided: the next commit says of all before it that they have
    /// gone out, or are on their way (R14).
    fn settle(&mut self, core: &mut Core, now: Now) -> Step {
        let only_expected = core.holds(Rule::ExpectedOffset);
        let settled = self.writer.appends.settle(only_expected);
        self.let_out(core, now);
        let committed = self.writer.appends.committed();
        if let Some(before) = self.positions.take_committed(committed) {
            core.actions.push(Action::ReleaseInbound { before });
        }
        let partition = &core.setting.partition;
        match settled {
            Settled::InOrder => Ok(()),
            Settled::Gap { from, upto } => {
                core.actions.push(Action::ReadGap { from, upto });
                Ok(())
            }
            // An offset that was given to another record before: the log has lost its end, and with it what this node
            // has told others to be committed.
            Settled::Truncated { offset, expected } => Err(Exit::Stop(format!(
                "{partition} acknowledged offset {offset} where {expected} was expected: the log was truncated"
            ))),
        }
    }

    /// R10: what lies between the last committed record and an unexpected acknowledgement. A claim in it ends
    /// the ownership; foreign records move the expected offset.
    pub(super) fn gap(&mut self, core: &mut Core, batch: &[Stored], now: Now) -> Step {
        let rules = core.setting.rules;
        let Some(placed) = self.writer.appends.judge(rules, &core.fold, batch) else {
            return Err(Exit::Lost("another node has claimed the partition"));
        };
        self.writer.appends.move_behind(&mut core.fold, &placed);
        // A cut at positions that have moved fits no log.
        self.cut = None;
        for offset in placed {
            self.writer.appends.commit_at(offset);
            // What follows a record leaves under the record's own offset, before the next one moves it.
            self.let_out(core, now);
        }
        self.settle(core, now)?;
        self.take_held(core, now)
    }

    /// A chain record was acknowledged, or its append failed (R14).
    pub(super) fn emitted(&mut self, id: u64, arrived: bool, now: Now) -> Step {
        self.writer.outbox.emitted(id, arrived, now);
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
        self.writer
            .sessions
            .rescanned(core, &mut self.writer.outbox, id, batch);
        Ok(())
    }

    /// R42: `inbound` begins at `first` now, and what was before it and not taken is gone.
    pub(super) fn missed(&mut self, core: &mut Core, first: Offset, now: Now) -> Step {
        if !self.inbox.miss(&core.setting.partition, first, now) {
            let from = self.inbox.next();
            core.actions.push(Action::ReadInbound { from });
            return Ok(());
        }
        if core.holds(Rule::AskAfterAHole) {
            sockets::ask_edges(core, &mut self.writer.outbox)?;
        }
        self.writer.outbox.put(core, Output::Mark);
        Ok(())
    }

    /// Timers fire, positions are recorded, what failed is tried again.
    pub(super) fn tick(&mut self, core: &mut Core, now: Now) -> Step {
        self.fire_timers(core, now)?;
        self.flush(core);
        let again = self
            .writer
            .appends
            .repeat(core.holds(Rule::AgainInOrder), now);
        core.actions.extend(again);
        self.writer.outbox.emit_again(now);
        self.tells.repeat(core, now);
        self.checkpoint(core, now);
        Ok(())
    }

    /// What every input ends with: what may leave does, and what can be ended is.
    pub(super) fn finish(&mut self, core: &mut Core, now: Now) -> Step {
        self.writer.serve(core);
        // What follows no record of this input need not wait for the next acknowledgement.
        self.let_out(core, now);
        self.close_hole(core, now);
        self.writer.outbox.release_leased(core, now);
        self.writer.outbox.send_large(core, now);
        let commit = self.next_commit();
        self.inbox
            .say_if_much(core, &mut self.writer.outbox, commit);
        if self.writer.take_unrecorded() {
            self.append_checkpoint(core, self.positions.at());
        }
        self.finish_release(core, now)?;
        self.save_committed(core);
        self.writer.finish_spoilt()
    }

    /// Lets out what the gate no longer holds, as far as there is room.
    fn let_out(&mut self, core: &mut Core, now: Now) {
        while let Some((commit, output)) = self.writer.outbox.next(core, &self.writer.appends) {
            self.hand_over(core, commit, output, now);
        }
    }

    fn hand_over(&mut self, core: &mut Core, commit: Offset, output: Output, now: Now) {
        match output {
            Output::Chain(partition, record) => {
                self.writer.outbox.emit(core, commit, partition, record)
            }
            Output::Plain(partition, record) => self.writer.outbox.speak(core, partition, record),
            Output::Large(cut) => self.writer.outbox.push_large(*cut),
            Output::Leased(partition, record) => {
                self.writer.outbox.answer(core, partition, record, now)
            }
            Output::Tell(tell) => self.tells.tell(core, &tell, now),
            Output::Confirm(target, record) => {
                let id = None;
                let telling = Telling { target, id, record };
                core.actions.push(Action::Tell(Box::new(telling)));
            }
            Output::Mark => {
                let (left, _) = self.writer.outbox.left_and_arrived();
                self.inbox.asked(left);
            }
        }
    }

    /// The edges have the questions: the partition goes on behind the hole, and says so in the log (R15).
    fn close_hole(&mut self, core: &mut Core, now: Now) {
        let (_, arrived) = self.writer.outbox.left_and_arrived();
        let Some(first) = self.inbox.close_hole(arrived) else {
            return;
        };
        // What is held was read before the hole was found, and is taken first.
        if !self.probe.holds() {
            self.inbox.skip_to(first);
        }
        if self.writer.may_decide() {
            self.append_checkpoint(core, now.running);
        }
        self.say_taken_to_all(core);
        core.actions.push(Action::ReadInbound { from: first });
    }

    fn say_taken_to_all(&mut self, core: &mut Core) {
        let commit = self.next_commit();
        self.inbox.say_to_all(core, &mut self.writer.outbox, commit);
    }

    /// Whether a snapshot may be cut now.
    pub(super) fn may_cut(&self) -> bool {
        self.cut.is_none() && !self.writer.is_spoilt()
    }

    /// Keeps a cut until its last record is committed.
    pub(super) fn keep_cut(&mut self, core: &mut Core, cut: Cut) {
        self.cut = Some(cut);
        self.save_committed(core);
    }

    /// R35: a cut is written only after its number is committed.
    fn save_committed(&mut self, core: &mut Core) {
        let (committed, early) = (
            self.writer.appends.committed(),
            !core.holds(Rule::CommittedSnapshots),
        );
        if let Some(cut) = self.cut.take_if(|cut| cut.seq <= committed || early) {
            core.save(cut);
        }
    }
}
