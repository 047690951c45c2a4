//! Timers of entities, in the order of their times.

use xp_protocol::events::{Cause, TimerKey};
use xp_protocol::{Address, ConnectionId, TimeMs};
use xp_transport::Now;

use super::super::core::{Core, Timer};
use super::super::exit::Step;
use super::Owner;
use super::writer::{Occasion, known};
use crate::turn::Turned;

/// How many timers fire before others get their turn. Those that a firing sets are not among them, however long they
/// have been due: an entity that always sets its timer to the past must not keep messages waiting.
const FIRED_MAX: usize = 1024;

impl Owner {
    /// Timers that are due, in the order of their times; those beyond the bound wait for the next call.
    pub(super) fn fire_timers(&mut self, core: &mut Core, now: Now) -> Step {
        while let Some(timer) = self.writer.put_off.pop(now) {
            core.residents.index.set(timer);
        }
        let timers = core.residents.index.due_by(now.time, FIRED_MAX);
        let mut behind = timers.iter().skip(1).map(|(due, ..)| *due);
        for timer in &timers {
            let until = behind.next().unwrap_or(now.time);
            if !self.is_reading(core) {
                return Ok(());
            }
            // A firing before may have moved or cleared it.
            if core.residents.index.take(timer) {
                self.fire(core, timer, now)?;
            }
            let (_, address, key) = timer;
            if *key == TimerKey::Parked {
                self.deliver_parked(core, address, until, now)?;
            }
        }
        Ok(())
    }

    /// R44: what waits behind the first and came before the next timer is delivered before it. There is a bound on how
    /// much is parked.
    fn deliver_parked(
        &mut self,
        core: &mut Core,
        address: &Address,
        until: TimeMs,
        now: Now,
    ) -> Step {
        while self.is_reading(core)
            && let Some(due) = core.due(address, &TimerKey::Parked)
            && due <= until
        {
            let timer = (due, address.clone(), TimerKey::Parked);
            if !core.residents.index.take(&timer) {
                return Ok(());
            }
            self.fire(core, &timer, now)?;
        }
        Ok(())
    }

    /// A timer fires at the owner's time, never before it was due.
    fn fire(&mut self, core: &mut Core, timer: &Timer, now: Now) -> Step {
        let (due, address, key) = timer;
        let occasion = Occasion {
            address,
            cause: Cause::Timer(key.clone()),
            time: now.time.max(*due),
            trace: None,
            poisonous: false,
            now: now.at_least(*due),
        };
        self.writer.run(core, occasion, |turn, entity| {
            match entity.due(turn.host, key) {
                Some(set) if set == *due => turn.timer(entity, key),
                _ => Turned::Nothing,
            }
        })?;
        // The firing set it to the same time once more, and no difference shows that to the index; or a build with
        // another retention had set it.
        let is_sound = core.sound(address).is_some();
        if let Some(due) = core.due(address, key).filter(|_| is_sound) {
            let timer = (due, address.clone(), key.clone());
            if !self.writer.put_off.was_last(&timer) {
                core.residents.index.set(timer);
            }
        }
        Ok(())
    }

    /// A session that ended in all but name ends before the next message about it.
    pub(super) fn end_overdue(
        &mut self,
        core: &mut Core,
        address: &Address,
        connection: ConnectionId,
        now: Now,
    ) -> Step {
        core.require(address)?;
        let key = TimerKey::Grace(connection);
        let Some(due) = core.due(address, &key) else {
            return Ok(());
        };
        let entity_now = core.residents.get(address).map_or(now, |entity| {
            now.at_least(known(entity.runtime.now, now.time, &core.setting.limits))
        });
        let timer = (due, address.clone(), key);
        if due <= entity_now.time && core.residents.index.take(&timer) {
            self.fire(core, &timer, entity_now)?;
        }
        Ok(())
    }
}
