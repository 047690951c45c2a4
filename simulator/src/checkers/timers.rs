//! A timer fires once, never before it was due, whoever owns the entity by then.

use std::collections::BTreeMap;

use xp_protocol::TimeMs;
use xp_protocol::events::{Cause, Change, TimerKey};

use super::book::Page;
use super::{Case, Findings};
use crate::ledger::Event;
use crate::plan::EPOCH_MS;

/// What was due so shortly before the end need not have fired, in milliseconds.
const UNDER_WAY_MS: u64 = 3_000;

/// How far processes' clocks are ahead of the log's at the most, and a little more, in milliseconds.
const SKEW_MS: u64 = 500;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let plan = case.outcome.plan;
    let until = TimeMs(EPOCH_MS + plan.busy_ms + plan.calm_ms - UNDER_WAY_MS);
    let mut found = Findings::new();
    for pages in case.book.lives() {
        let mut set: BTreeMap<&str, TimeMs> = BTreeMap::new();
        for page in pages {
            if let Err(what) = fired(page, &set) {
                found.push((page.location(), what));
            }
            moved(page, &mut set);
        }
        for (name, _) in set.iter().filter(|(_, due)| **due < until) {
            let what = format!("timer {name} never fired");
            found.extend(pages.last().map(|page| (page.location(), what)));
        }
    }
    reminders(case, &mut found);
    found
}

fn moved<'a>(page: &'a Page, set: &mut BTreeMap<&'a str, TimeMs>) {
    for change in &page.commit.changes {
        match change {
            Change::TimerSet { name, due, .. } => {
                set.insert(name, *due);
            }
            Change::TimerCleared(name) => {
                set.remove(&**name);
            }
            Change::EntityEnded { .. } => set.clear(),
            _ => {}
        }
    }
}

fn fired(page: &Page, set: &BTreeMap<&str, TimeMs>) -> Result<(), String> {
    let Cause::Timer(TimerKey::Domain(name)) = &page.commit.cause else {
        return Ok(());
    };
    match set.get(&**name) {
        None => Err(format!("timer {name} fires, and is not set")),
        Some(due) if page.commit.now < *due => Err(format!("timer {name} fires too early")),
        Some(due) if page.time.plus_ms(SKEW_MS) < *due => Err(format!(
            "timer {name} fires {} ms too early by the log's clock",
            due.since_ms(page.time)
        )),
        Some(_) => Ok(()),
    }
}

/// The same once more in the domain's own words.
fn reminders(case: &Case<'_>, found: &mut Findings) {
    let set = case.book.index(|event| match event {
        Event::Reminding { id } => Some(*id),
        _ => None,
    });
    let fired = case.book.index(|event| match event {
        Event::Reminded { id } => Some(*id),
        _ => None,
    });
    for (id, pages) in fired {
        if pages.len() > 1 || !set.contains_key(&id) {
            let what = format!("reminder {id} fires again, or was never set");
            found.push((pages[0].location(), what));
        }
    }
}
