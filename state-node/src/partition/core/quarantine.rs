//! Entities that this build cannot read: set aside alone, kept with all that is known of them, and tried again (R44).

use std::collections::BTreeSet;

use bytes::Bytes;
use xp_domain_sdk::host::{Fault, Instance};
use xp_protocol::events::Checkpoint;
use xp_protocol::rules::Rule;
use xp_protocol::{Address, Offset, Revision};

use super::super::Faulted;
use super::Core;
use super::index::Waiting;
use crate::action::Action;
use crate::entity::{Cure, Entity, Quarantine, Runtime};
use crate::snapshot;

/// How many entities a partition names in the log when it sets them aside; the others are counted.
const NAMED_MAX: usize = 16;

/// An entity folded anew from its events, or why that was not possible.
pub type FoldedAnew = (Address, Result<Box<dyn Instance>, String>);

/// What a partition holds that it cannot use: entities that this build cannot read, and what could not be applied.
#[derive(Default)]
pub(in crate::partition) struct Quarantines {
    /// Entities in memory that are set aside.
    addresses: BTreeSet<Address>,
    /// How many were set aside in this life.
    named: usize,
    /// Those of another state version that wait to be folded anew; and whether some are.
    anew: BTreeSet<Address>,
    folding: bool,
    /// Something in memory lacks what a snapshot would then lack for ever, so none is cut.
    pub(in crate::partition) unkept: bool,
    /// What is stored of some entity is damaged, and nothing can rebuild it here.
    lacks: bool,
    /// This life ends once the log is read, so that the next one keeps what it has spoilt.
    reopens: bool,
    pub(in crate::partition) faulted: Faulted,
}

impl Quarantines {
    /// None yet; what failed to apply in an earlier life is not applied again.
    pub(in crate::partition) fn new(faulted: Faulted) -> Self {
        Self {
            faulted,
            ..Self::default()
        }
    }

    /// The entities in memory that this build cannot read, in the order of their addresses.
    pub(in crate::partition) fn addresses(&self) -> impl ExactSizeIterator<Item = &Address> {
        self.addresses.iter()
    }

    /// An entity is sound again, or gone.
    pub(super) fn release(&mut self, address: &Address) {
        self.addresses.remove(address);
        self.anew.remove(address);
    }

    /// Whether something of the partition is lost here, so that whoever has it whole should rather own it.
    pub(in crate::partition) fn lacks(&self) -> bool {
        self.lacks
    }

    /// Whether this life must end so that the next one keeps what this one has spoilt: once all that may spoil more has
    /// been read, so that few lives are needed.
    pub(in crate::partition) fn reopens(&self) -> bool {
        self.reopens
    }
}

impl Core {
    /// Applies another owner's events. What cannot be applied condemns that entity alone: the last good state is kept,
    /// and what lies behind it.
    pub(in crate::partition) fn apply_foreign(
        &mut self,
        address: &Address,
        events: &Bytes,
        offset: Offset,
    ) {
        let bytes_max = self.setting.limits.quarantine.unapplied_bytes_max.bytes();
        let is_known = self.quarantines.faulted.commits.contains(&offset);
        let Some(entity) = self.residents.get_mut(address) else {
            return;
        };
        if let Some(quarantine) = &mut entity.quarantine {
            if !quarantine.is_complete() {
                return;
            }
            if quarantine.unapplied_bytes() + events.len() > bytes_max {
                tracing::error!(entity = %address, %offset, "so much was recorded for an entity that this build cannot read that it is kept in the log alone: no snapshot of its partition is cut until a build that can read it replays that");
                quarantine.cure = Cure::Replay;
                self.quarantines.unkept = true;
                return;
            }
            return quarantine.keep(events.clone());
        }
        let failed = match is_known {
            true => Err(known_panic()),
            false => entity.instance.apply(events),
        };
        let Err(fault) = failed else {
            return self.follow_kept(address, events);
        };
        let quarantine = if is_known || !spoils(&fault) {
            self.before(address, &fault, events)
        } else {
            // Only what was in memory was good. The next life does not apply them, and keeps it.
            self.quarantines.faulted.commits.insert(offset);
            let (revision, since) = (entity.runtime.revision, self.clock);
            Quarantine::without_state(Cure::Reopen, fault.to_string(), since, revision)
        };
        self.quarantine(address, quarantine);
    }

    /// R44: sets aside an entity that is told what this build cannot read. Its state is sound, and it is tried again as
    /// soon as that is read anew: by another build, or when somebody asks for it.
    pub(in crate::partition) fn set_unread(&mut self, address: &Address, fault: &Fault) {
        let quarantine = self.as_it_is(address, fault);
        self.quarantine(address, quarantine);
    }

