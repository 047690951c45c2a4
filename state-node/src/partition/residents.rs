//! Entities in memory, what waits for them, and how they come and go.

use std::collections::{BTreeMap, BTreeSet};

use std::sync::Arc;

use xp_domain_sdk::host::Host;
use xp_protocol::events::{Change, Commit, TimerKey};
use xp_protocol::{Address, Incarnation, Offset, TimeMs};
use xp_transport::Now;

use super::Partition;
use crate::entity::{Entity, Runtime, session_moved, timers_moved};
use crate::snapshot;

/// How many idle entities are looked at in one tick; the rest wait for the next.
const PASSIVATED_MAX: usize = 512;

impl Partition {
    /// Brings an entity into memory if the store has it.
    pub(super) fn load(&mut self, address: &Address) -> Result<(), String> {
        if self.entities.contains_key(address) || self.is_removed(address) {
            return Ok(());
        }
        let Some(host) = self.setting.domain.get(address.category()).cloned() else {
            return Ok(());
        };
        let record = self
            .setting
            .store
            .entity(address)
            .map_err(|error| error.to_string())?;
        if let Some(record) = record {
            let entity = match snapshot::load(host.as_ref(), &record, self.clock) {
                Ok(entity) => entity,
                Err(error) => {
                    let reason = format!("the snapshot of {address} cannot be used: {error}");
                    // Where the log is whole it rebuilds what is damaged.
                    if self.first == Offset(0) {
                        return Err(reason);
                    }
                    self.lose_entity(address, reason);
                    return Ok(());
                }
            };
            let waiting = entity
                .is_quarantined()
                .then(|| Waiting::all(&entity, host.as_ref()));
            self.admit(address, entity);
            if let Some(waiting) = waiting {
                self.is_set_aside(address, waiting);
            }
        }
        Ok(())
    }

    /// R45: whether an entity was forgotten since the store was written: what stands there of it counts no more.
    pub(super) fn is_removed(&self, address: &Address) -> bool {
        let is_gone = !self.entities.contains_key(address);
        is_gone && self.dirty.contains_key(address) && self.setting.rules.removals
    }

    pub(super) fn admit(&mut self, address: &Address, mut entity: Entity) {
        entity.queued = self.passivated_at;
        self.idle.push_back((entity.queued, address.clone()));
        self.entities.insert(address.clone(), entity);
    }

    /// The entity at an address, made anew when there is none; `None` when its kind is not hosted.
    pub(super) fn entity(&mut self, address: &Address) -> Result<Option<&mut Entity>, String> {
        self.load(address)?;
        let Some(host) = self.setting.domain.get(address.category()) else {
            return Ok(None);
        };
        let behind = self.fold.begins_behind();
        if !self.entities.contains_key(address) {
            let entity = Entity::new(host.fresh(), Runtime::default());
            self.admit(address, entity);
        }
        let mut entity = self.entities.get_mut(address);
        if let Some(entity) = &mut entity {
            entity.runtime.begin_behind(behind);
        }
        Ok(entity)
    }

    /// Folds a commit whose events have been applied, and keeps the indexes in step.
    pub(super) fn fold_commit(&mut self, address: &Address, commit: &Arc<Commit>, offset: Offset) {
        let host = self.setting.domain.get(address.category()).cloned();
        let Some((host, entity)) = host.zip(self.entities.get_mut(address)) else {
            return;
        };
        let host = host.as_ref();
        if commit.ends() {
            return self.fold_end(address, host, commit, offset);
        }
        let mut moved = Moved::by(&commit.changes, entity, host);
        entity.fold(host, commit, offset, &self.setting.limits);
        moved.note(&commit.changes, entity, host);
        let wakes = !entity.is_quarantined() || !self.setting.rules.parking;
        let forget = entity.runtime.is_forgettable();
        // R44: nothing wakes an entity in quarantine.
        if wakes {
            self.reindex(address, moved);
        }
        self.has_changed(address, forget);
    }

