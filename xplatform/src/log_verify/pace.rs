//! Progress of a long replay, on stderr; and backtraces that are kept from it.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use xp_protocol::{LanePartition, Offset, TimeMs};
use xp_transport::Clock;

use crate::process::stderr;

/// Nothing is said of what is over by then, and then as often as that.
const EVERY: Duration = Duration::from_secs(5);
/// How often the clock is looked at, in records.
const LOOKED_AT_EVERY: u64 = 1 << 10;
/// Panics of domain code that are told of where they happened; each is a finding besides.
const PANICS_MAX: usize = 3;

/// The replay of one partition.
pub(super) struct Pace {
    partition: LanePartition,
    clock: Clock,
    told: TimeMs,
    reading: u32,
}

impl Pace {
    pub(super) fn of(partition: &LanePartition) -> Self {
        let clock = Clock::system();
        Self {
            partition: partition.clone(),
            told: clock.running(),
            clock,
            reading: 1,
        }
    }

    pub(super) fn went_on(&mut self, at: Offset, end: Option<Offset>) {
        if !at.0.is_multiple_of(LOOKED_AT_EVERY) {
            return;
        }
        let now = self.clock.running();
        if u128::from(now.since_ms(self.told)) < EVERY.as_millis() {
            return;
        }
        self.told = now;
        stderr::say(&self.line(at, end));
    }

    pub(super) fn begins_again(&mut self) {
        self.reading += 1;
    }

    fn line(&self, at: Offset, end: Option<Offset>) -> String {
        let of = end.map_or(String::new(), |end| format!(" of {end}"));
        let again = match self.reading {
            1 => String::new(),
            reading => {
                format!(", reading {reading}: not all of its entities fit into --memory at once")
            }
        };
        format!("{}: at record {at}{of}{again}", self.partition)
    }
}

/// A domain that panics for a million entities is told of in as many findings, not in as many backtraces.
pub(super) fn quiet_panics() {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if TOLD.fetch_add(1, Ordering::Relaxed) < PANICS_MAX {
            usual(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use xp_protocol::PartitionId;

    use super::*;

    #[test]
    fn a_long_replay_says_how_far_it_is_and_why_it_begins_again() {
        let mut pace = Pace::of(&LanePartition {
            lane: "main".into(),
            partition: PartitionId(3),
        });
        let end = Some(Offset(9_000));
        assert_eq!(
            pace.line(Offset(2_048), end),
            "main/3: at record 2048 of 9000"
        );
        pace.begins_again();
        let line = pace.line(Offset(0), None);
        assert!(
            line.starts_with("main/3: at record 0, reading 2: "),
            "{line}"
        );
    }
}
