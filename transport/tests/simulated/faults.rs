//! Faults of the simulated log: each does what its name says, and nothing else does it.

use std::collections::BTreeSet;

use xp_protocol::{Offset, TimeMs};
use xp_transport::ReadError;
use xp_transport::simulated::{Faults, LeaderFaults, ProducerId, SimEvent, SimLog};

use crate::rig::{Run, START, TOPIC, at, record};

const SEEDS: u64 = 20;

fn own(run: &Run, producer: u64) -> Vec<String> {
    let prefix = format!("{producer}:");
    run.texts()
        .into_iter()
        .filter(|text| text.starts_with(&prefix))
        .collect()
}

fn in_order(producer: u64, count: u64) -> Vec<String> {
    (0..count)
        .map(|number| format!("{producer}:{number}"))
        .collect()
}

/// What holds whatever goes wrong: an acknowledgement is true, rises, and nobody hears both answers.
fn check_answers_are_true(run: &Run) {
    let texts = run.texts();
    let acknowledged = run.acknowledged();
    for (id, offset) in &acknowledged {
        assert_eq!(texts[usize::try_from(offset.0).unwrap()], run.sent[id].1);
    }
    let failed = run.failed();
    assert!(failed.iter().all(|id| !acknowledged.contains_key(id)));
    let answers = run.events.iter().filter(|(_, event)| {
        matches!(
            event,
            SimEvent::Acknowledged { .. } | SimEvent::Failed { .. }
        )
    });
    assert_eq!(
        answers.count(),
        failed.len() + acknowledged.len(),
        "nobody hears an answer twice"
    );
}

#[test]
fn without_faults_everything_lands_at_once_in_the_order_of_the_calls() {
    let run = Run::new(1, Faults::none(), 2, 50);
    let sent: Vec<_> = run.sent.values().map(|(_, text)| text.clone()).collect();
    assert_eq!(run.texts(), sent);
    assert_eq!(run.acknowledged().len(), 100);
    assert!(run.events.iter().all(|(when, _)| *when < START.plus_ms(50)));
}

#[test]
fn a_lost_record_never_lands_and_its_producer_hears_so_at_the_timeout() {
    for seed in 0..SEEDS {
        let faults = Faults {
            loss: 0.2,
            ..Faults::none()
        };
        let run = Run::new(seed, faults, 1, 200);
        check_answers_are_true(&run);
        let lost = 200 - run.texts().len();
        assert!((10..90).contains(&lost), "seed {seed}: {lost}");
        assert_eq!(run.failed().len(), lost);
        assert!(
            run.failed()
                .iter()
                .all(|id| !run.landings().contains_key(id))
        );
    }
}

#[test]
fn a_silent_loss_is_heard_by_nobody() {
    let run = Run::new(
        1,
        Faults {
            loss: 0.2,
            silence: 1.0,
            ..Faults::none()
        },
        1,
        200,
    );
    assert!(run.texts().len() < 190);
    assert!(run.failed().is_empty());
}

#[test]
fn a_doubled_record_lands_twice_the_second_time_later() {
    for seed in 0..SEEDS {
        let faults = Faults {
            duplication: 0.2,
            late_ms: 10..=100,
            ..Faults::none()
        };
        let run = Run::new(seed, faults, 1, 200);
        check_answers_are_true(&run);
        let twice = run.landings().values().filter(|count| **count == 2).count();
        assert!((10..90).contains(&twice), "seed {seed}: {twice}");
        assert_eq!(run.texts().len(), 200 + twice);
        assert_eq!(run.acknowledged().len(), 200);
    }
}

#[test]
fn delays_reorder_producers_but_not_the_records_of_one() {
    for seed in 0..SEEDS {
        let run = Run::new(
            seed,
            Faults {
                delay_ms: 0..=20,
                ..Faults::none()
            },
            2,
            100,
        );
        check_answers_are_true(&run);
        assert_eq!(own(&run, 0), in_order(0, 100), "seed {seed}");
        assert_eq!(own(&run, 1), in_order(1, 100), "seed {seed}");
        let sent: Vec<_> = run.sent.values().map(|(_, text)| text.clone()).collect();
        assert_ne!(run.texts(), sent, "seed {seed}");
    }
}

