//! Random runs: with all rules nothing goes wrong, and without any one of them something does.

use super::super::Rules;
use super::model;

#[test]
fn every_client_sees_every_event_exactly_once_in_order_whatever_the_lane_does() {
    for seed in 0..400 {
        model::run(seed, Rules::default()).unwrap_or_else(|reason| panic!("seed {seed}: {reason}"));
    }
}

/// How many of 200 seeds notice that a rule is missing.
fn caught(rules: Rules) -> usize {
    (0..200)
        .filter(|seed| model::run(*seed, rules).is_err())
        .count()
}

#[test]
fn each_rule_left_out_is_noticed() {
    let all = Rules::default();
    let without = [
        ("gaps (R19)", Rules { gaps: false, ..all }),
        ("once (R20)", Rules { once: false, ..all }),
        (
            "repair (R20)",
            Rules {
                repair: false,
                ..all
            },
        ),
        (
            "attempts (R24)",
            Rules {
                attempts: false,
                ..all
            },
        ),
        (
            "pending",
            Rules {
                pending: false,
                ..all
            },
        ),
    ];
    for (name, rules) in without {
        assert!(caught(rules) > 0, "nobody notices that {name} is missing");
    }
}
