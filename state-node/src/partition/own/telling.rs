//! Words to other partitions: sent in order, repeated from the first hole, and bounded (R34).

use xp_protocol::events::{Cause, Change, Tell, TimerKey};
use xp_protocol::{Address, LanePartition, TimeMs};
use xp_transport::Now;

use super::super::{Partition, Role};
use crate::action::{Action, Telling, tell_record};
use crate::draft::Draft;
use crate::tells::{Portion, TellId};

/// How long a timer whose words cannot be told waits, in milliseconds.
const PUT_OFF_MS: u64 = 1000;

impl Partition {
    /// A tell is committed and leaves, behind those that wait.
    pub(super) fn tell(&mut self, tell: &Tell, now: Now) {
        let Some(owner) = self.owner() else { return };
        match owner.tells.get_mut(&tell.target) {
            Some(tells) => tells.leaves(tell.number),
            None => {
                let tells = owner.tells.entry(tell.target.clone()).or_default();
                tells.leaves(tell.number);
            }
        }
        let max = self.setting.limits.tells_outstanding_max;
        if self.fold.outstanding.count(&tell.target) == max {
            tracing::warn!(place = %self.setting.place, target = %tell.target, waiting = max, "a partition takes no words of this one: commands and timers that tell it wait; see who owns it, and why it stands still");
        }
        self.send_tells(&tell.target, now);
    }

    fn portion(&self) -> Portion {
        Portion {
            count: self.setting.limits.tell_portion_max,
            bytes: self.setting.limits.tell_portion_bytes_max,
        }
    }

    /// Appends as many as may be on their way.
    fn send_tells(&mut self, target: &LanePartition, now: Now) {
        let (portion, oldest) = (self.portion(), self.setting.rules.oldest_tell);
        let Role::Owning(owner) = &mut self.role else {
            return;
        };
        let Some(tells) = owner.tells.get_mut(target) else {
            return;
        };
        while let Some(id) = tells.next(portion, now.running)
            && let Some(tell) = self.fold.outstanding.get(target, id.number)
        {
            let record = tell_record(&self.setting.place, now.time, tell);
            tells.appended(record.header.len() + record.value.len(), now.running);
            if !oldest {
                tells.forget_oldest(now.running);
            }
            self.actions.push(Action::Tell(Box::new(Telling {
                target: target.clone(),
                id: Some(id),
                record,
            })));
        }
    }

    /// A tell was acknowledged, or its append failed.
    pub fn told(&mut self, target: &LanePartition, id: TellId, arrived: bool, now: Now) {
        let arrived = arrived || !self.setting.rules.oldest_tell;
        if let Some(owner) = self.owner()
            && let Some(tells) = owner.tells.get_mut(target)
        {
            tells.answered(id, arrived, now.running);
            self.send_tells(target, now);
        }
    }

    /// What was not confirmed in time, or failed, goes out again.
    pub(super) fn repeat_tells(&mut self, now: Now) {
        let retry_ms = self.setting.limits.tell_retry_ms;
        let Some(owner) = self.owner() else { return };
        let targets: Vec<_> = owner.tells.keys().cloned().collect();
        for target in targets {
            if let Some(tells) = self.owner().and_then(|owner| owner.tells.get_mut(&target)) {
                tells.repeat(retry_ms, now.running);
            }
            self.send_tells(&target, now);
        }
    }

    /// The target has committed our tells up to `number`.
    pub(in crate::partition) fn tells_confirmed(
        &mut self,
        target: &LanePartition,
        number: u64,
        now: Now,
    ) {
        self.fold.confirm(target, number);
        let portion = self.portion();
        if let Some(owner) = self.owner() {
            let tells = owner.tells.entry(target.clone()).or_default();
            tells.confirm(number, now.running, portion);
            self.send_tells(target, now);
        }
    }

    /// Whether a draft must wait, because so many words are on their way already to a partition that it tells. Of
    /// what came from other entities more is taken: two that only tell each other must not wait for each other.
    pub(super) fn must_wait(&self, draft: &Draft) -> bool {
        let max = self.setting.limits.tells_outstanding_max;
        let max = match draft.cause {
            _ if draft.tells.is_empty() => return false,
            Cause::Timer(TimerKey::Domain(_)) => max,
            Cause::Inbound(_) if draft.changes.iter().any(is_command) => max,
            Cause::Inbound(_) if draft.changes.iter().any(is_tell) => max * 4,
            // What becomes of sockets and sessions waits for nothing.
            _ => return false,
        };
        let mut told = draft.tells.iter();
        told.any(|word| {
            let target = self.setting.lanes.locate(&word.to);
            target.is_some_and(|target| self.fold.outstanding.count(&target) >= max)
        })
    }

    /// Whether an entity would be forgotten while chain records about it are on their way: its next life counts its
    /// revisions from the beginning, and an edge could not tell the one's from the other's (R20, R45).
    pub(super) fn is_spoken_of(&self, address: &Address, draft: &Draft) -> bool {
        let forgets = matches!(draft.cause, Cause::Timer(TimerKey::Forget(_)));
        let (Role::Owning(owner), Some(entity)) = (&self.role, self.entities.get(address)) else {
            return false;
        };
        let is_last = !entity.runtime.exists && entity.runtime.session_count() == 1;
        forgets && is_last && self.setting.rules.forgets_when_heard && {
            let key = address.to_string();
            owner.emitter.speaks_of(key.as_bytes()) || owner.gate.speaks_of(key.as_bytes())
        }
    }

    /// A decision is dropped as if its message had not come: a client sends it again (R30, R32), an entity's
    /// partition repeats it (R34), and a timer fires later.
    pub(super) fn put_off(&mut self, address: &Address, draft: &Draft, now: Now) {
        let Cause::Timer(key) = &draft.cause else {
            return;
        };
        let due = self.due(address, key);
        if let (Some(due), Some(owner)) = (due, self.owner()) {
            let timer = (due, address.clone(), key.clone());
            // R48: for so long, whatever the clock is set to meanwhile.
            let from = now.running.plus_ms(PUT_OFF_MS);
            owner.put_off.push_back((from, timer));
        }
    }

    /// Whether that was done with this timer just now.
    pub(super) fn was_put_off(&mut self, timer: &(TimeMs, Address, TimerKey)) -> bool {
        let last = self.owner().and_then(|owner| owner.put_off.back());
        last.is_some_and(|(_, last)| last == timer)
    }

    /// Timers that have waited fire now.
    pub(super) fn take_put_off(&mut self, now: Now) {
        while let Some(owner) = self.owner()
            && let Some((_, timer)) = owner.put_off.pop_front_if(|(from, _)| *from <= now.running)
        {
            self.timers.insert(timer);
        }
    }
}

fn is_command(change: &Change) -> bool {
    matches!(change, Change::Taken { .. })
}

fn is_tell(change: &Change) -> bool {
    matches!(change, Change::TellTaken { .. })
}
