//! Cutting snapshots: encoded at a number, written once that number is committed (R35).

use xp_protocol::Address;
use xp_protocol::codec;
use xp_protocol::events::StateHash;
use xp_transport::Now;

use super::{Partition, Role};
use crate::action::Action;
use crate::snapshot::{self, Pending};
use crate::store::Batch;

/// How often dirty entities are stored, in milliseconds.
const SNAPSHOT_MS: u64 = 1000;
/// How many state hashes one checkpoint carries.
const HASHES_MAX: usize = 16;

impl Partition {
    /// Cuts a snapshot when one is due and none is on its way.
    pub(super) fn take_snapshot(&mut self, now: Now) {
        // Retention must not overtake the snapshot of a partition in which nothing changes (R36).
        let quiet_ms = self.setting.limits.quiet_ms;
        let every_ms = if self.dirty.is_empty() {
            quiet_ms
        } else {
            SNAPSHOT_MS
        };
        if now.running.since_ms(self.saved_at) >= every_ms {
            self.cut(now);
        }
        self.save_committed();
    }

    /// Cuts now, whether or not it is time: at a stop.
    pub fn cut(&mut self, now: Now) {
        self.saved_at = now.running;
        let waits = match &self.role {
            Role::Owning(owner) => owner.snapshot.is_some() || owner.spoilt,
            // Entities that are ahead of the fold belong to no header of its.
            Role::Following(following) => {
                following.snapshot_end.is_some() || !following.ahead.is_empty()
            }
            Role::Over => true,
        };
        let is_stored = self.dirty.is_empty() && self.fold.last_valid == self.saved_end;
        if is_stored || self.saving.is_some() || waits || self.unkept {
            return;
        }
        let addresses: Vec<_> = self.dirty.keys().cloned().collect();
        let mut batch = Batch {
            header: snapshot::sealed(&codec::encode(&self.fold)),
            ..Batch::default()
        };
        self.hashes.clear();
        for address in addresses {
            // No cut passes an entity that is not in it: its header would say that the log is needed no more.
            if !self.store_entity(&mut batch, address) {
                return;
            }
        }
        self.saved_end = self.fold.last_valid;
        let (seq, mark) = (self.fold.seq, self.changes);
        match &mut self.role {
            Role::Owning(owner) => owner.snapshot = Some((seq, mark, batch)),
            // What a mirror has folded is committed.
            Role::Following(_) | Role::Over => self.save(mark, batch),
        }
    }

    fn save(&mut self, mark: u64, batch: Batch) {
        self.saving = Some(mark);
        self.actions.push(Action::Save(batch));
    }

    /// Puts an entity into the batch, or its removal; not if it can be stored in no way.
    fn store_entity(&mut self, batch: &mut Batch, address: Address) -> bool {
        let host = self.setting.domain.get(address.category()).cloned();
        let entity = self.entities.get_mut(&address);
        let (Some(host), Some(entity)) = (host, entity) else {
            batch.entities.push((address.clone(), None));
            batch.pending.push((address, None));
            return true;
        };
        let timers: Vec<_> = entity.timers(host.as_ref()).collect();
        let edges: Vec<_> = entity.edges().into_iter().collect();
        let record = match snapshot::store(host.as_ref(), entity) {
            Ok((record, hash)) => {
                entity.kept.encoded(record.clone(), true);
                if let Some(hash) = hash
                    && self.hashes.len() < HASHES_MAX
                {
                    self.hashes.push(StateHash {
                        address: address.clone(),
                        revision: entity.runtime.revision,
                        state_version: host.state_version(),
                        hash,
                    });
                }
                record
            }
            Err(_) if !self.setting.rules.whole_snapshots => return true,
            Err(fault) => {
                let Some(record) = self.store_behind(&address, host.as_ref(), &fault) else {
                    return false;
                };
                record
            }
        };
        let waits = !timers.is_empty() || !edges.is_empty();
        let pending = waits.then(|| snapshot::sealed(&codec::encode(&Pending { timers, edges })));
        batch.pending.push((address.clone(), pending));
        batch.entities.push((address, Some(record)));
        true
    }

    /// Lets a cut that is committed be written now: at a stop, when nothing else will move it.
    pub fn tick_saves(&mut self) {
        self.save_committed();
    }

    /// R35: written only after the cut's number is committed.
    pub(super) fn save_committed(&mut self) {
        let early = !self.setting.rules.committed_snapshots;
        let Some(owner) = self.owner() else { return };
        let committed = owner.committed;
        if let Some((_, mark, batch)) = owner
            .snapshot
            .take_if(|(seq, ..)| *seq <= committed || early)
        {
            self.save(mark, batch);
        }
    }

    /// The snapshot was written, or not: what changed since stays dirty.
    pub fn saved(&mut self, written: bool) {
        let Some(mark) = self.saving.take() else {
            return;
        };
        if !written {
            return;
        }
        for address in self.dirty.keys() {
            if let Some(entity) = self.entities.get_mut(address) {
                entity.kept.saved();
            }
        }
        self.dirty.retain(|_, changed| *changed > mark);
    }

    /// Whether everything is stored.
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.dirty.is_empty() && self.saving.is_none()
    }
}
