//! While the log is away for less than an edge's patience, it keeps its sockets; then everybody is answered soon.

use xp_client::Item;
use xp_protocol::CloseCode;

use super::answered::{Answered, answered};
use super::{Case, Findings};
use crate::history::What;
use crate::plan::{Feature, OUTAGE_MS};

/// How long a command may take that waits for two outages, one right behind the other, in milliseconds.
const ANSWERED_MS: u64 = 2 * OUTAGE_MS + 3_000;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let mut found = Findings::new();
    if !case.outcome.plan.has(Feature::Outages) {
        return found;
    }
    let history = &case.outcome.history;
    let lane_lost = Some(CloseCode::LaneLost.number());
    for entry in &history.entries {
        if let What::Shown(life, Item::Lost { why, .. }) = &entry.what
            && why.code() == lane_lost
        {
            let what = format!("it lost its socket: {why:?}");
            found.push((life.address.to_string(), what));
        }
    }
    for Answered {
        life,
        id,
        waited_ms,
        ..
    } in answered(history)
    {
        if waited_ms > ANSWERED_MS {
            let what = format!("the answer to {id} took {waited_ms} ms");
            found.push((life.address.to_string(), what));
        }
    }
    found
}
