//! Where partitions only go from node to node, no command waits for longer than a takeover takes, also while it happens.

use std::collections::BTreeMap;

use super::{Case, Findings};
use crate::simulator::history::What;
use crate::simulator::plan::EPOCH_MS;

/// How long a command may wait where the `cluster` log takes records up to 600 ms late, in milliseconds: silence is noticed
/// after 500 ms and that, the former owner may live for a lease of 250 ms, a client says what was lost with it again
/// after a second, and a node that wakes up too late may be in the way once more.
const WAIT_MAX_MS: u64 = 4_000;

pub(super) fn check(case: &Case<'_>) -> Findings {
    if !case.outcome.plan.takeovers {
        return Findings::new();
    }
    let mut called = BTreeMap::new();
    let mut found = Findings::new();
    for entry in &case.outcome.history.entries {
        match &entry.what {
            What::Called(_, id) => {
                called.insert(*id, entry.at);
            }
            What::Answered(life, id, _) => {
                let Some(at) = called.remove(id) else {
                    continue;
                };
                let waited = entry.at.since_ms(at);
                if waited > WAIT_MAX_MS {
                    let since = at.0.saturating_sub(EPOCH_MS);
                    let what = format!("command {id} of {since} ms waited for {waited} ms");
                    found.push((life.address.to_string(), what));
                }
            }
            _ => {}
        }
    }
    found
}
