//! The model behind the [`Log`] trait, in tokio's time. Nothing runs in the background: whoever
//! waits for something moves the log forward.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use xp_protocol::{LogIdentity, Offset, TimeMs};

use super::faults::Faults;
use super::model::{AppendId, ProducerId, SimEvent, SimLog};
use super::store::Cursor;
use crate::log::{
    Acknowledged, AppendError, Bounds, Eventually, Log, ReadError, Reader, Record, Stored,
    TopicPartition,
};

/// The most bytes a reader gets at once, but for a single larger record.
const READ_BYTES: usize = 1024 * 1024;

/// A log in memory, with or without faults. Keeps every record. Clones append as one producer.
#[derive(Clone)]
pub struct Simulated {
    producer: ProducerId,
    world: Arc<World>,
}

struct World {
    state: Mutex<State>,
    changed: Notify,
    /// The virtual time `epoch` began then.
    began: Instant,
    epoch: TimeMs,
}

type Answer = Result<Offset, AppendError>;

struct State {
    log: SimLog,
    answers: BTreeMap<AppendId, (TopicPartition, Option<Answer>)>,
    producers: u64,
}

impl Simulated {
    /// A log without faults that begins at the virtual time `epoch`.
    #[must_use]
    pub fn new(topics: &[(&str, u32)], epoch: TimeMs) -> Self {
        Self::with_faults(topics, epoch, 0, Faults::none())
    }

    /// A log that misbehaves as `faults` say, drawn from `seed`.
    #[must_use]
    pub fn with_faults(topics: &[(&str, u32)], epoch: TimeMs, seed: u64, faults: Faults) -> Self {
        let mut log = SimLog::new(seed, faults);
        for (topic, partitions) in topics {
            log.create(topic, *partitions);
        }
        let world = World {
            state: Mutex::new(State {
                log,
                answers: BTreeMap::new(),
                producers: 1,
            }),
            changed: Notify::new(),
            began: Instant::now(),
            epoch,
        };
        Self {
            producer: ProducerId(0),
            world: Arc::new(world),
        }
    }

    /// A handle to the same log that appends as another producer, as another node does.
    #[must_use]
    pub fn another_producer(&self) -> Self {
        let mut state = self.world.state();
        let producer = ProducerId(state.producers);
        state.producers += 1;
        drop(state);
        Self {
            producer,
            world: Arc::clone(&self.world),
        }
    }

    /// Works on the model itself: change its faults, truncate, make a topic anew.
    pub fn with_model<T>(&self, act: impl FnOnce(&mut SimLog) -> T) -> T {
        self.world.advance();
        let result = act(&mut self.world.state().log);
        self.world.changed.notify_waiters();
        result
    }
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> TimeMs {
        let passed = self.began.elapsed().as_millis();
        self.epoch
            .plus_ms(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    fn instant(&self, when: TimeMs) -> Instant {
        self.began + Duration::from_millis(when.since_ms(self.epoch))
    }

    /// Lets everything happen that is due by now.
    fn advance(&self) {
        let now = self.now();
        let mut state = self.state();
        let events = state.log.step(now);
        let has_news = !events.is_empty();
        events.into_iter().for_each(|event| state.hear(event));
        drop(state);
        if has_news {
            self.changed.notify_waiters();
        }
    }

    /// Moves the log forward until `look` finds something.
    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            self.advance();
            let next = {
                let mut state = self.state();
                if let Some(found) = look(&mut state) {
                    return found;
                }
                state.log.next_event_at()
            };
            match next {
                Some(when) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(self.instant(when)) => {}
                },
                None => changed.await,
            }
        }
    }
}

impl State {
    fn hear(&mut self, event: SimEvent) {
        let (id, answer) = match event {
            SimEvent::Acknowledged { id, offset } => (id, Ok(offset)),
            SimEvent::Failed { id } => (id, Err("the simulated log reports an error")),
            SimEvent::Landed { .. } | SimEvent::Truncated { .. } => return,
        };
        if let Some((at, slot)) = self.answers.get_mut(&id) {
            *slot = Some(answer.map_err(|reason| unacknowledged(at, reason)));
        }
    }

