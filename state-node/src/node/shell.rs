//! The loop around a partition: it moves bytes between the core and the log, and reads the clock.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use xp_protocol::{ClaimId, LanePartition, Offset, PartitionId, Seq};
use xp_transport::{AppendError, ReadError, Reader, Record, Stored, TopicPartition};

use super::{PartitionState, Shared};
use crate::action::{Action, Opening};
use crate::partition::{Partition, Setting};
use crate::store::{Batch, SnapshotStore};

/// The longest time between two ticks, and between two ticks while something waits.
const IDLE_TICK: Duration = Duration::from_millis(200);
const BUSY_TICK: Duration = Duration::from_millis(20);
/// How long to wait before a refused claim is made anew.
const CLAIM_AGAIN: Duration = Duration::from_millis(50);

/// How a partition's life on this node ended.
pub(super) enum Ended {
    /// In order.
    Released,
    /// It cannot go on.
    Stopped(String),
}

/// What a future in flight comes to.
enum Done {
    Claimed(bool),
    Appended {
        first: Seq,
        round: u64,
        results: Vec<Result<Offset, AppendError>>,
    },
    Emitted {
        ids: Vec<Option<u64>>,
        results: Vec<Result<Offset, AppendError>>,
    },
    Gap(Result<Vec<Stored>, ReadError>),
    Rescanned {
        id: u64,
        batch: Option<Vec<Stored>>,
    },
    Saved(bool),
}

type Flying = FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send>>>;

/// Why the loop was left.
enum Left {
    Lost,
    Released,
    Stopped(String),
}

struct Shell<'a> {
    shared: &'a Shared,
    place: &'a LanePartition,
    topics: Topics,
    store: Arc<dyn SnapshotStore>,
    core: Partition,
    flying: Flying,
    events: Option<Box<dyn Reader>>,
    inbound: Option<Box<dyn Reader>>,
    claim_at: Option<Instant>,
}

struct Topics {
    events: TopicPartition,
    inbound: TopicPartition,
    outbound: Arc<str>,
}

/// Opens, follows, claims and owns a partition until it is released or cannot go on; losing it opens it anew
/// (R18).
pub(super) async fn run(shared: &Shared, place: &LanePartition) -> Ended {
    let mut faulted = BTreeSet::new();
    loop {
        shared.set_state(place, PartitionState::Replaying);
        let mut shell = match Shell::open(shared, place, std::mem::take(&mut faulted)).await {
            Ok(shell) => shell,
            Err(reason) => return Ended::Stopped(reason),
        };
        match shell.live().await {
            Left::Lost => faulted.clone_from(shell.core.faulted()),
            Left::Released => {
                shell.save_all().await;
                return Ended::Released;
            }
            Left::Stopped(reason) => return Ended::Stopped(reason),
        }
    }
}

impl<'a> Shell<'a> {
    async fn open(
        shared: &'a Shared,
        place: &'a LanePartition,
        faulted: BTreeSet<Offset>,
    ) -> Result<Self, String> {
        let lane = shared
            .lanes
            .get(&place.lane)
            .expect("places come from these lanes");
        let topic = |name: &Arc<str>| TopicPartition {
            topic: Arc::clone(name),
            partition: place.partition,
        };
        let topics = Topics {
            events: topic(&lane.events),
            inbound: topic(&lane.inbound),
            outbound: Arc::clone(&lane.outbound),
        };
        let log = &shared.log;
        let bounds = log
            .bounds(&topics.events)
            .await
            .map_err(|error| error.to_string())?;
        let inbound = log
            .identity(&topics.inbound)
            .await
            .map_err(|error| error.to_string())?;
        let store = shared.store(place).map_err(|error| error.to_string())?;
        let setting = Setting {
            place: place.clone(),
            incarnation: shared.incarnation,
            lanes: Arc::clone(&shared.lanes),
            domain: Arc::clone(&shared.domain),
            limits: Arc::clone(&shared.limits),
            store: Arc::clone(&store),
            rules: Default::default(),
        };
        let opening = Opening {
            inbound,
            first: bounds.first,
            now: shared.clock.now(),
        };
        let mut core =
            Partition::open(setting, opening, random_u64()).map_err(|error| error.to_string())?;
        core.set_faulted(faulted);
        let from = core
            .next_event()
            .expect("a partition that was just opened follows");
        shared.progress.expect(bounds.next.0.saturating_sub(from.0));
        let events = Some(log.read(&topics.events, from));
        let mut shell = Self {
            shared,
            place,
            topics,
            store,
            core,
            flying: FuturesUnordered::new(),
            events,
            inbound: None,
            claim_at: Some(Instant::now()),
        };
        shell.see_members();
        Ok(shell)
    }