    /// The same for a commit that ends its entity (R49), which moves everything that is indexed of it.
    fn fold_end(
        &mut self,
        address: &Address,
        host: &dyn Host,
        commit: &Arc<Commit>,
        offset: Offset,
    ) {
        let Some(entity) = self.entities.get_mut(address) else {
            return;
        };
        let before = Waiting::all(entity, host);
        let was_kept = entity.is_kept();
        entity.fold(host, commit, offset, &self.setting.limits);
        let after = Waiting::all(entity, host);
        let forget = entity.runtime.is_forgettable();
        self.silence(address, before);
        self.wake(address, after);
        self.quarantined.remove(address);
        self.anew.remove(address);
        if !was_kept {
            self.unkept = !self.entities.values().all(Entity::is_kept);
        }
        self.has_changed(address, forget);
    }

    /// An entity must be stored, or removed where nothing is to be remembered of it.
    fn has_changed(&mut self, address: &Address, forget: bool) {
        if forget {
            self.entities.remove(address);
            self.quarantined.remove(address);
        }
        self.changes += 1;
        self.dirty.insert(address.clone(), self.changes);
    }

    /// Touches what the commit names and nothing else: an entity may remember thousands of sessions. A timer that is
    /// set again to the time it had is put back all the same, since it has fired and was taken out.
    fn reindex(&mut self, address: &Address, moved: Moved) {
        self.index_work += (moved.timers.len() + moved.edges.len()) as u64;
        for (key, before, after) in moved.timers {
            if let Some(due) = before {
                self.timers.remove(&(due, address.clone(), key.clone()));
            }
            if let Some(due) = after {
                self.timers.insert((due, address.clone(), key));
            }
        }
        for (edge, watches) in moved.edges {
            let place = (edge, address.clone());
            if watches {
                self.watched.insert(place);
            } else {
                self.watched.remove(&place);
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

    /// Fills the indexes for entities that stay on disk.
    pub(super) fn index(&mut self, pending: Vec<(Address, snapshot::Pending)>) {
        for (address, pending) in pending {
            for (due, key) in pending.timers {
                self.timers.insert((due, address.clone(), key));
            }
            for edge in pending.edges {
                self.watched.insert((edge, address.clone()));
            }
        }
    }

    /// The same for an entity whose part of the index cannot be read: its own record has it.
    pub(super) fn index_anew(&mut self, address: &Address) -> Result<(), String> {
        self.load(address)?;
        let entity = self.entities.get(address);
        let sound = entity.filter(|entity| !entity.is_quarantined());
        let host = self.setting.domain.get(address.category());
        if let Some(waiting) = sound
            .zip(host)
            .map(|(e, host)| Waiting::all(e, host.as_ref()))
        {
            tracing::warn!(entity = %address, "what waits for an entity could not be read from the snapshot's index, and was taken from the entity's own record");
            self.wake(address, waiting);
        }
        Ok(())
    }

    /// Idle, unwatched, stored entities leave memory, some at each call: each is looked at when it has waited
    /// for its time, and waits again if it was touched meanwhile.
    pub(super) fn passivate(&mut self, now: Now) {
        self.passivated_at = now.running;
        let idle_ms = self.setting.limits.passivate_ms;
        for _ in 0..PASSIVATED_MAX {
            let front = self.idle.front();
            if front.is_none_or(|(queued, _)| now.running.since_ms(*queued) < idle_ms) {
                return;
            }
            let (queued, address) = self.idle.pop_front().expect("there is a front");
            let spare = self.entities.len() > self.setting.limits.resident_min;
            let entity = self.entities.get_mut(&address);
            // One that has left and come back since has a later place.
            let Some(entity) = entity.filter(|entity| entity.queued == queued) else {
                continue;
            };
            let idle = now.running.since_ms(entity.touched) >= idle_ms;
            let free = spare && entity.is_unwatched() && !entity.is_quarantined();
            if idle && free && !self.dirty.contains_key(&address) {
                self.entities.remove(&address);
            } else {
                entity.queued = if idle { now.running } else { entity.touched };
                self.idle.push_back((entity.queued, address));
            }
        }
    }
}

/// What wakes an entity, or may end its sessions.
pub(super) struct Waiting {
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
struct Moved {
    timers: Vec<(TimerKey, Option<TimeMs>, Option<TimeMs>)>,
    edges: BTreeMap<Incarnation, bool>,
}

impl Moved {
    /// What these changes will move, as it is before them.
    fn by(changes: &[Change], entity: &Entity, host: &dyn Host) -> Self {
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
    fn note(&mut self, changes: &[Change], entity: &Entity, host: &dyn Host) {
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