    /// R36: what is stored of one entity is damaged, and the log no longer holds what came before. That entity alone is set
    /// aside. Its revision is not known, so nothing is folded or recorded for it, and what waits for it is due for nobody.
    pub(in crate::partition) fn lose_entity(&mut self, address: &Address, reason: String) {
        let host = self.setting.domain.get(address.category()).cloned();
        let Some(host) = host else { return };
        if !self.residents.has(address) {
            self.residents
                .admit(address, Entity::new(host.fresh(), Runtime::default()));
        }
        self.residents.index.remove(address);
        self.quarantines.lacks = true;
        let since = self.clock;
        let Some(entity) = self.residents.get_mut(address) else {
            return;
        };
        let revision = entity.runtime.revision;
        // It must not be forgotten as one that never was.
        entity.runtime.exists = true;
        let waiting = Waiting::all(entity, host.as_ref());
        let lost = Quarantine::without_state(Cure::Restore, reason, since, revision);
        entity.set_aside(host.as_ref(), lost);
        self.is_set_aside(address, waiting);
    }

    /// Whether that was done with this entity.
    pub(in crate::partition) fn is_lost(&self, address: &Address) -> bool {
        self.residents.get(address).is_some_and(Entity::is_lost)
    }

    /// The state as it was, with the events that could not be applied behind it.
    fn before(&self, address: &Address, fault: &Fault, events: &Bytes) -> Quarantine {
        let mut quarantine = self.as_it_is(address, fault);
        if quarantine.is_complete() {
            quarantine.keep(events.clone());
        }
        quarantine
    }

    /// The state as it is.
    fn as_it_is(&self, address: &Address, fault: &Fault) -> Quarantine {
        let since = self.clock;
        let entity = self.residents.get(address);
        let revision = entity
            .map(|entity| entity.runtime.revision)
            .unwrap_or_default();
        match entity.map(|entity| entity.instance.encode()) {
            Some(Ok(state)) => Quarantine::new(fault, since, revision, state.into()),
            _ => Quarantine::without_state(Cure::Replay, fault.to_string(), since, revision),
        }
    }

    /// Sets one entity aside, which was sound.
    pub(in crate::partition) fn quarantine(&mut self, address: &Address, quarantine: Quarantine) {
        let host = self.setting.domain.get(address.category()).cloned();
        let Some((host, entity)) = host.zip(self.residents.get_mut(address)) else {
            return;
        };
        let before = Waiting::all(entity, host.as_ref());
        self.quarantines.unkept |= !quarantine.is_complete();
        self.quarantines.reopens |= quarantine.cure == Cure::Reopen;
        entity.set_aside(host.as_ref(), quarantine);
        self.is_set_aside(address, before);
    }

    /// What waits for an entity in quarantine stays due, and wakes nobody.
    pub(super) fn is_set_aside(&mut self, address: &Address, waiting: Waiting) {
        if self.holds(Rule::Parking) {
            self.residents.index.silence(address, waiting);
        }
        self.quarantines.addresses.insert(address.clone());
        let entity = self.residents.get(address);
        let Some(quarantine) = entity.and_then(|entity| entity.quarantine.as_ref()) else {
            return;
        };
        if quarantine.cure == Cure::FoldAnew && self.opened.first == Offset(0) {
            let reason = &quarantine.reason;
            tracing::info!(entity = %address, reason, "an entity of another state version is folded anew from its events");
            self.quarantines.anew.insert(address.clone());
            return;
        }
        self.quarantines.named += 1;
        let (reason, cure) = (&quarantine.reason, advice(quarantine.cure));
        match self.quarantines.named {
            1..=NAMED_MAX => {
                tracing::error!(entity = %address, reason, "an entity cannot be read by this build and is quarantined; {cure}");
            }
            n if n.is_power_of_two() => {
                tracing::error!(partition = %self.setting.partition, entities = n, "so many entities cannot be read by this build and are quarantined; `xp entity show` says why of each");
            }
            _ => {}
        }
    }

    /// Tries to read an entity in quarantine once more; says whether that went well.
    ///
    /// # Errors
    /// When its snapshot cannot be read at all.
    pub(in crate::partition) fn retry(&mut self, address: &Address) -> Result<bool, String> {
        self.load(address)?;
        let host = self.setting.domain.get(address.category()).cloned();
        let entity = self.residents.get(address);
        let quarantine = entity.and_then(|entity| entity.quarantine.as_deref());
        let Some((host, quarantine)) = host.zip(quarantine).filter(|(_, q)| q.is_complete()) else {
            return Ok(false);
        };
        match quarantine.read(host.as_ref()) {
            Ok(instance) => {
                self.recover(address, instance);
                Ok(true)
            }
            Err(fault) => {
                let mut again = quarantine.clone();
                again.failed_again(&fault);
                if again.cure == Cure::FoldAnew && self.opened.first == Offset(0) {
                    self.quarantines.anew.insert(address.clone());
                }
                if let Some(entity) = self.residents.get_mut(address) {
                    entity.quarantine = Some(Box::new(again));
                }
                Ok(false)
            }
        }
    }

