//! The same seed and the same calls, the same events.

use xp_protocol::TimeMs;
use xp_transport::simulated::{Faults, LeaderFaults};

use crate::rig::{Run, START, at};

fn everything() -> Faults {
    Faults {
        leaders: LeaderFaults {
            truncation: 0.01,
            truncated_records_max: 5,
            ..Faults::rough().leaders
        },
        idempotent: false,
        ..Faults::rough()
    }
}

#[test]
fn a_seed_replays() {
    for seed in 0..20 {
        let [first, second] = [(); 2].map(|()| Run::new(seed, everything(), 3, 100));
        assert_eq!(first.events, second.events, "seed {seed}");
        assert_eq!(first.texts(), second.texts(), "seed {seed}");
        assert_eq!(
            first.log.identity(&at(0)).unwrap(),
            second.log.identity(&at(0)).unwrap()
        );
    }
}

#[test]
fn seeds_differ() {
    let [first, second] = [1, 2].map(|seed| Run::new(seed, everything(), 3, 100));
    assert_ne!(first.texts(), second.texts());
}

#[test]
fn events_come_in_the_order_of_their_times_and_none_before_it_is_due() {
    let run = Run::new(3, everything(), 3, 100);
    let times: Vec<TimeMs> = run.events.iter().map(|(when, _)| *when).collect();
    assert!(times.is_sorted());
    assert!(times[0] >= START);
    assert_eq!(run.log.next_event_at(), None);
}
