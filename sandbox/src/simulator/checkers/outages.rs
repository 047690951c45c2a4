//! While the log is away for less than an edge's patience, it keeps its sockets; then everybody is answered soon.

use std::collections::BTreeMap;

use xp_client::{Item, Lost};
use xp_protocol::CloseCode;

use super::{Case, Findings};
use crate::simulator::history::What;
use crate::simulator::plan::OUTAGE_MS;

/// How long a command may take that waits for two outages, one right behind the other, in milliseconds.
const ANSWERED_MS: u64 = 2 * OUTAGE_MS + 3_000;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let mut found = Findings::new();
    if !case.outcome.plan.outages {
        return found;
    }
    let lane_lost = Lost::Code(CloseCode::LaneLost.number());
    let mut called = BTreeMap::new();
    for entry in &case.outcome.history.entries {
        match &entry.what {
            What::Shown(life, Item::Lost { why, .. }) if *why == lane_lost => {
                let what = format!("it lost its socket: {why:?}");
                found.push((life.address.to_string(), what));
            }
            What::Called(_, id) => drop(called.insert(*id, entry.at)),
            What::Answered(life, id, _) => {
                let called = called.remove(id).unwrap_or(entry.at);
                let took_ms = entry.at.since_ms(called);
                if took_ms > ANSWERED_MS {
                    let what = format!("the answer to {id} took {took_ms} ms");
                    found.push((life.address.to_string(), what));
                }
            }
            _ => {}
        }
    }
    found
}
