//! A checker of waits: where partitions only go from node to node, no command waits for longer than a takeover takes,
//! also while it happens.

use super::answered::{Answered, answered};
use super::{Case, Findings};
use crate::plan::{EPOCH_MS, Feature};

/// How long a command may wait where the `cluster` log takes records up to 600 ms late, in milliseconds: silence is noticed
/// after 500 ms and that, the former owner may live for a lease of 250 ms, a client says what was lost with it again
/// after a second, and a node that wakes up too late may be in the way once more.
const WAIT_MAX_MS: u64 = 4_000;

pub(super) fn check(case: &Case<'_>) -> Findings {
    if !case.outcome.plan.has(Feature::Takeovers) {
        return Findings::new();
    }
    let mut found = Findings::new();
    for waited in answered(&case.outcome.history) {
        let Answered {
            life,
            id,
            called,
            waited_ms,
        } = waited;
        if waited_ms > WAIT_MAX_MS {
            let since = called.0.saturating_sub(EPOCH_MS);
            let what = format!("command {id} of {since} ms waited for {waited_ms} ms");
            found.push((life.address.to_string(), what));
        }
    }
    found
}
