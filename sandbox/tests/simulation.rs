//! The platform in virtual time: seeds with faults, and rules switched off one at a time.
//!
//! `XP_SIM_SEED=n cargo test -p xp-sandbox --test simulation one_seed -- --nocapture` replays one seed and
//! prints its story.

use std::ops::Range;

use xp_sandbox::simulator::{Outcome, Plan, Violation, check, run};

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
    violations.iter().map(|found| format!("{found}\n")).collect()
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
            failed.push(format!("{first} (and {} more)\n  {}\n", violations.len() - 1, replay(seed)));
        }
    }
    assert!(failed.is_empty(), "{} seeds failed:\n{}", failed.len(), failed.concat());
}

#[test]
fn a_seed_can_be_replayed() {
    let chosen = std::env::var("XP_SIM_SEED").ok();
    let seed = chosen.as_ref().map_or(7, |text| text.parse().expect("XP_SIM_SEED is a number"));
    let (outcome, violations) = live_through(Plan::rough(seed));
    if chosen.is_some() {
        // The story is what was asked for.
        println!("{}", outcome.history.tail(usize::MAX));
    }
    assert!(violations.is_empty(), "{}", told(&violations));
}
