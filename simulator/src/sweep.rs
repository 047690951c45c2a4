//! Many seeds, on many threads: each run has a thread to itself, so a seed gives the same history here as alone.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::{Plan, Switch, Violation, check, run};

/// A run that failed: its plan, the first thing that is wrong with it, and how many more there are.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The plan, by which the run can be played again.
    pub plan: Plan,
    /// What the first checker says.
    pub first: Violation,
    /// How many more findings there are.
    pub more: usize,
}

/// Lives through a plan for every seed on `threads` threads. Returns the failures in the order of their seeds;
/// `seen` hears how many seeds are done.
pub fn sweep(
    seeds: Range<u64>,
    threads: usize,
    plan: impl Fn(u64) -> Plan + Sync,
    seen: impl Fn(u64) + Sync,
) -> Vec<Failure> {
    let (next, done) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let failures = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            if let Some(failure) = judge(plan(seed)) {
                let mut failures = failures.lock().expect("no thread panics while it holds it");
                failures.push(failure);
            }
            seen(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    std::thread::scope(|scope| {
        (0..threads.max(1)).for_each(|_| drop(scope.spawn(work)));
    });
    let mut failures = failures.into_inner().expect("every thread has ended well");
    failures.sort_by_key(|failure| failure.plan.seed);
    failures
}

/// For each rule, the first seed in which the checkers notice that it is switched off, and what they say; `None` when
/// no seed does. The search for a rule begins at the seed where it was found when the rule was added, and only then
/// goes through `seeds`.
pub fn notice(
    switches: &[Switch],
    seeds: &Range<u64>,
    threads: usize,
) -> Vec<(Switch, Option<Failure>)> {
    let next = AtomicUsize::new(0);
    let noticed = Mutex::new(Vec::new());
    let work = || {
        while let Some(switch) = switches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let plans = [switch.seed()].into_iter().chain(seeds.clone());
            let mut plans = plans.map(|seed| Plan::revealing(seed, *switch));
            let found = plans.find_map(judge);
            let mut noticed = noticed.lock().expect("no thread panics while it holds it");
            noticed.push((*switch, found));
        }
    };
    std::thread::scope(|scope| {
        (0..threads.max(1)).for_each(|_| drop(scope.spawn(work)));
    });
    noticed.into_inner().expect("every thread has ended well")
}

/// One run; `None` when nothing is wrong with it.
#[must_use]
pub fn judge(plan: Plan) -> Option<Failure> {
    let mut violations = check(&run(plan)).into_iter();
    let first = violations.next()?;
    Some(Failure {
        plan,
        first,
        more: violations.len(),
    })
}
