//! The difference between an entity and its stored snapshot: what the store has of it, and the events since.
//!
//! A state that cannot be encoded is no reason to lose it: the last one that could be, and the events behind it, make
//! it again. So the events are held until a state that has seen them is stored.

use bytes::Bytes;

/// Bytes of events after which the state is encoded although no snapshot is due, so that few are held.
const HELD_BYTES_MAX: usize = 64 << 10;

/// How an entity would be made again without the log.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    is_stored: bool,
    is_proven: bool,
    since: Option<Box<Since>>,
}

#[derive(Clone, Debug, Default)]
struct Since {
    /// A record that is not in the store yet.
    record: Option<Bytes>,
    /// Whether that record is in the last cut.
    is_cut: bool,
    events: Vec<Bytes>,
    bytes: usize,
    is_stuck: bool,
}

/// Where the events that are held go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// An entity before its first event.
    Fresh,
    /// The entity's record in the store.
    Stored,
    /// A record that the store does not have, such as one that is restored.
    Record(Bytes),
}

impl Kept {
    /// That of an entity which has just been loaded from the store.
    #[must_use]
    pub fn stored() -> Self {
        Self {
            is_stored: true,
            ..Self::default()
        }
    }

    /// Events that the entity has applied.
    pub fn note(&mut self, events: Bytes) {
        let since = self.since.get_or_insert_default();
        since.bytes += events.len();
        since.events.push(events);
    }

    /// The last events were not committed.
    pub fn take_back(&mut self) {
        if let Some(since) = &mut self.since {
            let last = since.events.pop();
            since.bytes -= last.map_or(0, |events| events.len());
        }
    }

    /// Whether it must be seen now that the state can be encoded: at the first events in memory, after many, and
    /// where the last attempt failed.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        !self.is_proven || self.is_stuck() || self.is_much()
    }

    /// Whether much is held.
    #[must_use]
    pub fn is_much(&self) -> bool {
        let since = self.since.as_ref();
        since.is_some_and(|since| since.bytes > HELD_BYTES_MAX)
    }

    /// Whether the state could not be encoded when it was last tried.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.since.as_ref().is_some_and(|since| since.is_stuck)
    }

    /// The state can be encoded.
    pub fn proven(&mut self) {
        self.is_proven = true;
        if let Some(since) = &mut self.since {
            since.is_stuck = false;
        }
    }

    /// The state is encoded in `record`, which is held until the store has it: soon, if it `is_cut`.
    pub fn encoded(&mut self, record: Bytes, is_cut: bool) {
        self.is_proven = true;
        self.since = Some(Box::new(Since {
            record: Some(record),
            is_cut,
            ..Since::default()
        }));
    }

    /// The state cannot be encoded, and nothing is stored of it. Whether that is news.
    pub fn stuck_as_it_is(&mut self) -> bool {
        let since = self.since.get_or_insert_default();
        !std::mem::replace(&mut since.is_stuck, true)
    }

    /// The state cannot be encoded; what makes it again is held, from `base` on. Whether that is news.
    pub fn stuck(&mut self, base: Option<Bytes>) -> bool {
        let since = self.since.get_or_insert_default();
        since.record = base;
        since.is_cut = false;
        !std::mem::replace(&mut since.is_stuck, true)
    }

    /// The store has the last cut.
    pub fn saved(&mut self) {
        let Some(since) = self.since.as_mut().filter(|since| since.is_cut) else {
            return;
        };
        self.is_stored = true;
        since.record = None;
        since.is_cut = false;
        if since.events.is_empty() {
            self.since = None;
        }
    }

    /// Where the held events go on from.
    #[must_use]
    pub fn base(&self) -> Base {
        let record = self.since.as_ref().and_then(|since| since.record.clone());
        match (record, self.is_stored) {
            (Some(record), _) => Base::Record(record),
            (None, true) => Base::Stored,
            (None, false) => Base::Fresh,
        }
    }

    /// The events behind it.
    pub fn events(&self) -> impl Iterator<Item = &Bytes> {
        self.since.iter().flat_map(|since| &since.events)
    }
}
