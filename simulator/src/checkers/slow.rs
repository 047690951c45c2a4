//! A client that hardly listens costs an edge no more than a bound, and the others nothing.

use super::answered::{Answered, answered};
use super::{Case, Findings};
use crate::plan::{Feature, WAITING_MAX};

/// How long a command of one who listens may take, in milliseconds.
const ANSWERED_MS: u64 = 4_000;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let outcome = case.outcome;
    let mut found = Findings::new();
    if outcome.waited_max > WAITING_MAX {
        let what = format!("{} frames waited for a client", outcome.waited_max);
        found.push(("an edge".to_owned(), what));
    }
    if !outcome.plan.has(Feature::Slow) {
        return found;
    }
    for Answered {
        life,
        id,
        waited_ms,
        ..
    } in answered(&outcome.history)
    {
        // The first client is the one that hardly listens.
        if id >= 2_000_000 && waited_ms > ANSWERED_MS {
            let what = format!("the answer to {id} took {waited_ms} ms");
            found.push((life.address.to_string(), what));
        }
    }
    found
}
