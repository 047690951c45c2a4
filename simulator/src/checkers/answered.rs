//! Commands that were answered, and how long their clients waited.

use std::collections::BTreeMap;

use xp_protocol::TimeMs;

use crate::history::{History, Life, What};

/// A command with its answer.
pub(super) struct Answered<'a> {
    pub(super) life: &'a Life,
    pub(super) id: u64,
    /// When it was sent.
    pub(super) called: TimeMs,
    pub(super) waited_ms: u64,
}

/// All of them, in the order of their answers.
pub(super) fn answered(history: &History) -> impl Iterator<Item = Answered<'_>> {
    let mut called = BTreeMap::new();
    history.entries.iter().filter_map(move |entry| {
        match &entry.what {
            What::Called(_, id) => drop(called.insert(*id, entry.at)),
            What::Answered(life, id, _) => {
                let called = called.remove(id)?;
                return Some(Answered {
                    life,
                    id: *id,
                    called,
                    waited_ms: entry.at.since_ms(called),
                });
            }
            _ => {}
        }
        None
    })
}
