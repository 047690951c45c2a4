//! The loop around a partition: it moves bytes between the core and the log, and reads the clock.

mod open;
mod restore;
mod perform;
mod listen;
mod readers;
mod in_flight;
mod read;
mod snapshots;
mod time;

use tokio::time::Instant;
use xp_protocol::{LanePartition, Offset};
use xp_transport::{Now, ReadError, Stored};

use super::Shared;
use super::reports::{PartitionState, Seen};
use super::standing::Progress;
use crate::partition::{Faulted, Partition};
use crate::published::choice::publishes;
use crate::schedule::{Phase, Schedule};
use in_flight::{Done, InFlight};
use listen::{Input, NodeChanges};
use readers::Readers;
use snapshots::Snapshots;
use time::PartitionClock;

/// How many entities in quarantine are named in `/status`.
const NAMED_MAX: usize = 20;

/// How a partition's life on this node ended.
pub(super) enum Ended {
    /// In order: placement gave it to others, or the node stops.
    Closed,
    /// It cannot go on.
    Stopped(String),
    /// The node is a member no longer.
    Evicted,
}

/// Why the loop ended.
enum LoopEnd {
    Lost,
    /// Retention has passed the position where it read: what is published goes on from there.
    Overtaken,
    Closed,
    /// It cannot go on.
    Failed(String),
    Evicted,
}

struct Shell<'a> {
    shared: &'a Shared,
    partition: &'a LanePartition,
    core: Partition,
    in_flight: InFlight,
    readers: Readers,
    snapshots: Snapshots,
    clock: &'a mut PartitionClock,
    progress: Progress,
    schedule: Schedule,
    /// Placement gave the partition to others, or the node stops: it is closed once it is owned here no more.
    given_up: bool,
}

/// Opens, follows, claims and owns a partition until it is released or cannot go on; losing it opens it anew
/// (R18).
pub(super) async fn run(shared: &Shared, partition: &LanePartition) -> Ended {
    let mut faulted = Faulted::default();
    let mut may_restore = true;
    let mut clears = false;
    let mut clock = PartitionClock::new(shared.clock.clone(), shared.hosting.limits(partition));
    loop {
        shared
            .reports
            .set_state(partition, PartitionState::Replaying);
        shared.standing.set_warm(partition, false);
        let store = || {
            shared
                .stores
                .partition(partition)
                .map_err(|error| error.to_string())
        };
        if let Err(reason) =
            snapshots::begin(store, shared.publishers.turn(partition), clears).await
        {
            return Ended::Stopped(reason);
        }
        let again = std::mem::take(&mut faulted);
        let mut shell = match Shell::open(shared, partition, &mut clock, again, may_restore).await {
            Ok(shell) => shell,
            Err(reason) => return Ended::Stopped(reason),
        };
        match shell.live().await {
            LoopEnd::Lost => {
                faulted.clone_from(shell.core.faulted());
                clears = shell.snapshots.are_spoilt();
                let was_warm = shell.schedule.phase().is_warm();
                may_restore = shell.snapshots.may_be_restored(was_warm);
            }
            LoopEnd::Overtaken => {
                faulted.clone_from(shell.core.faulted());
                may_restore = true;
            }
            LoopEnd::Closed => return Ended::Closed,
            LoopEnd::Failed(reason) => return Ended::Stopped(reason),
            LoopEnd::Evicted => return Ended::Evicted,
        }
    }
}

