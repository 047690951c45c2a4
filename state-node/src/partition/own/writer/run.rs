//! One message, one turn.

use std::sync::Arc;

use rand::RngCore;
use xp_protocol::events::Cause;
use xp_protocol::{Address, FaultCode, Incarnation, TimeMs};
use xp_transport::Now;

use super::super::super::core::Core;
use super::super::super::exit::Step;
use super::super::sockets::lost_sessions;
use super::Writer;
use crate::draft::Deliveries;
use crate::entity::Entity;
use crate::gate::Output;
use crate::limits::Limits;
use crate::trigger::Trigger;
use crate::turn::{Turn, Turned};

/// What a turn is about, but for what is decided.
pub(in super::super) struct Occasion<'a> {
    pub(in super::super) address: &'a Address,
    pub(in super::super) cause: Cause,
    /// When it was said.
    pub(in super::super) time: TimeMs,
    pub(in super::super) trace: Option<Box<str>>,
    /// The message has ended as many processes as it may (R16).
    pub(in super::super) poisonous: bool,
    /// The owner's clock.
    pub(in super::super) now: Now,
}

impl<'a> Occasion<'a> {
    /// Something that happens now.
    pub(in super::super) fn now(address: &'a Address, cause: Cause, now: Now) -> Self {
        Self {
            address,
            cause,
            time: now.time,
            trace: None,
            poisonous: false,
            now,
        }
    }
}

impl Writer {
    /// Runs one turn and does what it comes to.
    pub(in super::super) fn run(
        &mut self,
        core: &mut Core,
        occasion: Occasion<'_>,
        decide: impl FnOnce(Turn<'_>, &mut Entity) -> Turned,
    ) -> Step {
        if !self.may_decide() {
            return Ok(());
        }
        core.setting
            .deciding
            .begin(occasion.address, &occasion.cause);
        let done = self.decide(core, occasion, decide);
        core.setting.deciding.end();
        done
    }

    /// R29: one commit for all sessions of the entity on that edge; more only when one record cannot hold them.
    pub(in super::super) fn lose_edge(
        &mut self,
        core: &mut Core,
        address: &Address,
        edge: Incarnation,
        now: Now,
    ) -> Step {
        core.require(address)?;
        let mut lost = lost_sessions(core, address, edge);
        while !lost.is_empty() {
            let occasion = Occasion::now(address, Cause::Verdict { edge }, now);
            self.run(core, occasion, |turn, entity| turn.lose_edge(entity, &lost))?;
            let left = lost_sessions(core, address, edge);
            // An owner that may not decide any more detaches nobody; whoever comes next checks again (R8).
            if left.len() == lost.len() {
                return Ok(());
            }
            lost = left;
        }
        Ok(())
    }

    fn decide(
        &mut self,
        core: &mut Core,
        occasion: Occasion<'_>,
        decide: impl FnOnce(Turn<'_>, &mut Entity) -> Turned,
    ) -> Step {
        let (address, now) = (occasion.address, occasion.now);
        let seed = core.random.next_u64();
        let Some(host) = core.setting.domain.get(address.category()).cloned() else {
            tracing::warn!(entity = %address, "a message names a category that is not hosted here");
            return Ok(());
        };
        let limits = Arc::clone(&core.setting.limits);
        let (rules, explains) = (core.setting.rules, core.setting.explains);
        let has_faulted = core.quarantines.faulted.has(&occasion.cause);
        let entity = match core.entity(address) {
            Ok(Some(entity)) => entity,
            Ok(None) => return Ok(()),
            Err(reason) => return Err(core.discard_snapshot(&reason)),
        };
        entity.touched = now.running;
        let known = known(entity.runtime.now, now.time, &limits);
        let ahead_ms = entity.runtime.now.since_ms(known);
        let time = bounded(occasion.time, now.time, limits.clock.skew.ms()).max(known);
        let turn = Turn {
            address,
            host: host.as_ref(),
            limits: &limits,
            explains,
            trigger: Trigger::new(occasion.cause, time, seed, occasion.trace),
            rules,
            poisonous: occasion.poisonous,
        };
        let turned = decide(turn, entity);
        let forgettable = entity.runtime.is_forgettable();
        if ahead_ms > 0 {
            core.tell_ahead(address, ahead_ms, now);
        }
        let turned = match turned {
            Turned::Unread { fault, instead } => {
                core.set_unread(address, &fault);
                *instead
            }
            turned => turned,
        };
        match turned {
            Turned::Commit(draft) if has_faulted => {
                self.commit_fault(core, address, &draft, FaultCode::Panicked.into());
            }
            Turned::Commit(draft) => self.commit(core, address, *draft, now),
            Turned::Unlogged { outputs, leased } => {
                self.put_unlogged(core, address, outputs, leased);
                core.forget_if(address, forgettable);
            }
            Turned::Nothing | Turned::Unread { .. } => core.forget_if(address, forgettable),
        }
        Ok(())
    }

    fn put_unlogged(&mut self, core: &Core, address: &Address, outputs: Deliveries, leased: bool) {
        let entity = core.residents.get(address);
        let watched = entity.map(Entity::watched_from).unwrap_or_default();
        for (partition, record) in outputs.records(address, &watched) {
            let output = match leased {
                true => Output::Leased(partition, record),
                false => Output::Plain(partition, record),
            };
            self.outbox.put(core, output);
        }
    }
}

/// The time that an entity has reached, after which its next turn comes (R48): where that is too far ahead of the owner's
/// clock, what the clock says.
pub(in super::super) fn known(reached: TimeMs, now: TimeMs, limits: &Limits) -> TimeMs {
    match reached.since_ms(now) > limits.clock.entity_ahead.ms() {
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
