//! Entities whose state cannot be encoded: found before the append where that is cheap, at the next snapshot otherwise.
//! Nothing of them is lost: the last state that could be encoded is stored, with the events since.

use bytes::Bytes;
use xp_domain_sdk::host::{Fault, Host};
use xp_protocol::Address;

use super::Core;
use crate::entity::{Base, Entity};
use crate::snapshot;

/// The largest record that is stored for want of a state, in bytes; beyond it no snapshot of the partition is cut, and
/// the log must reach back to the last one.
const BEHIND_BYTES_MAX: usize = 16 << 20;

/// Why the events of a decision are a fault: no snapshot could keep the state after them.
pub(in crate::partition) struct Unencodable {
    /// What cannot be encoded, for people.
    pub(in crate::partition) why: String,
    /// The state before them could not be had again: what is in memory is not what the log says.
    pub(in crate::partition) spoilt: bool,
}

impl Core {
    /// The events that an entity has just applied, before they are appended. Where its state cannot be encoded with
    /// them, it is put back, and they are a fault: at the first commit in memory, after many events, and as long as
    /// a snapshot has found it so.
    pub(in crate::partition) fn prove(
        &mut self,
        address: &Address,
        events: &Bytes,
    ) -> Result<(), Unencodable> {
        let Some(entity) = self.residents.get_mut(address) else {
            return Ok(());
        };
        entity.kept.note(events.clone());
        if !entity.kept.is_doubtful() {
            return Ok(());
        }
        let Some(host) = self.setting.domain.get(address.category()).cloned() else {
            return Ok(());
        };
        let Err(fault) = check(host.as_ref(), entity) else {
            return Ok(());
        };
        tracing::error!(entity = %address, %fault, "a message faulted: the state after its events cannot be encoded, so no snapshot could keep it; mend the state's serialization");
        entity.kept.take_back();
        let put_back = self.put_back(address, host.as_ref());
        if let Err(reason) = &put_back {
            tracing::warn!(entity = %address, reason, "the state before these events is read from the log");
        }
        Err(Unencodable {
            why: fault.to_string(),
            spoilt: put_back.is_err(),
        })
    }

    /// What a follower has applied is the log's: it is kept, whatever becomes of it.
    pub(super) fn follow_kept(&mut self, address: &Address, events: &Bytes) {
        let Some(entity) = self.residents.get_mut(address) else {
            return;
        };
        entity.kept.note(events.clone());
        if entity.kept.is_much()
            && !entity.kept.is_stuck()
            && let Some(host) = self.setting.domain.get(address.category())
        {
            // What cannot be encoded is found, and told, at the next snapshot.
            drop(check(host.as_ref(), entity));
        }
    }

    /// The entity's instance as it was before the last events.
    fn put_back(&mut self, address: &Address, host: &dyn Host) -> Result<(), String> {
        let Some(entity) = self.residents.get(address) else {
            return Ok(());
        };
        let record = self.base(address, entity)?;
        let instance = match record {
            Some(record) => {
                let stored = snapshot::stored(&record).map_err(|error| error.to_string())?;
                snapshot::instance(host, &stored, entity.kept.events())
                    .map_err(|error| error.to_string())?
            }
            None => {
                let mut instance = host.fresh();
                for events in entity.kept.events() {
                    instance.apply(events).map_err(|fault| fault.to_string())?;
                }
                instance
            }
        };
        let peopled = Entity::new(instance, entity.runtime.clone());
        if let Some(entity) = self.residents.get_mut(address) {
            entity.instance = peopled.instance;
        }
        Ok(())
    }

    /// The record from which the held events go on; `None` before the first event.
    fn base(&self, address: &Address, entity: &Entity) -> Result<Option<Bytes>, String> {
        match entity.kept.base() {
            Base::Fresh => Ok(None),
            Base::Record(record) => Ok(Some(record)),
            Base::Stored => {
                let record = self.setting.store.entity(address);
                let record = record.map_err(|error| error.to_string())?;
                let missing = || "its record is not in the snapshot store".to_owned();
                record.ok_or_else(missing).map(Some)
            }
        }
    }

    /// The record of an entity whose state cannot be encoded; `None` when there is nothing to make one of.
    pub(super) fn store_behind(
        &mut self,
        address: &Address,
        host: &dyn Host,
        fault: &Fault,
    ) -> Option<Bytes> {
        let entity = self.residents.get(address)?;
        let (base, made) = match self.base(address, entity) {
            Ok(base) => {
                let made = made_behind(host, entity, base.as_deref());
                (base, made)
            }
            Err(reason) => (None, Err(reason)),
        };
        let kept = &mut self.residents.get_mut(address)?.kept;
        let is_news = match &made {
            Ok(_) => kept.stuck(base),
            Err(_) => kept.stuck_as_it_is(),
        };
        match &made {
            Ok(_) if is_news => {
                tracing::error!(entity = %address, %fault, "the state cannot be encoded; its snapshot keeps the former state and the events since, and messages that leave it so are faults; mend the state's serialization");
            }
            Err(reason) if is_news => {
                tracing::error!(entity = %address, %fault, reason, "the state cannot be encoded; no snapshot of its partition is cut until that is mended, and the log keeps everything");
            }
            _ => {}
        }
        made.ok()
    }
}

fn made_behind(host: &dyn Host, entity: &Entity, base: Option<&[u8]>) -> Result<Bytes, String> {
    let record = snapshot::store_behind(host, entity, base).map_err(|error| error.to_string())?;
    if record.len() > BEHIND_BYTES_MAX {
        return Err(format!(
            "the events since the last state that could be are more than {BEHIND_BYTES_MAX} bytes"
        ));
    }
    Ok(record)
}

/// Whether the state can be encoded, where that is in doubt.
fn check(host: &dyn Host, entity: &mut Entity) -> Result<(), Fault> {
    match snapshot::store(host, entity) {
        Ok((record, _)) if entity.kept.is_much() => entity.kept.encoded(record, false),
        Ok(_) => entity.kept.proven(),
        Err(fault) => return Err(fault),
    }
    Ok(())
}
