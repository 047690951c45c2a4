//! Timers of entities, in the order of their times.

use xp_protocol::events::{Cause, TimerKey};
use xp_protocol::{Address, ConnectionId, TimeMs};
use xp_transport::Now;

use super::super::Partition;
use super::run::known;
use crate::turn::Turned;

/// How many timers fire before others get their turn. Those that a firing sets are not among them, however long they
/// have been due: an entity that always sets its timer to the past must not keep messages waiting.
const FIRED_MAX: usize = 1024;

impl Partition {
    /// Timers that are due, in the order of their times; those beyond the bound wait for the next call.
    pub(in crate::partition) fn fire_timers(&mut self, now: Now) {
        self.take_put_off(now);
        let due = self.timers.iter().take_while(|(due, ..)| *due <= now.time);
        let due: Vec<_> = due.take(FIRED_MAX).cloned().collect();
        let mut behind = due.iter().skip(1).map(|(due, ..)| *due);
        for (due, address, key) in &due {
            let until = behind.next().unwrap_or(now.time);
            if !self.wants_inbound() {
                return;
            }
            // A firing before may have moved or cleared it.
            if self.timers.remove(&(*due, address.clone(), key.clone())) {
                self.fire(address, *due, key, now);
            }
            if *key == TimerKey::Parked {
                self.deliver_parked(address, until, now);
            }
        }
    }

    /// R44: what waits behind the first and came before the next timer is delivered before it. There is a bound on how
    /// much is parked.
    fn deliver_parked(&mut self, address: &Address, until: TimeMs, now: Now) {
        let key = TimerKey::Parked;
        while self.wants_inbound()
            && let Some(due) = self.due(address, &key).filter(|due| *due <= until)
            && self.timers.remove(&(due, address.clone(), key.clone()))
        {
            self.fire(address, due, &key, now);
        }
    }

    /// A timer fires at the owner's time, never before it was due.
    fn fire(&mut self, address: &Address, due: TimeMs, key: &TimerKey, now: Now) {
        let cause = Cause::Timer(key.clone());
        self.run(
            address,
            cause,
            now.time.max(due),
            None,
            now.at_least(due),
            |turn, entity| match entity.due(turn.host, key) {
                Some(set) if set == due => turn.timer(entity, key),
                _ => Turned::Nothing,
            },
        );
        // The firing set it to the same time once more, and no difference shows that to the index; or a build with
        // another retention had set it.
        let entity = self.entities.get(address);
        let is_sound = entity.is_some_and(|entity| !entity.is_quarantined());
        if let Some(due) = self.due(address, key).filter(|_| is_sound) {
            let timer = (due, address.clone(), key.clone());
            if !self.was_put_off(&timer) {
                self.timers.insert(timer);
            }
        }
    }

    /// When a timer of an entity in memory is due, if it is set.
    pub(super) fn due(&self, address: &Address, key: &TimerKey) -> Option<TimeMs> {
        let host = self.setting.domain.get(address.category())?;
        self.entities.get(address)?.due(host.as_ref(), key)
    }

    /// A session that ended in all but name ends before the next word about it.
    pub(in crate::partition) fn end_overdue(
        &mut self,
        address: &Address,
        connection: ConnectionId,
        now: Now,
    ) {
        if let Err(reason) = self.load(address) {
            return self.set_aside(&reason);
        }
        let key = TimerKey::Grace(connection);
        let Some(due) = self.due(address, &key) else {
            return;
        };
        let entity_now = self.entities.get(address).map_or(now, |entity| {
            now.at_least(known(entity.runtime.now, now.time, &self.setting.limits))
        });
        if due <= entity_now.time && self.timers.remove(&(due, address.clone(), key.clone())) {
            self.fire(address, due, &key, entity_now);
        }
    }
}
