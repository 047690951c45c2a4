//! One message, one turn.

use std::sync::Arc;

use rand::RngCore;
use xp_protocol::events::Cause;
use xp_protocol::{Address, FaultCode, PartitionId, TimeMs};
use xp_transport::{Now, Record};

use super::super::Partition;
use crate::entity::Entity;
use crate::gate::Output;
use crate::limits::Limits;
use crate::turn::{Turn, Turned};

/// How often entities are told of whose time is set back, in milliseconds.
const TOLD_MS: u64 = 60_000;

impl Partition {
    /// Runs one turn and does what it comes to.
    pub(in crate::partition) fn run(
        &mut self,
        address: &Address,
        cause: Cause,
        time: TimeMs,
        trace: Option<Box<str>>,
        now: Now,
        decide: impl FnOnce(Turn<'_>, &mut Entity) -> Turned,
    ) {
        if self.owner().is_none_or(|owner| !owner.may_decide()) {
            return;
        }
        self.deciding.begin(address, &cause);
        self.decide(address, cause, time, trace, now, decide);
        self.deciding.end();
    }

    fn decide(
        &mut self,
        address: &Address,
        cause: Cause,
        time: TimeMs,
        trace: Option<Box<str>>,
        now: Now,
        decide: impl FnOnce(Turn<'_>, &mut Entity) -> Turned,
    ) {
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
        entity.touched = now.running;
        let known = known(entity.runtime.now, now.time, &limits);
        let ahead_ms = entity.runtime.now.since_ms(known);
        let turn = Turn {
            address,
            host: host.as_ref(),
            limits: &limits,
            cause,
            now: bounded(time, now.time, limits.clock_skew_ms).max(known),
            seed,
            trace,
            rules,
            poisonous: false,
        };
        let turned = decide(turn, entity);
        let watched = entity.watched_from();
        let forgettable = entity.runtime.is_forgettable();
        if ahead_ms > 0 {
            self.tell_ahead(address, ahead_ms, now);
        }
        let turned = match turned {
            Turned::Unread { fault, instead } => {
                self.set_unread(address, &fault);
                *instead
            }
            turned => turned,
        };
        match turned {
            Turned::Commit(draft) if faulted => {
                self.commit_fault(address, &draft, FaultCode::Panicked.into())
            }
            Turned::Commit(draft) => self.commit(address, *draft, now),
            Turned::Unlogged { outputs, leased } => {
                self.put_unlogged(outputs.records(address, &watched), leased);
                self.forget_if(address, forgettable);
            }
            Turned::Nothing | Turned::Unread { .. } => self.forget_if(address, forgettable),
        }
    }

    /// Once in a while, whatever the number of entities.
    fn tell_ahead(&mut self, address: &Address, ahead_ms: u64, now: Now) {
        let told = self.told_ahead.replace(now.running);
        if told.is_none_or(|told| now.running.since_ms(told) >= TOLD_MS) {
            tracing::error!(
                entity = %address, ahead_ms,
                "an entity's time is set back: an owner's clock had been ahead (R48). Timers that it set meanwhile fire \
                 late; others like it are told of once a minute. See that the clocks of all machines are kept (NTP)"
            );
        } else {
            self.told_ahead = told;
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

/// The time that an entity has reached, after which its next turn comes (R48): where that is too far ahead of the owner's
/// clock, what the clock says.
pub(super) fn known(reached: TimeMs, now: TimeMs, limits: &Limits) -> TimeMs {
    match reached.since_ms(now) > limits.entity_ahead_ms {
        true => now,
        false => reached,
    }
}

/// A message's time within the owner's clock, give or take `skew_ms`.
fn bounded(time: TimeMs, now: TimeMs, skew_ms: u64) -> TimeMs {
    TimeMs(
        time.0
            .clamp(now.0.saturating_sub(skew_ms), now.0.saturating_add(skew_ms)),
    )
}
