//! A node's clock, which may be wrong, and what the node makes of it (R48).

use xp_protocol::TimeMs;
use xp_state_node::timekeeper::Timekeeper;
use xp_transport::Now;

use crate::plan::limits;
use crate::stage::Stage;

/// The most by which clocks of machines differ, in milliseconds.
const SKEW_MS: u64 = 200;

pub(crate) struct Clock {
    started: TimeMs,
    skew_ms: u64,
    /// By how much it is wrong, and until when.
    wrong: Option<(i64, TimeMs)>,
    timekeeper: Timekeeper,
}

impl Clock {
    pub(super) fn start(stage: &mut Stage) -> Self {
        let skew_ms = stage.up_to(SKEW_MS);
        let began = Now {
            time: stage.now.plus_ms(skew_ms),
            running: TimeMs(0),
        };
        Self {
            started: stage.now,
            skew_ms,
            wrong: None,
            timekeeper: Timekeeper::new(began),
        }
    }

    /// What the node takes for the time.
    pub(super) fn now(&mut self, stage: &Stage) -> Now {
        let read = self.read(stage);
        self.timekeeper.judge(read, &limits(&stage.plan))
    }

    /// What its machine's clock says.
    fn read(&self, stage: &Stage) -> Now {
        let wrong_ms = match self.wrong {
            Some((by_ms, until)) if until > stage.now => by_ms,
            _ => 0,
        };
        let time = stage.now.plus_ms(self.skew_ms).0;
        Now {
            time: TimeMs(time.saturating_add_signed(wrong_ms)),
            running: TimeMs(stage.now.since_ms(self.started)),
        }
    }

    /// Somebody sets it wrong for a while, unless it is wrong: one that is wrong for longer than it is doubted would be
    /// believed, and rightly (R48).
    pub(crate) fn set_wrong(&mut self, by_ms: i64, until: TimeMs, now: TimeMs) {
        let is_wrong = self.wrong.is_some_and(|(_, before)| before > now);
        if !is_wrong {
            self.wrong = Some((by_ms, until));
        }
    }
}
