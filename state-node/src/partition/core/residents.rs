//! Entities in memory, and how they come and go.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use xp_domain_sdk::host::Host;
use xp_protocol::events::Commit;
use xp_protocol::rules::Rule;
use xp_protocol::{Address, Offset, TimeMs};
use xp_transport::Now;

use super::Core;
use super::index::{Index, Moved, Waiting};
use crate::entity::{Entity, Runtime};
use crate::snapshot;

/// How many idle entities are looked at in one tick; the rest wait for the next.
const PASSIVATED_MAX: usize = 512;

/// Entities in memory, and what wakes those that are not.
#[derive(Default)]
pub(in crate::partition) struct Residents {
    /// Boxed, because half of a table's entries are empty after it has grown.
    entities: HashMap<Address, Box<Entity>>,
    /// When to look whether an entity is idle.
    idle: VecDeque<(TimeMs, Address)>,
    /// When idle entities were last looked for.
    passivated_at: TimeMs,
    pub(in crate::partition) index: Index,
}

impl Residents {
    /// None; `now` is when the partition is opened.
    pub(in crate::partition) fn new(now: TimeMs) -> Self {
        Self {
            passivated_at: now,
            ..Self::default()
        }
    }

    pub(in crate::partition) fn len(&self) -> usize {
        self.entities.len()
    }

    pub(in crate::partition) fn has(&self, address: &Address) -> bool {
        self.entities.contains_key(address)
    }

    pub(in crate::partition) fn get(&self, address: &Address) -> Option<&Entity> {
        self.entities.get(address).map(Box::as_ref)
    }

    pub(in crate::partition) fn get_mut(&mut self, address: &Address) -> Option<&mut Entity> {
        self.entities.get_mut(address).map(Box::as_mut)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Entity> {
        self.entities.values().map(Box::as_ref)
    }

    pub(super) fn admit(&mut self, address: &Address, mut entity: Entity) {
        entity.queued = self.passivated_at;
        self.idle.push_back((entity.queued, address.clone()));
        self.entities.insert(address.clone(), Box::new(entity));
    }

    pub(super) fn remove(&mut self, address: &Address) {
        self.entities.remove(address);
    }
}

impl Core {
    /// Brings an entity into memory if the store has it.
    pub(in crate::partition) fn load(&mut self, address: &Address) -> Result<(), String> {
        if self.residents.has(address) || self.is_removed(address) {
            return Ok(());
        }
        let Some(host) = self.setting.domain.get(address.category()).cloned() else {
            return Ok(());
        };
        let record = self.setting.store.entity(address);
        let Some(record) = record.map_err(|error| error.to_string())? else {
            return Ok(());
        };
        let entity = match snapshot::load(host.as_ref(), &record, self.clock) {
            Ok(entity) => entity,
            Err(error) => {
                let reason = format!("the snapshot of {address} cannot be used: {error}");
                // Where the log is whole it rebuilds what is damaged.
                if self.opened.first == Offset(0) {
                    return Err(reason);
                }
                self.lose_entity(address, reason);
                return Ok(());
            }
        };
        let waiting = entity
            .is_quarantined()
            .then(|| Waiting::all(&entity, host.as_ref()));
        self.residents.admit(address, entity);
        if let Some(waiting) = waiting {
            self.is_set_aside(address, waiting);
        }
        Ok(())
    }

    /// R45: whether an entity was forgotten since the store was written: what stands there of it counts no more.
    pub(in crate::partition) fn is_removed(&self, address: &Address) -> bool {
        let is_gone = !self.residents.has(address);
        is_gone && self.snapshots.is_dirty(address) && self.holds(Rule::Removals)
    }

    /// The entity at an address, made anew when there is none; `None` when its kind is not hosted.
    pub(in crate::partition) fn entity(
        &mut self,
        address: &Address,
    ) -> Result<Option<&mut Entity>, String> {
        self.load(address)?;
        let Some(host) = self.setting.domain.get(address.category()) else {
            return Ok(None);
        };
        if !self.residents.has(address) {
            let entity = Entity::new(host.fresh(), Runtime::default());
            self.residents.admit(address, entity);
        }
        let behind = self.fold.begins_behind(self.setting.rules);
        let mut entity = self.residents.get_mut(address);
        if let Some(entity) = &mut entity {
            entity.runtime.begin_behind(behind);
        }
        Ok(entity)
    }

