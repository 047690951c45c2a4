//! The simulated log itself: a queue of landings and answers in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;
use xp_protocol::{LogIdentity, Offset, PartitionId, TimeMs};

use super::faults::Faults;
use super::flight::{Answer, Flight};
use super::store::{Cursor, Store};
use crate::log::{Bounds, ReadError, Record, Stored, TopicPartition};

/// Who appends. Order is kept within one producer (if its topic is `idempotent`), not between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(pub u64);

/// Names one append; they rise in the order of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppendId(pub u64);

/// What happened in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimEvent {
    /// A record can be read.
    Landed {
        /// Which append it came from; twice when the record was doubled.
        id: AppendId,
        /// The topic and the partition that it landed in.
        at: TopicPartition,
        /// At which offset.
        offset: Offset,
    },
    /// A producer hears that its record is in the log.
    Acknowledged {
        /// The append that is acknowledged.
        id: AppendId,
        /// At which offset.
        offset: Offset,
    },
    /// A producer hears that its append failed, which proves nothing (R12).
    Failed {
        /// The append that is said to have failed.
        id: AppendId,
    },
    /// The newest records of a partition are gone.
    Truncated {
        /// The topic and the partition that lost them.
        at: TopicPartition,
        /// The offset that the next record takes.
        next: Offset,
    },
}

/// A log in virtual time. The same seed and the same calls give the same events.
#[derive(Debug)]
pub struct SimLog {
    rng: ChaCha8Rng,
    faults: Faults,
    topic_faults: BTreeMap<Arc<str>, Faults>,
    topics: BTreeMap<Arc<str>, u32>,
    stores: BTreeMap<TopicPartition, Store>,
    agenda: BTreeMap<(TimeMs, u64), Due>,
    planned: u64,
    appended: u64,
    /// When the last record and the last answer of each producer and partition are due, so that
    /// neither overtakes.
    lanes: BTreeMap<(ProducerId, TopicPartition), Lane>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    last_landing: TimeMs,
    last_answer: TimeMs,
}

/// Something that will happen.
#[derive(Debug)]
enum Due {
    Landing(Landing),
    Answer {
        producer: ProducerId,
        event: SimEvent,
    },
}

#[derive(Debug)]
struct Landing {
    id: AppendId,
    producer: ProducerId,
    at: TopicPartition,
    identity: LogIdentity,
    record: Record,
    answer: Answer,
    times_out: TimeMs,
}