#[test]
fn pipelining_without_idempotence_reorders_the_records_of_one_producer_too() {
    for seed in 0..SEEDS {
        let faults = Faults {
            delay_ms: 0..=20,
            idempotent: false,
            ..Faults::none()
        };
        let run = Run::new(seed, faults, 1, 100);
        assert_ne!(own(&run, 0), in_order(0, 100), "seed {seed}");
        assert_eq!(own(&run, 0).into_iter().collect::<BTreeSet<_>>().len(), 100);
    }
}

#[test]
fn acknowledgements_of_one_producer_rise() {
    for seed in 0..SEEDS {
        let faults = Faults {
            delay_ms: 0..=20,
            acknowledgement_ms: 0..=20,
            ..Faults::none()
        };
        let run = Run::new(seed, faults, 1, 100);
        let acknowledged = run.events.iter().filter_map(|(_, event)| match event {
            SimEvent::Acknowledged { offset, .. } => Some(*offset),
            _ => None,
        });
        let offsets: Vec<_> = acknowledged.collect();
        assert_eq!(
            offsets,
            (0..100).map(Offset).collect::<Vec<_>>(),
            "seed {seed}"
        );
    }
}

#[test]
fn an_error_after_the_append_and_a_lost_acknowledgement_leave_the_record_in_the_log() {
    for faults in [
        Faults {
            error_after_append: 0.3,
            ..Faults::none()
        },
        Faults {
            acknowledgement_loss: 0.3,
            ..Faults::none()
        },
    ] {
        let run = Run::new(1, faults, 1, 200);
        check_answers_are_true(&run);
        assert_eq!(run.texts().len(), 200);
        assert!(
            (20..120).contains(&run.failed().len()),
            "{}",
            run.failed().len()
        );
    }
}

#[test]
fn a_late_record_lands_long_after_its_producer_was_told_that_it_failed() {
    let faults = Faults {
        late: 0.1,
        late_ms: 5000..=8000,
        timeout_ms: 1000,
        idempotent: false,
        ..Faults::none()
    };
    let run = Run::new(1, faults, 1, 200);
    check_answers_are_true(&run);
    assert_eq!(run.texts().len(), 200);
    let failed = run.failed();
    assert!((5..60).contains(&failed.len()));
    for id in failed {
        let when = |wanted: fn(&SimEvent) -> bool, run: &Run| -> TimeMs {
            let matches = |event: &SimEvent| match event {
                SimEvent::Landed { id: whose, .. } | SimEvent::Failed { id: whose } => *whose == id,
                _ => false,
            };
            run.events
                .iter()
                .find(|(_, event)| matches(event) && wanted(event))
                .unwrap()
                .0
        };
        let told = when(|event| matches!(event, SimEvent::Failed { .. }), &run);
        let landed = when(|event| matches!(event, SimEvent::Landed { .. }), &run);
        assert!(landed.since_ms(told) >= 4000);
    }
}

#[test]
fn the_dead_hear_nothing_but_what_they_sent_still_lands() {
    let mut log = SimLog::new(
        1,
        Faults {
            delay_ms: 10..=20,
            ..Faults::none()
        },
    );
    log.create(TOPIC, 1);
    let dead = ProducerId(1);
    let id = log.append(START, dead, &at(0), record("last words"));
    log.abandon(dead);
    let events = log.step(START.plus_ms(10_000));
    assert_eq!(
        events,
        [SimEvent::Landed {
            id,
            at: at(0),
            offset: Offset(0)
        }]
    );
}

#[test]
fn a_truncation_reaches_a_reader_even_after_the_log_grew_over_it() {
    let mut log = SimLog::new(1, Faults::none());
    log.create(TOPIC, 1);
    let put = |log: &mut SimLog, text: &str| {
        log.append(START, ProducerId(0), &at(0), record(text));
        log.step(START)
    };
    for text in ["a", "b", "c"] {
        put(&mut log, text);
    }
    let mut behind = log.cursor(&at(0), Offset(0)).unwrap();
    assert_eq!(log.read(&mut behind, 1).unwrap().len(), 1);
    let mut ahead = log.cursor(&at(0), Offset(0)).unwrap();
    assert_eq!(log.read(&mut ahead, usize::MAX).unwrap().len(), 3);

    log.truncate(&at(0), Offset(2));
    for text in ["x", "y"] {
        put(&mut log, text);
    }
    assert_eq!(
        log.bounds(&at(0)).unwrap().next,
        Offset(4),
        "it has grown over the cut"
    );

    let error = log.read(&mut ahead, usize::MAX).unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::OutOfRange {
                wanted: Offset(3),
                ..
            }
        ),
        "{error}"
    );
    assert!(
        !log.read(&mut behind, usize::MAX).unwrap().is_empty(),
        "nothing that it had read is gone"
    );
}

