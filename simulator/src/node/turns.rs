//! The turns of a partition's shell: its schedule is the real one.

use xp_state_node::schedule::{Phase, Source};

use super::Node;
use crate::agenda::{NodeDue as Due, Part};
use crate::place::Place;
use crate::stage::Stage;

impl Node {
    /// A partition has heard something, and does what it comes to.
    pub(super) fn heard(&mut self, place: Place, source: Source, stage: &mut Stage) {
        let now = self.clock(stage);
        if let Some(held) = self.partitions.get_mut(&place) {
            held.schedule.heard(source, now);
        }
        self.perform(place, stage);
    }

    /// A partition's time has come, unless it has planned anew since.
    pub(super) fn turn(&mut self, part: Part, turn: u64, stage: &mut Stage) {
        let (now, lease) = (self.clock(stage), self.lease);
        let Some(held) = self.part(part).filter(|held| held.turn == turn) else {
            return;
        };
        if held.schedule.wait_ms(&held.core, now) == 0 {
            held.schedule.ticked(now);
            held.core.on_lease(lease, now);
            held.core.tick(now);
        }
        self.perform(part.place, stage);
    }

    /// Says what has changed, and plans the next turn.
    pub(super) fn plan_turn(&mut self, place: Place, stage: &mut Stage) {
        let now = self.clock(stage);
        let Some(held) = self.partitions.get_mut(&place) else {
            return;
        };
        let news = held.schedule.news(&held.core);
        let begins = news.is_some_and(Phase::is_warm) && !held.ahead.is_open();
        if begins {
            held.read_from(held.core.fold().inbound.next(), &stage.plan);
        }
        held.turn += 1;
        let due = Due::Turn(held.part, held.turn);
        let wait_ms = held.schedule.wait_ms(&held.core, now);
        self.plan(stage, wait_ms, due);
        if begins {
            self.plan(stage, 1, Due::PollInbound(place));
        }
        if news.is_some() {
            self.tell(stage);
        }
    }
}