    /// It is sound again: what waited for it is due.
    fn recover(&mut self, address: &Address, instance: Box<dyn Instance>) {
        let host = self.setting.domain.get(address.category());
        let Some((host, entity)) = host.zip(self.residents.get_mut(address)) else {
            return;
        };
        entity.recover(instance);
        // What stands in the store is of before; what would make it again is held from here on.
        if let Ok((record, _)) = snapshot::store(host.as_ref(), entity) {
            entity.kept.encoded(record, false);
        }
        let after = Waiting::all(entity, host.as_ref());
        let parked = entity.runtime.parked.len();
        self.residents.index.wake(address, after);
        self.quarantines.release(address);
        self.snapshots.note(address);
        tracing::info!(entity = %address, parked, "an entity can be read again");
    }

    /// Asks for the events of entities whose state has another version, one reading of the log for all that wait. All
    /// that a snapshot of theirs can have seen lies before `upto`.
    pub(in crate::partition) fn fold_anew(&mut self, upto: Offset) {
        if self.quarantines.folding || self.quarantines.anew.is_empty() {
            return;
        }
        let addresses = std::mem::take(&mut self.quarantines.anew).into_iter();
        let entities = addresses.filter_map(|address| {
            let quarantine = self.residents.get(&address)?.quarantine.as_ref()?;
            Some((address, quarantine.revision))
        });
        let entities: Vec<(Address, Revision)> = entities.collect();
        self.quarantines.folding = true;
        self.actions.push(Action::FoldAnew { upto, entities });
    }

    /// Entities were folded anew, up to the revision at which their state was stored.
    pub(in crate::partition) fn folded_anew(&mut self, folded: Vec<FoldedAnew>) {
        self.quarantines.folding = false;
        for (address, instance) in folded {
            let quarantine = |entity: &Entity| entity.quarantine.clone();
            let quarantine = self.residents.get(&address).and_then(quarantine);
            let Some(mut quarantine) = quarantine.filter(|q| q.cure == Cure::FoldAnew) else {
                continue;
            };
            let whole = |instance| quarantine.behind(instance).map_err(|f| f.to_string());
            match instance.and_then(whole) {
                Ok(instance) => self.recover(&address, instance),
                Err(reason) => {
                    tracing::error!(entity = %address, reason, "an entity of another state version could not be folded anew from its events and stays in quarantine; write `read_state`");
                    quarantine.cure = Cure::Build;
                    quarantine.reason = reason;
                    if let Some(entity) = self.residents.get_mut(&address) {
                        entity.quarantine = Some(quarantine);
                    }
                }
            }
        }
    }

    /// Compares the owner's hashes with our states, as far as both speak of the same revision.
    pub(in crate::partition) fn compare(&mut self, checkpoint: &Checkpoint) {
        for theirs in &checkpoint.hashes {
            let Some(host) = self.setting.domain.get(theirs.address.category()) else {
                continue;
            };
            let Some(entity) = self.sound(&theirs.address) else {
                continue;
            };
            let same = entity.runtime.revision == theirs.revision
                && host.state_version() == theirs.state_version;
            let Ok(state) = entity.instance.encode() else {
                continue;
            };
            if same && crc32c::crc32c(&state) != theirs.hash {
                tracing::error!(entity = %theirs.address, revision = %theirs.revision, "the state folded anew differs from the owner's: its `apply` must depend on nothing but the state and the event");
                self.actions.push(Action::Diverged(theirs.address.clone()));
            }
        }
    }
}

fn advice(cure: Cure) -> &'static str {
    match cure {
        Cure::Build => "deploy one that can, and nothing that comes meanwhile is lost",
        Cure::FoldAnew => {
            "its state has another version and the log no longer reaches back to its first event: write `read_state`"
        }
        Cure::Reopen => "the partition is opened anew to keep what was good",
        Cure::Replay => "no snapshot of its partition is cut until one that can replays the log",
        Cure::Restore => {
            "the log no longer holds what it was: the partition goes on without it, here only if no other node has it whole. \
             Restore this node's snapshots of the partition, or delete them if they are published or another node has them"
        }
    }
}

/// Whether an instance that failed so is no longer what it was: all events are read before the first is applied.
fn spoils(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Panicked {
            handler: "apply",
            ..
        }
    )
}

fn known_panic() -> Fault {
    Fault::Panicked {
        handler: "apply",
        message: "it failed when this process applied the same events before".to_owned(),
    }
}