    fn take_answers(&mut self, ids: &[AppendId]) -> Option<Vec<Answer>> {
        if ids.iter().any(|id| {
            self.answers
                .get(id)
                .is_none_or(|(_, answer)| answer.is_none())
        }) {
            return None;
        }
        Some(
            ids.iter()
                .filter_map(|id| self.answers.remove(id)?.1)
                .collect(),
        )
    }
}

fn unacknowledged(at: &TopicPartition, reason: &str) -> AppendError {
    AppendError::Unacknowledged {
        at: at.clone(),
        reason: reason.to_owned(),
    }
}

/// Waits for the answers to some appends; whoever drops it is not interested in them any more.
struct Answers {
    world: Arc<World>,
    at: TopicPartition,
    ids: Vec<AppendId>,
    deadline: Instant,
}

impl Answers {
    async fn all(self) -> Vec<Answer> {
        tokio::select! {
            biased;
            answers = self.world.until(|state| state.take_answers(&self.ids)) => answers,
            () = sleep_until(self.deadline) => self.what_came(),
        }
    }

    /// Silence is a failure in the end, as it is with every client library.
    fn what_came(&self) -> Vec<Answer> {
        let mut state = self.world.state();
        let mut answer = |id| state.answers.remove(id).and_then(|(_, answer)| answer);
        let silence = || Err(unacknowledged(&self.at, "no answer in time"));
        self.ids
            .iter()
            .map(|id| answer(id).unwrap_or_else(silence))
            .collect()
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        let mut state = self.world.state();
        for id in &self.ids {
            state.answers.remove(id);
        }
    }
}

impl Log for Simulated {
    fn append(&self, at: &TopicPartition, records: Vec<Record>) -> Acknowledged {
        self.world.advance();
        let now = self.world.now();
        let mut state = self.world.state();
        let ids: Vec<_> = records
            .into_iter()
            .map(|record| state.log.append(now, self.producer, at, record))
            .collect();
        state
            .answers
            .extend(ids.iter().map(|id| (*id, (at.clone(), None))));
        let patience_ms = state.log.timeout_ms(&at.topic);
        drop(state);
        // Without delays the records land now, whether or not anybody waits for the answer.
        self.world.advance();
        self.world.changed.notify_waiters();
        let answers = Answers {
            deadline: self.world.instant(now.plus_ms(patience_ms)),
            world: Arc::clone(&self.world),
            at: at.clone(),
            ids,
        };
        Box::pin(answers.all())
    }

    fn read(&self, at: &TopicPartition, from: Offset) -> Box<dyn Reader> {
        let cursor = self.world.state().log.cursor(at, from);
        Box::new(Follower {
            world: Arc::clone(&self.world),
            cursor,
        })
    }

    fn bounds(&self, at: &TopicPartition) -> Eventually<Result<Bounds, ReadError>> {
        self.world.advance();
        let bounds = self.world.state().log.bounds(at);
        Box::pin(async move { bounds })
    }

    fn identity(&self, at: &TopicPartition) -> Eventually<Result<LogIdentity, ReadError>> {
        let identity = self.world.state().log.identity(at);
        Box::pin(async move { identity })
    }

    fn partitions(&self, topic: &str) -> Eventually<Option<u32>> {
        let partitions = self.world.state().log.partitions(topic);
        Box::pin(async move { partitions })
    }
}

struct Follower {
    world: Arc<World>,
    /// After an error the reader is at an end.
    cursor: Result<Cursor, ReadError>,
}

impl Follower {
    async fn step(&mut self) -> Result<Vec<Stored>, ReadError> {
        let cursor = self.cursor.as_mut().map_err(|error| error.clone())?;
        let look = |state: &mut State| match state.log.read(cursor, READ_BYTES) {
            Ok(found) if found.is_empty() => None,
            result => Some(result),
        };
        let result = self.world.until(look).await;
        if let Err(error) = &result {
            self.cursor = Err(error.clone());
        }
        result
    }
}

impl Reader for Follower {
    fn next(
        &mut self,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Stored>, ReadError>> + Send + '_>> {
        Box::pin(self.step())
    }
}