impl SimLog {
    /// A log without topics.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            faults,
            topic_faults: BTreeMap::new(),
            topics: BTreeMap::new(),
            stores: BTreeMap::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            appended: 0,
            lanes: BTreeMap::new(),
        }
    }

    /// Makes a topic, or makes it anew: empty, under a fresh identity, as a topic in memory is after
    /// a restart. What was on its way to the old one never lands.
    pub fn create(&mut self, topic: &str, partitions: u32) {
        let topic: Arc<str> = topic.into();
        self.topics.insert(Arc::clone(&topic), partitions);
        self.stores.retain(|at, _| at.topic != topic);
        let identity = LogIdentity(Uuid::from_u128(self.rng.random()));
        for partition in (0..partitions).map(PartitionId) {
            let at = TopicPartition {
                topic: Arc::clone(&topic),
                partition,
            };
            self.stores.insert(at, Store::new(identity));
        }
    }

    /// From now on these faults hold, but for topics that have their own.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// From now on these faults hold for one topic.
    pub fn set_topic_faults(&mut self, topic: &str, faults: Faults) {
        self.topic_faults.insert(topic.into(), faults);
    }

    fn faults(&self, topic: &str) -> &Faults {
        self.topic_faults.get(topic).unwrap_or(&self.faults)
    }

    /// Sends one record on its way. What becomes of it comes out of [`Self::step`]. `now` never
    /// lies before the last `step`. A record for a topic or partition that does not exist fails.
    pub fn append(
        &mut self,
        now: TimeMs,
        producer: ProducerId,
        at: &TopicPartition,
        record: Record,
    ) -> AppendId {
        let id = AppendId(self.appended);
        self.appended += 1;
        match self.stores.get(at).map(|store| store.identity) {
            Some(identity) => self.launch(now, id, producer, at, identity, record.unlabelled()),
            None => {
                let event = SimEvent::Failed { id };
                self.plan(now, Due::Answer { producer, event });
            }
        }
        id
    }

    /// Sends one record on its way from a producer that reaches nobody: it never lands, and has failed at the
    /// timeout.
    pub fn append_in_vain(
        &mut self,
        now: TimeMs,
        producer: ProducerId,
        at: &TopicPartition,
    ) -> AppendId {
        let id = AppendId(self.appended);
        self.appended += 1;
        let times_out = now.plus_ms(self.faults(&at.topic).timeout_ms);
        self.plan_failure(times_out, producer, id);
        id
    }

    /// From now on a partition's records are stamped by a clock that is off by so much, as after its leader
    /// has changed.
    pub fn set_clock(&mut self, at: &TopicPartition, skew_ms: i64) {
        if let Some(store) = self.stores.get_mut(at) {
            store.skew_ms = skew_ms;
        }
    }

    fn launch(
        &mut self,
        now: TimeMs,
        id: AppendId,
        producer: ProducerId,
        at: &TopicPartition,
        identity: LogIdentity,
        record: Record,
    ) {
        let faults = self.faults(&at.topic).clone();
        let flight = Flight::draw(&faults, &mut self.rng);
        let times_out = now.plus_ms(faults.timeout_ms);
        let Some(lands_ms) = flight.lands_ms else {
            if flight.answer == Answer::TimesOut {
                self.plan_failure(times_out, producer, id);
            }
            return;
        };
        let lands = self.landing_time(now.plus_ms(lands_ms), producer, at, faults.idempotent);
        let answer = self.give_up_in_time(flight.answer, lands, times_out, producer, id);
        let landing = |answer, record| Landing {
            id,
            producer,
            at: at.clone(),
            identity,
            record,
            answer,
            times_out,
        };
        if let Some(again_ms) = flight.again_ms {
            let second = landing(Answer::Nothing, record.clone());
            self.plan(lands.plus_ms(again_ms), Due::Landing(second));
        }
        self.plan(lands, Due::Landing(landing(answer, record)));
    }

    fn landing_time(
        &mut self,
        drawn: TimeMs,
        producer: ProducerId,
        at: &TopicPartition,
        idempotent: bool,
    ) -> TimeMs {
        let lane = self.lanes.entry((producer, at.clone())).or_default();
        if idempotent {
            lane.last_landing = lane.last_landing.max(drawn);
            return lane.last_landing;
        }
        drawn
    }

    fn plan(&mut self, when: TimeMs, due: Due) {
        self.agenda.insert((when, self.planned), due);
        self.planned += 1;
    }

    fn plan_failure(&mut self, when: TimeMs, producer: ProducerId, id: AppendId) {
        let event = SimEvent::Failed { id };
        self.plan(when, Due::Answer { producer, event });
    }

    /// A record that lands after the timeout has failed for its producer long before.
    fn give_up_in_time(
        &mut self,
        answer: Answer,
        lands: TimeMs,
        times_out: TimeMs,
        producer: ProducerId,
        id: AppendId,
    ) -> Answer {
        if lands <= times_out || answer == Answer::Nothing {
            return answer;
        }
        self.plan_failure(times_out, producer, id);
        Answer::Nothing
    }

    /// Plans what a producer hears; its acknowledgements of one partition never overtake each other.
    fn answer(&mut self, producer: ProducerId, at: &TopicPartition, when: TimeMs, event: SimEvent) {
        let mut when = when;
        if matches!(event, SimEvent::Acknowledged { .. }) {
            let lane = self.lanes.entry((producer, at.clone())).or_default();
            lane.last_answer = lane.last_answer.max(when);
            when = lane.last_answer;
        }
        self.plan(when, Due::Answer { producer, event });
    }

    /// When something happens next.
    #[must_use]
    pub fn next_event_at(&self) -> Option<TimeMs> {
        self.agenda.first_key_value().map(|((when, _), _)| *when)
    }

    /// Everything that happens up to and including `until`, in order.
    pub fn step(&mut self, until: TimeMs) -> Vec<SimEvent> {
        let mut events = Vec::new();
        while let Some(entry) = self.agenda.first_entry() {
            let (when, _) = *entry.key();
            if when > until {
                break;
            }
            match entry.remove() {
                Due::Answer { event, .. } => events.push(event),
                Due::Landing(landing) => self.land(when, landing, &mut events),
            }
        }
        events
    }

    fn land(&mut self, now: TimeMs, landing: Landing, events: &mut Vec<SimEvent>) {
        let faults = self.faults(&landing.at.topic).clone();
        let truncated = self.rng.random_bool(faults.leaders.truncation);
        let lost = truncated.then(|| {
            self.rng
                .random_range(0..=faults.leaders.truncated_records_max)
        });
        let jumped = self.rng.random_bool(faults.leaders.clock_jump);
        let bound = i64::try_from(faults.leaders.clock_jump_ms).unwrap_or(i64::MAX);
        let skew = jumped.then(|| self.rng.random_range(-bound..=bound));
        let Landing {
            id,
            producer,
            at,
            identity,
            record,
            answer,
            times_out,
        } = landing;
        let Some(store) = self
            .stores
            .get_mut(&at)
            .filter(|store| store.identity == identity)
        else {
            if answer != Answer::Nothing {
                self.plan_failure(times_out, producer, id);
            }
            return;
        };
        store.skew_ms = skew.unwrap_or(store.skew_ms);
        if let Some(lost) = lost.filter(|lost| *lost > 0) {
            store.truncate(Offset(store.bounds().next.0.saturating_sub(lost)));
            let next = store.bounds().next;
            events.push(SimEvent::Truncated {
                at: at.clone(),
                next,
            });
        }
        let offset = store.land(now, record);
        events.push(SimEvent::Landed {
            id,
            at: at.clone(),
            offset,
        });
        if let Some((when, event)) = hears(id, offset, now, answer, times_out) {
            self.answer(producer, &at, when, event);
        }
    }

    /// The producer is gone: it hears nothing any more, but what it sent may still land.
    pub fn abandon(&mut self, producer: ProducerId) {
        self.agenda.retain(|_, due| match due {
            Due::Answer {
                producer: whose, ..
            } => *whose != producer,
            Due::Landing(landing) => {
                if landing.producer == producer {
                    landing.answer = Answer::Nothing;
                }
                true
            }
        });
        self.lanes.retain(|(whose, _), _| *whose != producer);
    }

    /// Drops the records of a partition from `next` on.
    pub fn truncate(&mut self, at: &TopicPartition, next: Offset) {
        if let Some(store) = self.stores.get_mut(at) {
            store.truncate(next);
        }
    }

    /// Drops the records of a partition before `first`, as retention does.
    pub fn retain_from(&mut self, at: &TopicPartition, first: Offset) {
        if let Some(store) = self.stores.get_mut(at) {
            store.retain_from(first);
        }
    }

    fn store(&self, at: &TopicPartition) -> Result<&Store, ReadError> {
        self.stores
            .get(at)
            .ok_or_else(|| ReadError::Unknown { at: at.clone() })
    }

    /// The records that have landed, from `from` on.
    ///
    /// # Errors
    /// `OutOfRange` when `from` was retained away or lies behind the end; `Unknown`.
    pub fn records(
        &self,
        at: &TopicPartition,
        from: Offset,
    ) -> Result<impl Iterator<Item = &Stored> + use<'_>, ReadError> {
        self.store(at)?.records(at, from)
    }

    /// A place to read from that notices truncation and recreation.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn cursor(&self, at: &TopicPartition, from: Offset) -> Result<Cursor, ReadError> {
        Ok(self.store(at)?.cursor(at, from))
    }

    /// The records at the cursor, which moves behind them, until they make up `bytes_max`; at least one,
    /// but none at the end.
    ///
    /// # Errors
    /// `OutOfRange` when the log was truncated below the cursor or made anew, or when the cursor lies
    /// outside of it; `Unknown`.
    pub fn read(&self, cursor: &mut Cursor, bytes_max: usize) -> Result<Vec<Stored>, ReadError> {
        self.store(&cursor.at)?.read(cursor, bytes_max)
    }

    /// The bounds of a partition.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn bounds(&self, at: &TopicPartition) -> Result<Bounds, ReadError> {
        Ok(self.store(at)?.bounds())
    }

    /// The identity of a partition's present life.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn identity(&self, at: &TopicPartition) -> Result<LogIdentity, ReadError> {
        Ok(self.store(at)?.identity)
    }

    /// After how long a producer of `topic` gives a record up.
    #[must_use]
    pub fn timeout_ms(&self, topic: &str) -> u64 {
        self.faults(topic).timeout_ms
    }

    /// How many partitions a topic has.
    #[must_use]
    pub fn partitions(&self, topic: &str) -> Option<u32> {
        self.topics.get(topic).copied()
    }
}

/// What a producer hears of a record that landed `now`, and when.
fn hears(
    id: AppendId,
    offset: Offset,
    now: TimeMs,
    answer: Answer,
    times_out: TimeMs,
) -> Option<(TimeMs, SimEvent)> {
    let failed = SimEvent::Failed { id };
    match answer {
        Answer::Nothing => None,
        Answer::TimesOut => Some((times_out, failed)),
        Answer::Failed { after_ms } => Some((now.plus_ms(after_ms).min(times_out), failed)),
        Answer::Acknowledged { after_ms } if now.plus_ms(after_ms) <= times_out => {
            Some((now.plus_ms(after_ms), SimEvent::Acknowledged { id, offset }))
        }
        Answer::Acknowledged { .. } => Some((times_out, failed)),
    }
}