    async fn live(&mut self) -> Left {
        let mut view = self.shared.view.clone();
        let mut stop = self.shared.stop.clone();
        // A stop that came before this loop is seen as a change too.
        stop.mark_changed();
        loop {
            if let Some(left) = self.perform() {
                return left;
            }
            let deadline = self.deadline();
            let outcome = tokio::select! {
                biased;
                Some(done) = self.flying.next() => self.done(done),
                batch = next(&mut self.events) => self.read_events(batch),
                Ok(()) = view.changed() => {
                    view.borrow_and_update();
                    self.see_members();
                    None
                }
                Ok(()) = stop.changed() => {
                    if *stop.borrow_and_update() {
                        self.core.release(self.shared.clock.now());
                    }
                    None
                }
                batch = next(&mut self.inbound), if self.core.wants_inbound() => self.read_inbound(batch),
                () = tokio::time::sleep_until(deadline) => {
                    self.tick();
                    None
                }
            };
            if let Some(left) = outcome {
                return left;
            }
        }
    }

    fn see_members(&mut self) {
        let view = self.shared.view.borrow().clone();
        let now = self.shared.clock.now();
        self.core.on_lease(view.lease, now);
        self.core.on_members(view.members, now);
    }

    fn tick(&mut self) {
        let now = self.shared.clock.now();
        if self.claim_at.is_some_and(|at| at <= Instant::now()) {
            self.claim_at = None;
            self.core.claim(random_claim());
        }
        self.core.on_lease(self.shared.view.borrow().lease, now);
        self.core.tick(now);
        self.shared.set_resident(self.place, self.core.resident());
        for address in self.core.take_diverged() {
            tracing::error!(entity = %address, "the domain's code computes another state from the same events");
        }
    }

    fn deadline(&self) -> Instant {
        let now = Instant::now();
        let tick = now
            + if self.core.is_busy() {
                BUSY_TICK
            } else {
                IDLE_TICK
            };
        let timer = self.core.next_timer().filter(|_| self.core.is_owner());
        let timer =
            timer.map(|due| now + Duration::from_millis(due.since_ms(self.shared.clock.now())));
        [timer, self.claim_at]
            .into_iter()
            .flatten()
            .fold(tick, Instant::min)
    }

    fn read_events(&mut self, batch: Result<Vec<Stored>, ReadError>) -> Option<Left> {
        match batch {
            Ok(batch) => {
                self.shared.progress.replayed(batch.len() as u64);
                let refused = self.core.on_events(&batch, self.shared.clock.now());
                if refused {
                    self.claim_at = Some(Instant::now() + CLAIM_AGAIN);
                }
                None
            }
            Err(error) => Some(Left::Stopped(error.to_string())),
        }
    }

    /// R15: an inbound position out of range stops loudly.
    fn read_inbound(&mut self, batch: Result<Vec<Stored>, ReadError>) -> Option<Left> {
        match batch {
            Ok(batch) => {
                let now = self.shared.clock.now();
                self.core.on_lease(self.shared.view.borrow().lease, now);
                self.core.on_inbound(&batch, now);
                None
            }
            Err(error) => Some(Left::Stopped(error.to_string())),
        }
    }

    fn done(&mut self, done: Done) -> Option<Left> {
        let now = self.shared.clock.now();
        match done {
            // R12: whether or not the failed claim lands, a new one with a higher attempt settles it.
            Done::Claimed(false) => self.claim_at = Some(Instant::now() + CLAIM_AGAIN),
            Done::Claimed(true) => {}
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
            Done::Gap(Ok(batch)) => self.core.gap(&batch, now),
            Done::Gap(Err(error)) => return Some(Left::Stopped(error.to_string())),
            Done::Rescanned { id, batch } => self.core.rescanned(id, batch.as_deref(), now),
            Done::Saved(written) => self.core.saved(written),
        }
        None
    }

    /// Does what the core asks for; outbound records of one batch go out in one append per partition.
    fn perform(&mut self) -> Option<Left> {
        let mut outbound: Vec<(PartitionId, Vec<Option<u64>>, Vec<Record>)> = Vec::new();
        for action in self.core.actions() {
            let (id, partition, record) = match action {
                Action::Emit {
                    id,
                    partition,
                    record,
                } => (Some(id), partition, record),
                Action::Speak { partition, record } => (None, partition, record),
                other => {
                    if let Some(left) = self.act(other) {
                        return Some(left);
                    }
                    continue;
                }
            };
            match outbound.iter_mut().find(|(at, ..)| *at == partition) {
                Some((_, ids, records)) => {
                    ids.push(id);
                    records.push(record);
                }
                None => outbound.push((partition, vec![id], vec![record])),
            }
        }
        for (partition, ids, records) in outbound {
            self.emit(partition, ids, records);
        }
        None
    }

    fn emit(&mut self, partition: PartitionId, ids: Vec<Option<u64>>, records: Vec<Record>) {
        let at = TopicPartition {
            topic: Arc::clone(&self.topics.outbound),
            partition,
        };
        let acknowledged = self.shared.log.append(&at, records);
        if ids.iter().any(Option::is_some) {
            self.flying.push(Box::pin(async move {
                Done::Emitted {
                    ids,
                    results: acknowledged.await,
                }
            }));
        }
    }

