//! One partition, some producers, and everything that happened.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use xp_protocol::{Offset, PartitionId, TimeMs};
use xp_transport::simulated::{AppendId, Faults, ProducerId, SimEvent, SimLog};
use xp_transport::{Record, TopicPartition};

pub(crate) const TOPIC: &str = "main.events";
pub(crate) const START: TimeMs = TimeMs(1_000_000);

pub(crate) fn at(partition: u32) -> TopicPartition {
    TopicPartition {
        topic: TOPIC.into(),
        partition: PartitionId(partition),
    }
}

pub(crate) fn record(text: impl Into<String>) -> Record {
    Record {
        value: Bytes::from(text.into()),
        ..Record::default()
    }
}

/// A run: `count` records of each of `producers`, one per producer and millisecond.
pub(crate) struct Run {
    pub(crate) log: SimLog,
    pub(crate) events: Vec<(TimeMs, SimEvent)>,
    pub(crate) sent: BTreeMap<AppendId, (ProducerId, String)>,
}

impl Run {
    pub(crate) fn new(seed: u64, faults: Faults, producers: u64, count: u64) -> Self {
        let mut log = SimLog::new(seed, faults);
        log.create(TOPIC, 1);
        let mut run = Self {
            log,
            events: Vec::new(),
            sent: BTreeMap::new(),
        };
        for number in 0..count {
            let now = START.plus_ms(number);
            run.advance(now);
            for producer in (0..producers).map(ProducerId) {
                let text = format!("{}:{number}", producer.0);
                let id = run.log.append(now, producer, &at(0), record(text.clone()));
                run.sent.insert(id, (producer, text));
            }
        }
        run.advance(TimeMs(u64::MAX));
        run
    }

    fn advance(&mut self, until: TimeMs) {
        while let Some(when) = self.log.next_event_at().filter(|when| *when <= until) {
            let events = self.log.step(when);
            self.events
                .extend(events.into_iter().map(|event| (when, event)));
        }
    }

    /// What lies in the log, in order.
    pub(crate) fn texts(&self) -> Vec<String> {
        let first = self.log.bounds(&at(0)).unwrap().first;
        let records = self.log.records(&at(0), first).unwrap();
        records
            .map(|stored| String::from_utf8(stored.record.value.to_vec()).unwrap())
            .collect()
    }

    pub(crate) fn acknowledged(&self) -> BTreeMap<AppendId, Offset> {
        let events = self.events.iter();
        events
            .filter_map(|(_, event)| match event {
                SimEvent::Acknowledged { id, offset } => Some((*id, *offset)),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn failed(&self) -> BTreeSet<AppendId> {
        let events = self.events.iter();
        events
            .filter_map(|(_, event)| match event {
                SimEvent::Failed { id } => Some(*id),
                _ => None,
            })
            .collect()
    }

    /// How often each append landed.
    pub(crate) fn landings(&self) -> BTreeMap<AppendId, usize> {
        let mut landings = BTreeMap::new();
        for (_, event) in &self.events {
            if let SimEvent::Landed { id, .. } = event {
                *landings.entry(*id).or_default() += 1;
            }
        }
        landings
    }
}