    /// Folds a commit whose events have been applied, and keeps the index in step.
    pub(in crate::partition) fn fold_commit(
        &mut self,
        address: &Address,
        commit: &Arc<Commit>,
        offset: Offset,
    ) {
        let host = self.setting.domain.get(address.category()).cloned();
        let Some((host, entity)) = host.zip(self.residents.get_mut(address)) else {
            return;
        };
        let host = host.as_ref();
        if commit.ends() {
            return self.fold_end(address, host, commit, offset);
        }
        let mut moved = Moved::by(&commit.changes, entity, host);
        entity.fold(host, commit, offset, &self.setting.limits);
        moved.note(&commit.changes, entity, host);
        let wakes = !entity.is_quarantined() || !self.setting.rules.holds(Rule::Parking);
        let forget = entity.runtime.is_forgettable();
        // R44: nothing wakes an entity in quarantine.
        if wakes {
            self.residents.index.update(address, moved);
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
        let Some(entity) = self.residents.get_mut(address) else {
            return;
        };
        let before = Waiting::all(entity, host);
        let was_kept = entity.is_kept();
        entity.fold(host, commit, offset, &self.setting.limits);
        let after = Waiting::all(entity, host);
        let forget = entity.runtime.is_forgettable();
        self.residents.index.silence(address, before);
        self.residents.index.wake(address, after);
        self.quarantines.release(address);
        if !was_kept {
            self.quarantines.unkept = !self.residents.all().all(Entity::is_kept);
        }
        self.has_changed(address, forget);
    }

    /// An entity must be stored, or removed where nothing is to be remembered of it.
    fn has_changed(&mut self, address: &Address, forget: bool) {
        self.forget_if(address, forget);
        self.snapshots.note(address);
    }

    /// Indexes what waits for an entity whose part of the stored index cannot be read: its own record has it.
    pub(in crate::partition) fn index_anew(&mut self, address: &Address) -> Result<(), String> {
        self.load(address)?;
        let host = self.setting.domain.get(address.category());
        let waiting = self.sound(address).zip(host);
        if let Some(waiting) = waiting.map(|(e, host)| Waiting::all(e, host.as_ref())) {
            tracing::warn!(entity = %address, "what waits for an entity could not be read from the snapshot's index, and was taken from the entity's own record");
            self.residents.index.wake(address, waiting);
        }
        Ok(())
    }

    /// Idle, unwatched, stored entities leave memory, some at each call: each is looked at when it has waited
    /// for its time, and waits again if it was touched meanwhile.
    pub(in crate::partition) fn passivate(&mut self, now: Now) {
        let limits = &self.setting.limits;
        let (idle_ms, resident_min) = (limits.residents.passivate.ms(), limits.residents.min);
        let residents = &mut self.residents;
        residents.passivated_at = now.running;
        for _ in 0..PASSIVATED_MAX {
            let has_waited =
                |(queued, _): &mut (TimeMs, _)| now.running.since_ms(*queued) >= idle_ms;
            let Some((queued, address)) = residents.idle.pop_front_if(has_waited) else {
                return;
            };
            let spare = residents.entities.len() > resident_min;
            let entity = residents.entities.get_mut(&address);
            // One that has left and come back since has a later place.
            let Some(entity) = entity.filter(|entity| entity.queued == queued) else {
                continue;
            };
            let idle = now.running.since_ms(entity.touched) >= idle_ms;
            let free = spare && entity.is_unwatched() && !entity.is_quarantined();
            if idle && free && !self.snapshots.is_dirty(&address) {
                residents.entities.remove(&address);
            } else {
                entity.queued = if idle { now.running } else { entity.touched };
                residents.idle.push_back((entity.queued, address));
            }
        }
    }
}