    fn act(&mut self, action: Action) -> Option<Left> {
        let log = &self.shared.log;
        match action {
            Action::Claim(record) => {
                let acknowledged = log.append(&self.topics.events, vec![record]);
                self.flying.push(Box::pin(async move {
                    Done::Claimed(acknowledged.await.iter().all(Result::is_ok))
                }));
            }
            Action::Append {
                first,
                round,
                records,
            } => {
                let acknowledged = log.append(&self.topics.events, records);
                self.flying.push(Box::pin(async move {
                    Done::Appended {
                        first,
                        round,
                        results: acknowledged.await,
                    }
                }));
            }
            Action::ReadGap { from, upto } => {
                let reader = log.read(&self.topics.events, from);
                self.flying.push(Box::pin(async move {
                    Done::Gap(read_upto(reader, upto.next()).await)
                }));
            }
            Action::Tell(telling) => self.tell(*telling),
            Action::ReadInbound { from } => {
                self.events = None;
                self.inbound = Some(log.read(&self.topics.inbound, from));
                self.shared.set_state(self.place, PartitionState::Owned);
            }
            Action::Rescan {
                id,
                from,
                upto,
                bytes_max,
            } => {
                let reader = log.read(&self.topics.events, from);
                self.flying.push(Box::pin(async move {
                    Done::Rescanned {
                        id,
                        batch: read_bounded(reader, upto, bytes_max).await,
                    }
                }));
            }
            Action::Save(batch) => self.save(batch),
            Action::Lost(why) => {
                tracing::warn!(place = %self.place, why, "a partition was lost and is opened anew");
                return Some(Left::Lost);
            }
            Action::Released => return Some(Left::Released),
            Action::Stop(reason) => return Some(Left::Stopped(reason)),
            Action::Emit { .. } | Action::Speak { .. } => {}
        }
        None
    }

    fn tell(&self, telling: crate::action::Telling) {
        if let Some(lane) = self.shared.lanes.get(&telling.target.lane) {
            let at = TopicPartition {
                topic: Arc::clone(&lane.inbound),
                partition: telling.target.partition,
            };
            // Lost ones are repeated until the target confirms them (R34).
            drop(self.shared.log.append(&at, vec![telling.record]));
        }
    }

    fn save(&self, batch: Batch) {
        let store = Arc::clone(&self.store);
        let place = self.place.clone();
        let writing = tokio::task::spawn_blocking(move || store.write(batch));
        self.flying.push(Box::pin(async move {
            let written = writing.await.map_err(|error| error.to_string());
            let written = written.and_then(|written| written.map_err(|error| error.to_string()));
            if let Err(error) = &written {
                tracing::error!(%place, %error, "a snapshot was not written; the log keeps everything");
            }
            Done::Saved(written.is_ok())
        }));
    }

    /// The last snapshot, so that the next start replays nothing.
    async fn save_all(&mut self) {
        let now = self.shared.clock.now();
        self.core.cut(now);
        for _ in 0..2 {
            self.core.tick_saves();
            drop(self.perform());
            while let Some(done) = self.flying.next().await {
                drop(self.done(done));
            }
            self.core.cut(now);
        }
    }
}

async fn next(reader: &mut Option<Box<dyn Reader>>) -> Result<Vec<Stored>, ReadError> {
    match reader {
        Some(reader) => reader.next().await,
        None => std::future::pending().await,
    }
}

async fn read_upto(mut reader: Box<dyn Reader>, end: Offset) -> Result<Vec<Stored>, ReadError> {
    let mut found: Vec<Stored> = Vec::new();
    while found.last().is_none_or(|last| last.offset.next() < end) {
        found.extend(reader.next().await?);
    }
    found.retain(|stored| stored.offset < end);
    Ok(found)
}

/// Everything before `end`, or `None` when it is gone or has more than `bytes_max` bytes.
async fn read_bounded(
    mut reader: Box<dyn Reader>,
    end: Offset,
    bytes_max: usize,
) -> Option<Vec<Stored>> {
    let mut found: Vec<Stored> = Vec::new();
    let mut bytes = 0;
    while found.last().is_none_or(|last| last.offset.next() < end) {
        let batch = reader.next().await.ok()?;
        bytes += batch
            .iter()
            .map(|stored| stored.record.header.len() + stored.record.value.len())
            .sum::<usize>();
        if bytes > bytes_max {
            return None;
        }
        found.extend(batch);
    }
    Some(found)
}

fn random_u64() -> u64 {
    rand::random()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the shell names its claims; the core takes the name as an argument"
)]
fn random_claim() -> ClaimId {
    ClaimId(uuid::Uuid::new_v4())
}
