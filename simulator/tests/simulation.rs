//! The platform in virtual time: seeds with faults, and rules switched off one at a time.
//!
//! `XP_SIM_PLAN='seed=n' cargo test -p xp-simulator --test simulation a_plan_can_be_replayed -- --nocapture` replays
//! one seed, or what it was shrunk to, and prints its story; `XP_SIM_SEEDS=from..to` lives through other seeds
//! than the ordinary ones.

use std::ops::Range;

use xp_simulator::history::What;
use xp_simulator::partition_name::PartitionName;
use xp_simulator::{
    Failure, Outcome, Plan, Switch, Violation, check, judge, notice, run, shrink, sweep,
};

/// How many runs the search for a smaller plan may take here.
const SHRINK_RUNS_MAX: usize = 60;

/// How to see a run again.
fn replay(plan: Plan) -> String {
    format!(
        "XP_SIM_PLAN='{plan}' cargo test -p xp-simulator --test simulation a_plan_can_be_replayed -- --nocapture"
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

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What is wrong with a seed, and the lines that show it whole and made smaller.
fn told_of(failure: &Failure) -> String {
    let (plan, first) = (failure.plan, &failure.first);
    let shrunk = shrink(plan, first.checker, SHRINK_RUNS_MAX).expect("it failed a moment ago");
    format!(
        "{first} (and {} more)\n  {}\nsmaller: {}\n  {}\n",
        failure.more,
        replay(plan),
        shrunk.violation,
        replay(shrunk.plan)
    )
}

#[test]
fn a_plan_reads_back_from_its_text_whatever_it_has() {
    let everything = "seed=10 busy=3000 calm=9000 clients=2 nodes=2 asking=true builds=true rooms=true pieces=true \
                      ends=true spoils=true telling=true dense=true moves=true takeovers=true truncated=1 kept=2 \
                      tokens=true slow=true outages=true published=false flood=true weather=events spared=0,4 \
                      without=Gate";
    let plan: Plan = everything.parse().expect("each part is one of a plan");
    assert_eq!(plan.to_string(), everything);
    let flood = "seed=3 kept=8000 flood=true weather= acts=none";
    assert_eq!(Plan::flood(3).to_string(), flood);
    for kind in [Plan::rough, Plan::takeovers, Plan::telling] {
        for plan in (0..100).map(kind) {
            assert_eq!(plan.to_string().parse(), Ok(plan), "{plan}");
        }
    }
}

#[test]
fn whatever_fails_nothing_acknowledged_is_lost_or_doubled() {
    let failures = sweep(seeds(0..200), threads(), Plan::rough, |_| {});
    let first: String = failures.iter().take(3).map(told_of).collect();
    let all: Vec<_> = failures.iter().map(|failure| failure.plan.seed).collect();
    assert!(failures.is_empty(), "seeds {all:?} failed:\n{first}");
}

#[test]
fn a_plan_can_be_replayed() {
    let chosen = std::env::var("XP_SIM_PLAN").ok();
    let plan = chosen.as_deref().unwrap_or("seed=7");
    let (outcome, violations) = live_through(plan.parse().expect("XP_SIM_PLAN is a plan"));
    if chosen.is_some() {
        println!("{}", outcome.history.tail(usize::MAX));
    }
    assert!(violations.is_empty(), "{}", told(&violations));
}

#[test]
fn a_failing_plan_shrinks_to_a_smaller_one_that_fails_alike() {
    let plans = (0..50).map(|seed| Plan::rough(seed).without(Switch::Gate));
    let failure = plans.into_iter().find_map(judge);
    let Failure { plan, first, .. } = failure.expect("some seed notices that the gate is gone");
    let shrunk = shrink(plan, first.checker, SHRINK_RUNS_MAX).expect("it failed a moment ago");
    assert!(shrunk.plan.busy_ms < plan.busy_ms || shrunk.plan.clients < plan.clients);
    assert_eq!(shrunk.violation.checker, first.checker);
    let line: Plan = shrunk.plan.to_string().parse().expect("a plan's own text");
    assert_eq!(line, shrunk.plan);
    let (_, violations) = live_through(line);
    assert!(
        violations.contains(&shrunk.violation),
        "{}",
        told(&violations)
    );
    assert_eq!(
        shrink(plan, first.checker, SHRINK_RUNS_MAX),
        Some(shrunk),
        "the search went two ways"
    );
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in [3, 7, 11, 16, 20] {
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

/// R42: what one client says too much is held back, and the others hardly notice.
#[test]
fn a_flood_of_one_client_neither_overruns_a_partition_nor_starves_the_others() {
    for seed in 0..6 {
        let plan = Plan::flood(seed);
        let (_, violations) = live_through(plan);
        assert!(
            violations.is_empty(),
            "{}{}",
            told(&violations),
            replay(plan)
        );
    }
}

/// R42: where the log keeps less of a flood than edges let wait, partitions miss some of it, and go on.
#[test]
fn a_flood_that_overruns_a_partition_costs_nothing_that_was_acknowledged() {
    let plan = Plan::overrun(3);
    let (outcome, violations) = live_through(plan);
    assert!(
        violations.is_empty(),
        "{}{}",
        told(&violations),
        replay(plan)
    );
    let mut entries = outcome.history.entries.iter();
    assert!(
        entries.any(|entry| matches!(entry.what, What::Missed(_))),
        "nothing overran it"
    );
}

/// R42: partitions that keep few messages miss some of them, and nothing acknowledged is lost by that.
#[test]
fn partitions_miss_messages_in_some_runs_and_are_none_the_worse() {
    let mut missed = 0;
    for seed in 0..12 {
        let plan = Plan {
            kept: Some(30),
            ..Plan::rough(seed)
        };
        let (outcome, violations) = live_through(plan);
        let entries = outcome.history.entries.iter();
        missed += entries
            .filter(|entry| matches!(entry.what, What::Missed(_)))
            .count();
        assert!(
            violations.is_empty(),
            "{}{}",
            told(&violations),
            replay(plan)
        );
    }
    assert!(missed > 0, "no partition ever missed anything");
}

#[test]
fn edges_keep_their_sockets_while_the_log_is_away_for_a_while() {
    let failures = sweep(seeds(0..12), threads(), Plan::outages, |_| {});
    let first: String = failures.iter().take(3).map(told_of).collect();
    assert!(failures.is_empty(), "{first}");
}

#[test]
fn a_client_that_hardly_listens_is_closed_and_nobody_else_notices() {
    let failures = sweep(seeds(0..6), threads(), Plan::slow, |_| {});
    let first: String = failures.iter().take(3).map(told_of).collect();
    assert!(failures.is_empty(), "{first}");
    let is_closed = |seed| {
        let story = run(Plan::slow(seed)).history.tail(usize::MAX);
        story.contains("Code(4402")
    };
    assert!((0..6).any(is_closed), "nobody was ever slow");
}

/// R36: what is deleted is published, and whoever lost its disk goes on from there.
#[test]
fn what_is_published_takes_the_place_of_what_was_deleted() {
    let failures = sweep(seeds(0..24), threads(), Plan::published, |_| {});
    let first: String = failures.iter().take(3).map(told_of).collect();
    let all: Vec<_> = failures.iter().map(|failure| failure.plan.seed).collect();
    assert!(failures.is_empty(), "seeds {all:?} failed:\n{first}");
    let story = run(Plan::published(0)).history.tail(usize::MAX);
    for kept in [" on\")", " restores "] {
        assert!(story.contains(kept), "nothing of `{kept}` in\n{story}");
    }
}

#[test]
fn a_command_waits_no_longer_than_a_takeover_takes() {
    let failures = sweep(seeds(0..40), threads(), Plan::takeovers, |_| {});
    let first: String = failures.iter().take(3).map(told_of).collect();
    let all: Vec<_> = failures.iter().map(|failure| failure.plan.seed).collect();
    assert!(failures.is_empty(), "seeds {all:?} failed:\n{first}");
}

#[test]
fn a_lost_tell_arrives_soon_while_others_flow() {
    let failures = sweep(seeds(0..20), threads(), Plan::telling, |_| {});
    let first: String = failures.iter().take(3).map(told_of).collect();
    assert!(failures.is_empty(), "{first}");
}

#[test]
fn a_truncated_log_stops_whoever_knows_better_and_loudly() {
    for seed in 0..8 {
        let truncated_ms = Some(6_000);
        let plan = Plan {
            truncated_ms,
            ..Plan::fair(seed)
        };
        let outcome = run(plan);
        let story = outcome.history.tail(usize::MAX);
        let alarms = story.lines().filter(|line| line.contains("Alarm("));
        let alarms: Vec<_> = alarms.collect();
        assert_eq!(
            alarms.len(),
            2,
            "owner and mirror stop: {alarms:#?}\n{}",
            replay(plan)
        );
        assert_eq!(
            outcome.owners.len(),
            PartitionName::all().count() - 1,
            "the other partitions go on: {:?}\n{}",
            outcome.owners,
            replay(plan)
        );
    }
}

#[test]
fn a_rule_switched_off_is_noticed() {
    let mut missed = Vec::new();
    for (switch, noticed) in notice(Switch::ALL, &seeds(0..600), threads()) {
        match noticed {
            Some(Failure { first, .. }) => println!("without {switch:?}: {first}"),
            None => missed.push(switch),
        }
    }
    assert!(
        missed.is_empty(),
        "nobody noticed that these were off: {missed:?}"
    );
}
