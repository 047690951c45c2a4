//! One message, one turn.

use std::sync::Arc;

use rand::RngCore;
use xp_protocol::events::Cause;
use xp_protocol::{Address, FaultCode, PartitionId, TimeMs};
use xp_transport::Record;

use super::super::Partition;
use crate::entity::Entity;
use crate::gate::Output;
use crate::turn::{Turn, Turned};

impl Partition {
    /// Runs one turn and does what it comes to.
    pub(in crate::partition) fn run(
        &mut self,
        address: &Address,
        cause: Cause,
        time: TimeMs,
        trace: Option<Box<str>>,
        now: TimeMs,
        decide: impl FnOnce(Turn<'_>, &mut Entity) -> Turned,
    ) {
        if self.owner().is_none_or(|owner| !owner.may_decide()) {
            return;
        }
        let seed = self.random.next_u64();
        let Some(host) = self.setting.domain.get(address.category()).cloned() else {
            tracing::warn!(entity = %address, "a message names a category that is not hosted here");
            return;
        };
        let (limits, rules) = (Arc::clone(&self.setting.limits), self.setting.rules);
        let faulted =
            matches!(cause, Cause::Inbound(offset) if self.faulted.messages.contains(&offset));
        let entity = match self.entity(address) {
            Ok(Some(entity)) => entity,
            Ok(None) => return,
            Err(reason) => return self.set_aside(&reason),
        };
        entity.touched = now;
        let turn = Turn {
            address,
            host: host.as_ref(),
            limits: &limits,
            cause,
            now: bounded(time, now, limits.clock_skew_ms).max(entity.runtime.now),
            seed,
            trace,
            rules,
            poisonous: false,
        };
        let turned = decide(turn, entity);
        let watched = entity.watched_from();
        let forgettable = entity.runtime.is_forgettable();
        match turned {
            Turned::Commit(draft) if faulted => {
                self.commit_fault(address, &draft, FaultCode::Panicked)
            }
            Turned::Commit(draft) => self.commit(address, *draft),
            Turned::Unlogged { outputs, leased } => {
                self.put_unlogged(outputs.records(address, &watched), leased);
                self.forget_if(address, forgettable);
            }
            Turned::Nothing => self.forget_if(address, forgettable),
        }
    }

    fn put_unlogged(&mut self, records: Vec<(PartitionId, Record)>, leased: bool) {
        for (partition, record) in records {
            self.put_behind(match leased {
                true => Output::Leased(partition, record),
                false => Output::Plain(partition, record),
            });
        }
    }

    /// An entity without events, sessions and timers leaves no trace.
    pub(super) fn forget_if(&mut self, address: &Address, forgettable: bool) {
        if forgettable {
            self.quarantined.remove(address);
            self.entities.remove(address);
        }
    }
}

/// A message's time within the owner's clock, give or take `skew_ms`.
fn bounded(time: TimeMs, now: TimeMs, skew_ms: u64) -> TimeMs {
    TimeMs(
        time.0
            .clamp(now.0.saturating_sub(skew_ms), now.0.saturating_add(skew_ms)),
    )
}