#[test]
fn truncation_takes_the_newest_records_and_says_where_the_log_ends_now() {
    for seed in 0..SEEDS {
        let faults = Faults {
            leaders: LeaderFaults {
                truncation: 0.1,
                truncated_records_max: 5,
                ..LeaderFaults::none()
            },
            ..Faults::none()
        };
        let run = Run::new(seed, faults, 1, 200);
        let (mut next, mut taken) = (0, 0);
        for (_, event) in &run.events {
            match event {
                SimEvent::Truncated { next: end, .. } => {
                    assert!(next >= end.0 && next - end.0 <= 5, "seed {seed}");
                    taken += next - end.0;
                    next = end.0;
                }
                SimEvent::Landed { offset, .. } => {
                    assert_eq!(offset.0, next, "seed {seed}");
                    next += 1;
                }
                _ => {}
            }
        }
        assert!(taken > 0, "seed {seed}");
        assert_eq!(run.texts().len() as u64, 200 - taken);
    }
}

#[test]
fn a_topic_made_anew_has_another_identity_and_what_was_on_its_way_to_the_old_one_fails() {
    let mut log = SimLog::new(
        1,
        Faults {
            delay_ms: 5..=5,
            ..Faults::none()
        },
    );
    log.create(TOPIC, 2);
    let before = log.identity(&at(0)).unwrap();
    let mut cursor = log.cursor(&at(0), Offset(0)).unwrap();
    let id = log.append(START, ProducerId(0), &at(0), record("too late"));
    log.create(TOPIC, 2);
    assert_ne!(log.identity(&at(0)).unwrap(), before);
    assert_eq!(log.step(START.plus_ms(60_000)), [SimEvent::Failed { id }]);
    assert_eq!(log.bounds(&at(0)).unwrap().next, Offset(0));
    assert!(matches!(
        log.read(&mut cursor, 1).unwrap_err(),
        ReadError::OutOfRange { .. }
    ));
}

#[test]
fn the_clock_that_stamps_records_jumps_within_its_bound() {
    let faults = Faults {
        leaders: LeaderFaults {
            clock_jump: 0.1,
            clock_jump_ms: 5000,
            ..LeaderFaults::none()
        },
        ..Faults::none()
    };
    let run = Run::new(1, faults, 1, 200);
    let times: Vec<_> = run
        .log
        .records(&at(0), Offset(0))
        .unwrap()
        .map(|stored| stored.time.0)
        .collect();
    assert!(!times.is_sorted(), "some jump leads backwards");
    for (number, time) in (0..).zip(&times) {
        assert!(time.abs_diff(START.0 + number) <= 5000);
    }
}

#[test]
fn a_topic_may_have_faults_of_its_own() {
    let mut log = SimLog::new(
        1,
        Faults {
            loss: 1.0,
            ..Faults::none()
        },
    );
    log.create(TOPIC, 1);
    log.set_topic_faults(TOPIC, Faults::none());
    log.append(START, ProducerId(0), &at(0), record("lands"));
    log.step(START);
    assert_eq!(log.bounds(&at(0)).unwrap().next, Offset(1));
}

#[test]
fn what_goes_nowhere_fails() {
    let mut log = SimLog::new(1, Faults::none());
    let id = log.append(START, ProducerId(0), &at(0), record("where to?"));
    assert_eq!(log.step(START), [SimEvent::Failed { id }]);
}

#[test]
fn a_rough_log_shows_every_fault_and_stays_truthful() {
    for seed in 0..SEEDS {
        let run = Run::new(seed, Faults::rough(), 3, 300);
        check_answers_are_true(&run);
        let landings = run.landings();
        assert!(landings.len() < 900, "seed {seed}: something was lost");
        assert!(
            landings.values().any(|count| *count == 2),
            "seed {seed}: something was doubled"
        );
        let failed_but_there = run.failed().iter().any(|id| landings.contains_key(id));
        assert!(failed_but_there, "seed {seed}: an error proves nothing");
    }
}
