//! A failing run made smaller, for whoever has to read its story.

use super::deeds;
use super::plan::{Feature, Plan, Spared, Weather};
use super::{Violation, check, run};

/// The smallest run that was found, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The plan, by which the run can be played again.
    pub plan: Plan,
    /// What the same checker says of it.
    pub violation: Violation,
    /// How many runs the search took.
    pub runs: usize,
}

/// Makes a failing run smaller while the same checker complains: less weather, fewer acts and clients, less time.
/// Stops when nothing smaller fails, or after `runs_max` runs with the smallest found until then; the same
/// arguments give the same answer. `None` when the checker has nothing to say of `plan` itself.
#[must_use]
pub fn shrink(plan: Plan, checker: &str, runs_max: usize) -> Option<Shrunk> {
    let mut best = Shrunk {
        plan,
        violation: fails(plan, checker)?,
        runs: 1,
    };
    while let Some((smaller, violation)) = step(&mut best, checker, runs_max) {
        best.plan = smaller;
        best.violation = violation;
    }
    Some(best)
}

/// The first smaller run that fails too.
fn step(best: &mut Shrunk, checker: &str, runs_max: usize) -> Option<(Plan, Violation)> {
    for smaller in candidates(&best.plan) {
        if best.runs >= runs_max {
            return None;
        }
        best.runs += 1;
        if let Some(violation) = fails(smaller, checker) {
            return Some((smaller, violation));
        }
    }
    None
}

fn fails(plan: Plan, checker: &str) -> Option<Violation> {
    let mut violations = check(&run(plan)).into_iter();
    violations.find(|violation| violation.checker == checker)
}

/// Smaller runs, the boldest first.
fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut smaller = vec![
        Plan {
            weather: Weather::NONE,
            ..*plan
        },
        Plan {
            spared: Spared::default(),
            ..plan.but([Feature::Acts])
        },
    ];
    let simpler = [
        Feature::Dense,
        Feature::Builds,
        Feature::Rooms,
        Feature::Ends,
        Feature::Spoils,
        Feature::Pieces,
    ];
    smaller.extend(simpler.map(|feature| plan.but([feature])));
    smaller.extend(shorter(plan));
    smaller.extend(spared(plan));
    smaller.extend((0..Weather::TOPICS.len()).map(|topic| Plan {
        weather: plan.weather.but(topic),
        ..*plan
    }));
    let fewer = [plan.clients / 2, plan.clients.saturating_sub(1)];
    smaller.extend(fewer.map(|clients| Plan { clients, ..*plan }));
    smaller.push(Plan {
        nodes: plan.nodes.saturating_sub(1),
        ..*plan
    });
    smaller.retain(|smaller| smaller != plan && smaller.clients > 0 && smaller.nodes > 0);
    smaller
}

/// Less time for faults, and less to recover.
fn shorter(plan: &Plan) -> impl Iterator<Item = Plan> {
    const BUSY_MIN_MS: u64 = 500;
    const CALM_MIN_MS: u64 = 8_000;
    let busy = [plan.busy_ms / 2, plan.busy_ms * 4 / 5];
    let busy = busy.map(|busy_ms| Plan {
        busy_ms: busy_ms.max(BUSY_MIN_MS).min(plan.busy_ms),
        ..*plan
    });
    let calm = Plan {
        calm_ms: plan.calm_ms.min(CALM_MIN_MS),
        ..*plan
    };
    busy.into_iter().chain([calm])
}

/// Fewer acts: without the one half, without the other, without a quarter, without each.
fn spared(plan: &Plan) -> Vec<Plan> {
    let done = deeds::indexes(plan);
    let mut sizes = vec![done.len() / 2, done.len() / 4, 1];
    sizes.retain(|size| *size > 0);
    sizes.dedup();
    let without = |some: &[usize]| Plan {
        spared: some.iter().fold(plan.spared, |all, at| all.with(*at)),
        ..*plan
    };
    let chunks = sizes.iter().flat_map(|size| done.chunks(*size));
    chunks.map(without).collect()
}