impl<'a> Shell<'a> {
    async fn live(&mut self) -> LoopEnd {
        let mut changes = NodeChanges::of(self.shared);
        loop {
            // R17, R18: before anything else, so that nothing more is claimed, decided or released.
            if self.shared.membership.end().is_some() {
                return LoopEnd::Evicted;
            }
            if self.progress.goes_on(Instant::now()) {
                self.goes_on();
            }
            if let Some(end) = self.perform() {
                return end;
            }
            self.report();
            if self.given_up && !self.core.is_owner() {
                self.save_all().await;
                return LoopEnd::Closed;
            }
            if let Some(batch) = self.readers.take() {
                self.on_inbound(&batch);
                continue;
            }
            let now = self.now();
            let wait_ms = self.schedule.wait_ms(&self.core, now);
            let input = match wait_ms {
                0 => None,
                wait_ms => self.listen(wait_ms, &mut changes).await,
            };
            let end = match input {
                Some(input) => self.on_input(input),
                None => self.tick(),
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    fn on_input(&mut self, input: Input) -> Option<LoopEnd> {
        let now = self.now();
        self.schedule.heard(input.source(), now);
        match input {
            Input::Answer(done) => self.done(done),
            Input::Events(batch) => self.read_events(batch),
            Input::Inbound(batch) => self.read_inbound(batch),
            Input::Members => {
                self.see_members();
                None
            }
            Input::Stop(stops) => {
                if stops {
                    self.given_up = true;
                    self.core.release(now);
                }
                None
            }
        }
    }

    /// The partition was given up, and goes on all the same.
    fn goes_on(&self) {
        tracing::warn!(partition = %self.partition, "domain code has returned late; the partition goes on");
        let state = self.schedule.phase().into();
        self.shared.reports.set_state(self.partition, state);
    }

    fn now(&mut self) -> Now {
        self.clock.now()
    }

    fn see_members(&mut self) {
        let membership = &self.shared.membership;
        let (view, me) = (membership.view(), membership.incarnation());
        let duty = view.members.duty(self.partition, me);
        let mine = publishes(&view.members, self.partition) == Some(me);
        self.given_up = duty.is_none() || *self.shared.stop.borrow();
        let now = self.now();
        self.snapshots.publish(mine);
        self.core.on_lease(view.lease, now);
        self.core.on_members(view.members, now);
    }

    fn tick(&mut self) -> Option<LoopEnd> {
        let now = self.now();
        self.schedule.ticked(now);
        self.core.on_lease(self.shared.membership.lease(), now);
        self.core.tick(now);
        self.answer_operators(now);
        let quarantined = self.core.quarantined();
        let saw = Seen {
            entities: self.core.resident(),
            next: self.core.next_event(),
            quarantined: quarantined.len(),
            named: quarantined.take(NAMED_MAX).cloned().collect(),
        };
        self.shared.reports.set_seen(self.partition, saw);
        None
    }

    fn answer_operators(&mut self, now: Now) {
        for request in self.shared.operator_requests.take(self.partition) {
            let tried = match request.retry {
                true => self.core.retry(&request.address, now),
                false => Ok(()),
            };
            let reply = tried.and_then(|()| self.core.describe(&request.address));
            // Whoever asked may have gone.
            drop(request.reply.send(reply));
        }
    }

    /// Tells the node what the partition does, when that has changed.
    fn report(&mut self) {
        // R46: who has the partition whole should rather own it.
        let is_whole = !self.core.is_lacking();
        if !is_whole {
            self.shared.standing.set_warm(self.partition, false);
        }
        let Some(phase) = self.schedule.news(&self.core) else {
            return;
        };
        if phase.is_warm() {
            self.readers.read_ahead(self.core.fold().inbound.next());
        }
        if phase == Phase::Owning {
            self.shared.standing.trust(self.partition);
        }
        let is_able = phase.is_warm() && is_whole;
        self.shared.standing.set_warm(self.partition, is_able);
        self.shared.reports.set_state(self.partition, phase.into());
    }

    fn read_events(&mut self, batch: Result<Vec<Stored>, ReadError>) -> Option<LoopEnd> {
        match batch {
            Ok(batch) => {
                self.shared.reports.replay().replayed(batch.len() as u64);
                let now = self.now();
                self.core.on_events(&batch, now);
                self.readers.forget_before(self.core.fold().inbound.next());
                None
            }
            Err(ReadError::OutOfRange { wanted, first, .. }) if wanted < first => {
                tracing::warn!(partition = %self.partition, %wanted, %first, "events were deleted that were not read yet; the partition is opened anew");
                Some(LoopEnd::Overtaken)
            }
            Err(error) => Some(LoopEnd::Failed(error.to_string())),
        }
    }

    /// A mirror reads ahead.
    fn reads_inbound(&self) -> bool {
        self.core.wants_inbound() || !self.core.is_owner()
    }

    /// R15: an inbound position behind the end stops an owner loudly, because it was taken from a log that had more. A
    /// mirror may find the record behind it in `events` still.
    fn read_inbound(&mut self, batch: Result<Vec<Stored>, ReadError>) -> Option<LoopEnd> {
        match batch {
            Ok(batch) if self.core.is_owner() => self.on_inbound(&batch),
            Ok(batch) => {
                let keep = self.core.fold().inbound.next();
                self.readers.keep(batch, keep);
            }
            Err(ReadError::OutOfRange { wanted, first, .. }) if wanted < first => {
                self.miss(first);
            }
            Err(error) if self.core.is_owner() => return Some(LoopEnd::Failed(error.to_string())),
            Err(_) => self.readers.close_inbound(),
        }
        None
    }

    /// R42: `inbound` has dropped what was not read yet. The core says where an owner goes on.
    fn miss(&mut self, first: Offset) {
        if self.core.is_owner() {
            self.readers.close_inbound();
            let now = self.now();
            self.core.missed(first, now);
        } else {
            self.readers.skip_to(first);
        }
    }

    fn on_inbound(&mut self, batch: &[Stored]) {
        let now = self.now();
        self.core.on_lease(self.shared.membership.lease(), now);
        self.core.on_inbound(batch, now);
        self.readers.heard(batch);
    }

    fn done(&mut self, done: Done) -> Option<LoopEnd> {
        let now = self.now();
        match done {
            Done::Claimed(false) => self.core.claim_failed(now),
            Done::Claimed(true) => {}
            Done::InboundEnd(Ok(bounds)) => self.core.inbound_end(bounds.next, now),
            Done::InboundEnd(Err(error)) => return Some(LoopEnd::Failed(error.to_string())),
            Done::Appended {
                first,
                round,
                results,
            } => self.core.appended(first, round, &results, now),
            Done::Emitted { ids, results } => {
                for (id, result) in ids.iter().zip(&results) {
                    if let Some(id) = id {
                        self.core.emitted(*id, result.is_ok(), now);
                    }
                }
            }
            Done::Told {
                target,
                ids,
                results,
            } => {
                for (id, result) in ids.iter().zip(&results) {
                    if let Some(id) = id {
                        self.core.told(&target, *id, result.is_ok(), now);
                    }
                }
            }
            Done::Gap(Ok(batch)) => self.core.gap(&batch, now),
            Done::Gap(Err(error)) => return Some(LoopEnd::Failed(error.to_string())),
            Done::Rescanned { id, batch } => self.core.rescanned(id, batch.as_deref(), now),
            Done::Saved(written) => self.core.saved(written),
            Done::FoldedAnew(folded) => self.core.folded_anew(folded, now),
        }
        None
    }

    /// The last snapshot, so that the next start replays nothing.
    async fn save_all(&mut self) {
        let now = self.now();
        self.core.cut(now);
        for _ in 0..2 {
            drop(self.perform());
            while let Some(done) = self.in_flight.answer().await {
                drop(self.done(done));
            }
            self.core.cut(now);
        }
    }
}

fn random_u64() -> u64 {
    rand::random()
}
