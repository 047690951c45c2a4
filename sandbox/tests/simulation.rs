//! The platform in virtual time: seeds with faults, and rules switched off one at a time.
//!
//! `XP_SIM_SEED=n cargo test -p xp-sandbox --test simulation a_seed_can_be_replayed -- --nocapture` replays one
//! seed and prints its story; `XP_SIM_SEEDS=from..to` lives through other seeds than the ordinary ones.

use std::ops::Range;

use xp_sandbox::simulator::{Outcome, Plan, Switch, Violation, check, run};

/// How to see a run again.
fn replay(seed: u64) -> String {
    format!(
        "XP_SIM_SEED={seed} cargo test -p xp-sandbox --test simulation a_seed_can_be_replayed -- --nocapture"
    )
}

fn live_through(plan: Plan) -> (Outcome, Vec<Violation>) {
    let outcome = run(plan);
    let violations = check(&outcome);
    (outcome, violations)
}

fn told(violations: &[Violation]) -> String {
    violations
        .iter()
        .map(|found| format!("{found}\n"))
        .collect()
}

/// Seeds of the environment's choice, or these.
fn seeds(ordinary: Range<u64>) -> Range<u64> {
    let chosen = std::env::var("XP_SIM_SEEDS").ok();
    let chosen = chosen.as_deref().and_then(|text| text.split_once(".."));
    chosen.map_or(ordinary, |(from, to)| {
        let number = |text: &str| text.parse().expect("XP_SIM_SEEDS is from..to");
        number(from)..number(to)
    })
}

#[test]
fn whatever_fails_nothing_acknowledged_is_lost_or_doubled() {
    let mut failed = Vec::new();
    for seed in seeds(0..200) {
        let (_, violations) = live_through(Plan::rough(seed));
        if let Some(first) = violations.first() {
            failed.push(format!(
                "{first} (and {} more)\n  {}\n",
                violations.len() - 1,
                replay(seed)
            ));
        }
    }
    assert!(
        failed.is_empty(),
        "{} seeds failed:\n{}",
        failed.len(),
        failed.concat()
    );
}

#[test]
fn a_seed_can_be_replayed() {
    let chosen = std::env::var("XP_SIM_SEED").ok();
    let seed = chosen
        .as_ref()
        .map_or(7, |text| text.parse().expect("XP_SIM_SEED is a number"));
    let (outcome, violations) = live_through(Plan::rough(seed));
    if chosen.is_some() {
        println!("{}", outcome.history.tail(usize::MAX));
    }
    assert!(violations.is_empty(), "{}", told(&violations));
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in [3, 11, 20] {
        let story = |plan| {
            let outcome = run(plan);
            (outcome.history.tail(usize::MAX), outcome.events)
        };
        let (first, second) = (story(Plan::rough(seed)), story(Plan::rough(seed)));
        assert!(first == second, "seed {seed} went two ways");
    }
}

#[test]
fn without_faults_nobody_is_cut_off() {
    for seed in 0..5 {
        let (outcome, violations) = live_through(Plan::fair(seed));
        assert!(violations.is_empty(), "{}", told(&violations));
        let story = outcome.history.tail(usize::MAX);
        assert!(!story.contains("Lost {"), "a socket fell:\n{story}");
    }
}

/// The first seed in which the checkers notice that a rule is missing.
fn caught(switch: Switch, seeds: Range<u64>) -> Option<Violation> {
    seeds.into_iter().find_map(|seed| {
        let (_, violations) = live_through(Plan::rough(seed).without(switch));
        violations.into_iter().next()
    })
}

#[test]
fn a_rule_switched_off_is_noticed() {
    let mut missed = Vec::new();
    for switch in Switch::ALL {
        match caught(*switch, 0..600) {
            Some(first) => println!("without {switch:?}: {first}"),
            None => missed.push(switch),
        }
    }
    assert!(
        missed.is_empty(),
        "nobody noticed that these were off: {missed:?}"
    );
}
