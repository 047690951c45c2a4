//! A client that hardly listens costs an edge no more than a bound, and the others nothing.

use std::collections::BTreeMap;

use super::{Case, Findings};
use crate::simulator::history::What;
use crate::simulator::plan::WAITING_MAX;

/// How long a command of one who listens may take, in milliseconds.
const ANSWERED_MS: u64 = 4_000;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let outcome = case.outcome;
    let mut found = Findings::new();
    if outcome.waited_max > WAITING_MAX {
        let what = format!("{} frames waited for a client", outcome.waited_max);
        found.push(("an edge".to_owned(), what));
    }
    if !outcome.plan.slow {
        return found;
    }
    let mut called = BTreeMap::new();
    for entry in &outcome.history.entries {
        match &entry.what {
            // The first client is the one that hardly listens.
            What::Called(_, id) if *id >= 2_000_000 => drop(called.insert(*id, entry.at)),
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
