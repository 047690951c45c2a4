//! Random runs: with all rules nothing goes wrong, and without any one of them something does.

use xp_protocol::rules::{AllRules, Rule, Rules};

use super::model;

/// All rules hold but one.
#[derive(Debug)]
struct Without(Rule);

impl Rules for Without {
    fn holds(&self, rule: Rule) -> bool {
        rule != self.0
    }
}

#[test]
fn every_client_sees_every_event_exactly_once_in_order_whatever_the_lane_does() {
    for seed in 0..400 {
        model::run(seed, &AllRules).unwrap_or_else(|reason| panic!("seed {seed}: {reason}"));
    }
}

/// How many of 200 seeds notice that a rule is missing.
fn caught(rules: &'static Without) -> usize {
    (0..200)
        .filter(|seed| model::run(*seed, rules).is_err())
        .count()
}

#[test]
fn each_rule_left_out_is_noticed() {
    let without: [&'static Without; 5] = [
        &Without(Rule::Gaps),
        &Without(Rule::Once),
        &Without(Rule::Repair),
        &Without(Rule::SocketAttempts),
        &Without(Rule::Pending),
    ];
    for rules in without {
        assert!(caught(rules) > 0, "nobody notices: {rules:?}");
    }
}
