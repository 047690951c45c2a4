//! One entity as a replay has it, and how much memory it takes.

use std::sync::Arc;

use xp_domain_sdk::host::Host;
use xp_protocol::events::Commit;
use xp_protocol::{Address, Offset, Revision};
use xp_transport::Stored;

use super::{Finding, Reason};
use crate::entity::{Entity, Runtime};
use crate::limits::Limits;
use crate::snapshot;

/// What an entity takes beside its bytes: the maps' entries, the instance's box and its allocations.
const BASE_BYTES: usize = 1 << 10;
/// So much must have been folded before an entity is measured again, or as much as it had; so measuring costs no more
/// than reading.
const MEASURED_AFTER_BYTES: usize = 4 << 10;

pub(super) struct Replayed {
    entity: Entity,
    /// Its last record.
    last: (Offset, Revision),
    /// Its size when it was measured last, and what it has folded since.
    measured_bytes: usize,
    folded_bytes: usize,
}

impl Replayed {
    pub(super) fn fresh(host: &dyn Host) -> Self {
        Self {
            entity: Entity::new(host.fresh(), Runtime::default()),
            last: Default::default(),
            measured_bytes: BASE_BYTES,
            folded_bytes: 0,
        }
    }

    /// Folds a commit as a follower does.
    pub(super) fn take(
        &mut self,
        host: &dyn Host,
        commit: &Arc<Commit>,
        stored: &Stored,
        limits: &Limits,
    ) -> Result<(), Reason> {
        let runtime = &mut self.entity.runtime;
        let found = runtime.revision;
        if found.next() != commit.revision && !runtime.begin_anew_at(commit.revision) {
            return Err(Reason::Contradiction { found });
        }
        let events = &stored.record.value;
        if commit.event_count > 0 {
            let applied = self.entity.instance.apply(events);
            applied.map_err(Reason::Events)?;
        }
        self.last = (stored.offset, commit.revision);
        self.entity.fold(host, commit, stored.offset, limits);
        self.folded_bytes += events.len() + stored.record.header.len();
        Ok(())
    }

    pub(super) fn is_forgettable(&self) -> bool {
        self.entity.runtime.is_forgettable()
    }

    fn hears(&self, host: &dyn Host) -> Result<(), Reason> {
        let busy = self.entity.runtime.busy.iter();
        for (name, timer) in busy.flat_map(|busy| &busy.timers) {
            host.reads_signal(&timer.signal)
                .map_err(|fault| Reason::Timer {
                    name: name.clone(),
                    fault,
                })?;
        }
        Ok(())
    }

    /// What it takes in memory, about: no less than a snapshot of it.
    pub(super) fn bytes(&self) -> usize {
        self.measured_bytes + self.folded_bytes
    }

    /// Measures it where it may be far from what it was, in one direction or the other.
    pub(super) fn measure(&mut self, host: &dyn Host) {
        if self.folded_bytes < self.measured_bytes.max(MEASURED_AFTER_BYTES) {
            return;
        }
        // One that cannot be encoded now may be at the end.
        self.measured_bytes = match snapshot::store(host, &self.entity) {
            Ok((record, _)) => BASE_BYTES + record.len(),
            Err(_) => self.bytes(),
        };
        self.folded_bytes = 0;
    }

    /// What is wrong with it as it is at the end, if anything: a snapshot must be able to hold its state, and its timers
    /// must say what can be understood.
    pub(super) fn keeps(&self, host: &dyn Host, address: Address) -> Option<Finding> {
        let encoded = self.entity.instance.encode().map_err(Reason::Unencodable);
        let kept = encoded.and_then(|state| host.load(&state).map_err(Reason::Unloadable));
        let heard = kept.and_then(|_| self.hears(host));
        let (offset, revision) = self.last;
        heard.err().map(|reason| Finding {
            address,
            offset,
            revision,
            reason,
        })
    }
}
