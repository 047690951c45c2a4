//! Entities in memory, what waits for them, and how they come and go.

use std::collections::BTreeSet;

use std::sync::Arc;

use xp_protocol::events::{Commit, TimerKey};
use xp_protocol::{Address, Incarnation, Offset, TimeMs};

use super::Partition;
use crate::entity::{Entity, Runtime, moves_waiting};
use crate::snapshot;

impl Partition {
    /// Brings an entity into memory if the store has it.
    pub(super) fn load(&mut self, address: &Address) -> Result<(), String> {
        if self.entities.contains_key(address) {
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
            let entity = snapshot::load(host.as_ref(), &record)
                .map_err(|error| format!("the snapshot of {address} cannot be used: {error}"))?;
            self.entities.insert(address.clone(), entity);
        }
        Ok(())
    }

    /// The entity at an address, made anew when there is none; `None` when its kind is not hosted.
    pub(super) fn entity(&mut self, address: &Address) -> Result<Option<&mut Entity>, String> {
        self.load(address)?;
        let Some(host) = self.setting.domain.get(address.category()) else {
            return Ok(None);
        };
        if !self.entities.contains_key(address) {
            let entity =
                Entity::new(host.fresh(), Runtime::default()).map_err(|fault| fault.to_string())?;
            self.entities.insert(address.clone(), entity);
        }
        Ok(self.entities.get_mut(address))
    }

    /// Folds a commit whose events have been applied, and keeps the indexes in step.
    pub(super) fn fold_commit(&mut self, address: &Address, commit: &Arc<Commit>, offset: Offset) {
        let Some(entity) = self.entities.get_mut(address) else {
            return;
        };
        let moves = commit.changes.iter().any(moves_waiting);
        let before = moves.then(|| Waiting::of(entity));
        if let Err(fault) = entity.fold(commit, offset, &self.setting.limits) {
            tracing::error!(entity = %address, %offset, %fault, "a stored commit cannot be folded; the entity is quarantined");
            entity.quarantined = true;
            self.quarantines = true;
        }
        let after = moves.then(|| Waiting::of(entity));
        let forget = entity.runtime.is_forgettable();
        if let Some((before, after)) = before.zip(after) {
            self.reindex(address, &before, &after);
        }
        if forget {
            self.entities.remove(address);
        }
        self.changes += 1;
        self.dirty.insert(address.clone(), self.changes);
    }

    fn reindex(&mut self, address: &Address, before: &Waiting, after: &Waiting) {
        for (due, key) in before.timers.difference(&after.timers) {
            self.timers.remove(&(*due, address.clone(), key.clone()));
        }
        for (due, key) in after.timers.difference(&before.timers) {
            self.timers.insert((*due, address.clone(), key.clone()));
        }
        for edge in before.edges.difference(&after.edges) {
            self.watched.remove(&(*edge, address.clone()));
        }
        for edge in after.edges.difference(&before.edges) {
            self.watched.insert((*edge, address.clone()));
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

    /// Idle, unwatched, stored entities leave memory.
    pub(super) fn passivate(&mut self, now: TimeMs) {
        let limits = &self.setting.limits;
        let due = now.since_ms(self.passivated_at) >= limits.passivate_ms / 4;
        if !due || self.entities.len() <= limits.resident_min {
            return;
        }
        self.passivated_at = now;
        let mut leaving = self.entities.len() - limits.resident_min;
        let dirty = &self.dirty;
        self.entities.retain(|address, entity| {
            let stays = leaving == 0
                || dirty.contains_key(address)
                || entity.quarantined
                || !entity.edges().is_empty()
                || now.since_ms(entity.touched) < limits.passivate_ms;
            leaving -= usize::from(!stays);
            stays
        });
    }
}

struct Waiting {
    timers: BTreeSet<(TimeMs, TimerKey)>,
    edges: BTreeSet<Incarnation>,
}

impl Waiting {
    fn of(entity: &Entity) -> Self {
        Self {
            timers: entity.runtime.timers().collect(),
            edges: entity.edges(),
        }
    }
}
