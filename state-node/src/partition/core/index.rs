//! The index of what wakes entities, in memory or on disk: timers by when they are due, edges that hold their sessions.

use std::collections::{BTreeMap, BTreeSet};

use xp_domain_sdk::host::Host;
use xp_protocol::events::{Change, TimerKey};
use xp_protocol::{Address, Incarnation, TimeMs};

use crate::entity::{Entity, session_moved, timers_moved};
use crate::snapshot::Pending;

/// A timer of an entity, and when it is due.
pub(in crate::partition) type Timer = (TimeMs, Address, TimerKey);

/// Timers and edges of all entities but those that nothing may wake.
#[derive(Default)]
pub(in crate::partition) struct Index {
    timers: BTreeSet<Timer>,
    watched: BTreeSet<(Incarnation, Address)>,
    /// How many entries commits have looked up.
    work: u64,
}

impl Index {
    /// Entities that stay on disk.
    pub(in crate::partition) fn fill(&mut self, pending: Vec<(Address, Pending)>) {
        for (address, pending) in pending {
            for (due, key) in pending.timers {
                self.timers.insert((due, address.clone(), key));
            }
            for edge in pending.edges {
                self.watched.insert((edge, address.clone()));
            }
        }
    }

    /// Touches what a commit names and nothing else: an entity may remember thousands of sessions. A timer that is
    /// set again to the time it had is put back all the same, since it has fired and was taken out.
    pub(super) fn update(&mut self, address: &Address, moved: Moved) {
        self.work += (moved.timers.len() + moved.edges.len()) as u64;
        for (key, before, after) in moved.timers {
            if let Some(due) = before {
                self.timers.remove(&(due, address.clone(), key.clone()));
            }
            if let Some(due) = after {
                self.timers.insert((due, address.clone(), key));
            }
        }
        for (edge, watches) in moved.edges {
            let seat = (edge, address.clone());
            if watches {
                self.watched.insert(seat);
            } else {
                self.watched.remove(&seat);
            }
        }
    }

    /// All that waits for an entity is indexed again.
    pub(super) fn wake(&mut self, address: &Address, waiting: Waiting) {
        let timers = waiting.timers.into_iter();
        self.timers
            .extend(timers.map(|(due, key)| (due, address.clone(), key)));
        let edges = waiting.edges.into_iter();
        self.watched
            .extend(edges.map(|edge| (edge, address.clone())));
    }

    /// None of it is.
    pub(super) fn silence(&mut self, address: &Address, waiting: Waiting) {
        for (due, key) in waiting.timers {
            self.timers.remove(&(due, address.clone(), key));
        }
        for edge in waiting.edges {
            self.watched.remove(&(edge, address.clone()));
        }
    }

    /// Nor is anything of an entity whose own record does not say what waits for it.
    pub(super) fn remove(&mut self, address: &Address) {
        self.timers.retain(|(_, of, _)| of != address);
        self.watched.retain(|(_, of)| of != address);
    }

    /// The first timers that are due by `time`, in the order of their times; at most `count`.
    pub(in crate::partition) fn due_by(&self, time: TimeMs, count: usize) -> Vec<Timer> {
        let due = self.timers.iter().take_while(|(due, ..)| *due <= time);
        due.take(count).cloned().collect()
    }

    /// When the next timer is due.
    pub(in crate::partition) fn next_due(&self) -> Option<TimeMs> {
        self.timers.first().map(|(due, ..)| *due)
    }

    /// Takes a timer out, if it is set.
    pub(in crate::partition) fn take(&mut self, timer: &Timer) -> bool {
        self.timers.remove(timer)
    }

    /// Sets a timer.
    pub(in crate::partition) fn set(&mut self, timer: Timer) {
        self.timers.insert(timer);
    }

    /// Each edge with each entity that has a session there.
    pub(in crate::partition) fn watched(
        &self,
    ) -> impl Iterator<Item = &(Incarnation, Address)> + Clone {
        self.watched.iter()
    }

    /// How many entries commits have looked up: in proportion to what they changed, and to nothing else.
    pub(in crate::partition) fn work(&self) -> u64 {
        self.work
    }
}

/// What wakes an entity, or may end its sessions.
pub(in crate::partition) struct Waiting {
    timers: BTreeSet<(TimeMs, TimerKey)>,
    edges: BTreeSet<Incarnation>,
}

impl Waiting {
    pub(super) fn all(entity: &Entity, host: &dyn Host) -> Self {
        Self {
            timers: entity.timers(host).collect(),
            edges: entity.edges(),
        }
    }
}

/// The timers and edges that a commit names, as they were before it and are after it.
#[derive(Default)]
pub(super) struct Moved {
    timers: Vec<(TimerKey, Option<TimeMs>, Option<TimeMs>)>,
    edges: BTreeMap<Incarnation, bool>,
}

impl Moved {
    /// What these changes will move, as it is before them.
    pub(super) fn by(changes: &[Change], entity: &Entity, host: &dyn Host) -> Self {
        let mut moved = Self::default();
        // Every commit says that the entity is used.
        let retention = host.retention_ms().map(|_| TimerKey::Retention);
        for key in changes.iter().flat_map(timers_moved).chain(retention) {
            let due = entity.due(host, &key);
            moved.timers.push((key, due, None));
        }
        moved.note_edges(changes, entity);
        moved
    }

    /// The same after the changes.
    pub(super) fn note(&mut self, changes: &[Change], entity: &Entity, host: &dyn Host) {
        for (key, _, after) in &mut self.timers {
            *after = entity.due(host, key);
        }
        self.note_edges(changes, entity);
        for (edge, watches) in &mut self.edges {
            *watches = entity.is_watched_by(*edge);
        }
    }

    fn note_edges(&mut self, changes: &[Change], entity: &Entity) {
        for connection in changes.iter().filter_map(session_moved) {
            if let Some(session) = entity.runtime.session(connection) {
                self.edges.insert(session.socket.edge, false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(due: u64, address: &str) -> Timer {
        let key = TimerKey::Domain("round".into());
        (TimeMs(due), address.parse().unwrap(), key)
    }

    #[test]
    fn timers_are_due_in_the_order_of_their_times_and_taken_once() {
        let mut index = Index::default();
        for (due, address) in [(30, "room/1"), (10, "room/2"), (20, "room/1")] {
            index.set(timer(due, address));
        }
        assert_eq!(index.next_due(), Some(TimeMs(10)));
        let due = index.due_by(TimeMs(20), 8);
        assert_eq!(due, [timer(10, "room/2"), timer(20, "room/1")]);
        assert_eq!(index.due_by(TimeMs(20), 1), [timer(10, "room/2")]);
        assert!(index.take(&due[0]) && !index.take(&due[0]));
        assert_eq!(index.next_due(), Some(TimeMs(20)));
    }

    #[test]
    fn nothing_of_an_entity_that_is_removed_wakes_it() {
        let mut index = Index::default();
        let edge = Incarnation(uuid::Uuid::from_u128(1));
        for address in ["room/1", "room/2"] {
            index.set(timer(10, address));
            index.watched.insert((edge, address.parse().unwrap()));
        }
        index.remove(&"room/1".parse().unwrap());
        assert_eq!(index.due_by(TimeMs(10), 8), [timer(10, "room/2")]);
        let watched: Vec<_> = index.watched().map(|(_, of)| of.to_string()).collect();
        assert_eq!(watched, ["room/2"]);
    }
}
