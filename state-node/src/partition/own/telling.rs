//! Tells to other partitions: sent in order, repeated from the first hole, and bounded (R34).

use std::collections::BTreeMap;

use xp_protocol::LanePartition;
use xp_protocol::events::{Cause, Change, Tell, TimerKey};
use xp_protocol::rules::Rule;
use xp_transport::Now;

use super::super::core::Core;
use crate::action::{Action, Telling, tell_record};
use crate::draft::Draft;
use crate::limits::Limits;
use crate::tells::{Portion, TellId, TellQueue};

/// Where the tells to each partition stand.
pub(super) struct TellQueues(BTreeMap<LanePartition, TellQueue>);

impl TellQueues {
    /// Those of an earlier owner which their targets have not confirmed: it may not have sent any of them.
    pub(super) fn again(core: &Core) -> Self {
        let ends = core.fold.tells.outstanding().ends();
        let again = |(target, first, last): (&LanePartition, _, _)| {
            (target.clone(), TellQueue::again(first, last))
        };
        Self(ends.map(again).collect())
    }

    /// A tell is committed and leaves, behind those that wait.
    pub(super) fn tell(&mut self, core: &mut Core, tell: &Tell, now: Now) {
        self.to(&tell.target).leaves(tell.number);
        let max = core.setting.limits.tells.outstanding_max;
        if core.fold.tells.outstanding().count(&tell.target) == max {
            tracing::warn!(partition = %core.setting.partition, target = %tell.target, waiting = max, "a partition takes no words of this one: commands and timers that tell it wait; see who owns it, and why it stands still");
        }
        self.send(core, &tell.target, now);
    }

    fn to(&mut self, target: &LanePartition) -> &mut TellQueue {
        if !self.0.contains_key(target) {
            self.0.insert(target.clone(), TellQueue::default());
        }
        self.0.get_mut(target).expect("it was just put there")
    }

    /// Appends as many as may be on their way.
    fn send(&mut self, core: &mut Core, target: &LanePartition, now: Now) {
        let Core {
            setting,
            fold,
            actions,
            ..
        } = core;
        let portion = portion(&setting.limits);
        let Some(tells) = self.0.get_mut(target) else {
            return;
        };
        while let Some(id) = tells.next(portion, now.running)
            && let Some(tell) = fold.tells.outstanding().get(target, id.number)
        {
            let record = tell_record(&setting.partition, now.time, tell);
            tells.appended(record.header.len() + record.value.len(), now.running);
            if !setting.rules.holds(Rule::OldestTell) {
                tells.forget_oldest(now.running);
            }
            actions.push(Action::Tell(Box::new(Telling {
                target: target.clone(),
                id: Some(id),
                record,
            })));
        }
    }

    /// A tell was acknowledged, or its append failed.
    pub(super) fn told(
        &mut self,
        core: &mut Core,
        target: &LanePartition,
        (id, arrived): (TellId, bool),
        now: Now,
    ) {
        let arrived = arrived || !core.holds(Rule::OldestTell);
        if let Some(tells) = self.0.get_mut(target) {
            tells.answered(id, arrived, now.running);
            self.send(core, target, now);
        }
    }

    /// What was not confirmed in time, or failed, goes out again.
    pub(super) fn repeat(&mut self, core: &mut Core, now: Now) {
        let retry_ms = core.setting.limits.tells.retry.ms();
        let targets: Vec<_> = self.0.keys().cloned().collect();
        for target in targets {
            self.to(&target).repeat(retry_ms, now.running);
            self.send(core, &target, now);
        }
    }

    /// The target has committed our tells up to `number`.
    pub(super) fn confirmed(
        &mut self,
        core: &mut Core,
        target: &LanePartition,
        number: u64,
        now: Now,
    ) {
        core.fold.tells.confirm(target, number);
        let portion = portion(&core.setting.limits);
        self.to(target).confirm(number, now.running, portion);
        self.send(core, target, now);
    }

    /// Up to which number each target has committed them.
    pub(super) fn ends(&self) -> impl Iterator<Item = (&LanePartition, u64)> {
        self.0
            .iter()
            .map(|(target, tells)| (target, tells.confirmed()))
    }
}

fn portion(limits: &Limits) -> Portion {
    Portion {
        count: limits.tells.portion_max,
        bytes: limits.tells.portion_bytes_max.bytes(),
    }
}

/// Whether a draft must wait, because so many tells are on their way already to a partition that it tells. Of what came
/// from other entities more is taken: two that only tell each other must not wait for each other.
pub(super) fn must_wait(core: &Core, draft: &Draft) -> bool {
    let max = core.setting.limits.tells.outstanding_max;
    let max = match draft.trigger.cause() {
        _ if draft.tells.is_empty() => return false,
        Cause::Timer(TimerKey::Domain(_)) => max,
        Cause::Inbound(_) if draft.changes.iter().any(is_command) => max,
        Cause::Inbound(_) if draft.changes.iter().any(is_tell) => max * 4,
        // What becomes of sockets and sessions waits for nothing.
        _ => return false,
    };
    let mut told = draft.tells.iter();
    told.any(|tell| {
        let target = core.setting.lanes.locate(&tell.to);
        target.is_some_and(|target| core.fold.tells.outstanding().count(&target) >= max)
    })
}

fn is_command(change: &Change) -> bool {
    matches!(change, Change::Taken { .. })
}

fn is_tell(change: &Change) -> bool {
    matches!(change, Change::TellTaken { .. })
}
