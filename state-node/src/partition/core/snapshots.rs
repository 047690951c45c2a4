//! Cutting snapshots: encoded at a number, written once that number is committed (R35).

use std::collections::BTreeMap;

use xp_protocol::codec;
use xp_protocol::events::StateHash;
use xp_protocol::rules::Rule;
use xp_protocol::{Address, Offset, Seq, TimeMs};
use xp_transport::Now;

use super::Core;
use crate::action::Action;
use crate::snapshot::{self, Pending};
use crate::store::Batch;

/// How often dirty entities are stored, in milliseconds.
const SNAPSHOT_MS: u64 = 1000;
/// How many state hashes one checkpoint carries.
const HASHES_MAX: usize = 16;

/// What the store lacks, and what is on its way to it.
pub(in crate::partition) struct Snapshots {
    /// Entities that have changed since they were stored, and by which change last.
    dirty: BTreeMap<Address, u64>,
    changes: u64,
    /// A batch is being written: it has all changes up to here.
    saving: Option<u64>,
    /// Of the states in the last cut, for the next checkpoint.
    hashes: Vec<StateHash>,
    cut_at: TimeMs,
    /// The last valid record that the newest cut has seen.
    end: Option<Offset>,
}

/// A snapshot that is encoded and not written.
pub(in crate::partition) struct Cut {
    /// The last record in it: it may be written once that is committed.
    pub(in crate::partition) seq: Seq,
    mark: u64,
    batch: Batch,
}

impl Snapshots {
    /// The store holds what the log says up to `end`.
    pub(in crate::partition) fn new(end: Option<Offset>, now: TimeMs) -> Self {
        Self {
            dirty: BTreeMap::new(),
            changes: 0,
            saving: None,
            hashes: Vec::new(),
            cut_at: now,
            end,
        }
    }

    /// An entity has changed, or is gone.
    pub(super) fn note(&mut self, address: &Address) {
        self.changes += 1;
        self.dirty.insert(address.clone(), self.changes);
    }

    pub(in crate::partition) fn is_dirty(&self, address: &Address) -> bool {
        self.dirty.contains_key(address)
    }

    /// Whether anything is not stored.
    pub(in crate::partition) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Whether it is time to cut. Retention must not overtake the snapshot of a partition in which nothing changes (R36).
    pub(in crate::partition) fn is_due(&self, quiet_ms: u64, now: Now) -> bool {
        let every_ms = match self.has_dirty() {
            true => SNAPSHOT_MS,
            false => quiet_ms,
        };
        now.running.since_ms(self.cut_at) >= every_ms
    }

    /// One is cut now, or would be if it could.
    pub(in crate::partition) fn cut_at(&mut self, now: Now) {
        self.cut_at = now.running;
    }

    /// The last valid record that the newest cut has seen.
    pub(in crate::partition) fn end(&self) -> Option<Offset> {
        self.end
    }

    pub(in crate::partition) fn take_hashes(&mut self) -> Vec<StateHash> {
        std::mem::take(&mut self.hashes)
    }

    fn hash(&mut self, hash: StateHash) {
        if self.hashes.len() < HASHES_MAX {
            self.hashes.push(hash);
        }
    }
}

impl Core {
    /// Encodes what is dirty; nothing where all is stored, where a batch is being written, or where something in memory
    /// cannot be stored.
    pub(in crate::partition) fn cut(&mut self) -> Option<Cut> {
        let snapshots = &mut self.snapshots;
        let is_stored = snapshots.dirty.is_empty() && self.fold.last_valid == snapshots.end;
        if is_stored || snapshots.saving.is_some() || self.quarantines.unkept {
            return None;
        }
        snapshots.hashes.clear();
        let addresses: Vec<_> = snapshots.dirty.keys().cloned().collect();
        let mut batch = Batch {
            header: snapshot::sealed(&codec::encode(&self.fold)),
            ..Batch::default()
        };
        for address in addresses {
            // No cut passes an entity that is not in it: its header would say that the log is needed no more.
            if !self.store_entity(&mut batch, address) {
                return None;
            }
        }
        self.snapshots.end = self.fold.last_valid;
        let (seq, mark) = (self.fold.seq, self.snapshots.changes);
        Some(Cut { seq, mark, batch })
    }

    /// Has a cut written whose last record is committed.
    pub(in crate::partition) fn save(&mut self, Cut { mark, batch, .. }: Cut) {
        self.snapshots.saving = Some(mark);
        self.actions.push(Action::Save(batch));
    }

    /// Puts an entity into the batch, or its removal; not if it can be stored in no way.
    fn store_entity(&mut self, batch: &mut Batch, address: Address) -> bool {
        let host = self.setting.domain.get(address.category()).cloned();
        let entity = self.residents.get_mut(&address);
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
                if let Some(hash) = hash {
                    self.snapshots.hash(StateHash {
                        address: address.clone(),
                        revision: entity.runtime.revision,
                        state_version: host.state_version(),
                        hash,
                    });
                }
                record
            }
            Err(_) if !self.holds(Rule::WholeSnapshots) => return true,
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

    /// The snapshot was written, or not: what changed since stays dirty.
    pub(in crate::partition) fn saved(&mut self, written: bool) {
        let Some(mark) = self.snapshots.saving.take().filter(|_| written) else {
            return;
        };
        for address in self.snapshots.dirty.keys() {
            if let Some(entity) = self.residents.get_mut(address) {
                entity.kept.saved();
            }
        }
        self.snapshots.dirty.retain(|_, changed| *changed > mark);
    }
}
