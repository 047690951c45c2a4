//! While one client says more than its partition takes, the others are answered in time, and nothing is lost (R42).

use super::answered::{Answered, answered};
use super::{Case, Findings};
use crate::history::What;
use crate::plan::Feature;

/// How long a command may take, in milliseconds: what edges let wait is taken in less.
const ANSWERED_MS: u64 = 4_000;
/// The same where everybody is in a hurry: edges let near a thousand small messages wait, and a slow partition takes some
/// 160 of them in a second.
const ANSWERED_AMONG_MANY_MS: u64 = 10_000;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let mut found = Findings::new();
    let plan = case.outcome.plan;
    if !plan.holds_back() {
        return found;
    }
    let within_ms = match plan.has(Feature::Dense) {
        true => ANSWERED_AMONG_MANY_MS,
        false => ANSWERED_MS,
    };
    let history = &case.outcome.history;
    for entry in &history.entries {
        if let What::Missed(what) = &entry.what {
            found.push(("inbound".to_owned(), what.clone()));
        }
    }
    for Answered { id, waited_ms, .. } in answered(history) {
        if waited_ms > within_ms {
            found.push((
                format!("command {id}"),
                format!("its answer took {waited_ms} ms"),
            ));
        }
    }
    found
}
