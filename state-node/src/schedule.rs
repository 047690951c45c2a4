//! The schedule of a partition's shell: what it does next, and what it says of the partition. Without a clock and an
//! `await`, so that the node's shell and the simulator's drive the same one.

use xp_protocol::TimeMs;
use xp_protocol::rules::{Rule, Rules};
use xp_transport::Now;

use crate::partition::Partition;

/// The longest time between two ticks, and between two ticks while something waits, in milliseconds.
const IDLE_TICK_MS: u64 = 200;
const BUSY_TICK_MS: u64 = 20;
/// The shortest time between two ticks, in milliseconds: what is due already leaves time for what has come.
const TICK_MIN_MS: u64 = 1;

/// Where a shell hears something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// What it asked for was done: appended, read, stored.
    Answers,
    /// Records of `events`, for who follows.
    Events,
    /// The fold of the cluster has moved on.
    Members,
    /// The node stops.
    Stop,
    /// Records of `inbound`.
    Inbound,
}

const SOURCES: [Source; 5] = [
    Source::Answers,
    Source::Events,
    Source::Members,
    Source::Stop,
    Source::Inbound,
];

/// What a partition does, as its node says it to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has not read all that the log held when it was opened.
    Replaying,
    /// It follows the owner, and could own at once.
    Mirroring,
    /// It is the owner: it decides, and reads `inbound`.
    Owning,
}

impl Phase {
    /// Whether it could own the partition at once.
    #[must_use]
    pub fn is_warm(self) -> bool {
        self != Self::Replaying
    }

    fn of(core: &Partition) -> Self {
        match (core.is_owner(), core.is_warm()) {
            (true, _) => Self::Owning,
            (false, true) => Self::Mirroring,
            (false, false) => Self::Replaying,
        }
    }
}

/// What a shell does next. Ticks are due at times that nothing heard in between moves (R15): whoever is never left in
/// peace records its positions, stores its snapshots and repeats what failed all the same. What is heard comes from all
/// sources in turn, so that none waits for more than one input of each other.
#[derive(Clone, Debug)]
pub struct Schedule {
    ticked: TimeMs,
    /// The place in `SOURCES` of the one that is asked first.
    first: usize,
    said: Phase,
    rules: &'static dyn Rules,
}

impl Schedule {
    /// That of a partition that was just opened.
    #[must_use]
    pub fn new(now: Now, rules: &'static dyn Rules) -> Self {
        Self {
            ticked: now.running,
            first: 0,
            said: Phase::Replaying,
            rules,
        }
    }

    /// How long the shell may wait for something to hear, in milliseconds; then it ticks, at nothing before it hears
    /// anything more.
    #[must_use]
    pub fn wait_ms(&self, core: &Partition, now: Now) -> u64 {
        let every_ms = match core.is_busy() {
            true => BUSY_TICK_MS,
            false => IDLE_TICK_MS,
        };
        let since_ms = now.running.since_ms(self.ticked);
        let tick_ms = every_ms.saturating_sub(since_ms);
        let due_ms = core.due_in_ms(now).unwrap_or(u64::MAX);
        let least_ms = TICK_MIN_MS.saturating_sub(since_ms);
        tick_ms.min(due_ms).max(least_ms)
    }

    /// The shell ticks.
    pub fn ticked(&mut self, now: Now) {
        self.ticked = now.running;
    }

    /// Where the shell listens, in this order.
    #[must_use]
    pub fn order(&self) -> [Source; SOURCES.len()] {
        let mut order = SOURCES;
        order.rotate_left(self.first);
        order
    }

    /// Something was heard, and its source comes last now.
    pub fn heard(&mut self, source: Source, now: Now) {
        let index = SOURCES.iter().position(|other| *other == source);
        self.first = index.map_or(0, |index| (index + 1) % SOURCES.len());
        if !self.rules.holds(Rule::DueTicks) {
            self.ticked = now.running;
        }
    }

    /// What the node says of the partition now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.said
    }

    /// What the partition does, when that has changed.
    pub fn news(&mut self, core: &Partition) -> Option<Phase> {
        let phase = Phase::of(core);
        let said = std::mem::replace(&mut self.said, phase);
        (said != phase).then_some(phase)
    }
}
