//! The entities of owners and mirrors, and of whoever starts from their last snapshots, are what the log folds to.

use std::collections::BTreeSet;

use xp_protocol::events::Change;
use xp_protocol::{Address, Revision};

use super::book::Page;
use super::{Case, Findings};
use crate::ledger;
use crate::partition_name::PartitionName;
use crate::world::{Sight, States};

pub(super) fn check(case: &Case<'_>) -> Findings {
    let (folded, mut found) = fold(case);
    for sight in &case.outcome.sights {
        compare(sight, &folded, &mut found);
    }
    found
}

fn fold(case: &Case<'_>) -> (States, Findings) {
    let domain = ledger::domain().registry().clone();
    let (mut states, mut found) = (States::new(), Findings::new());
    for pages in case.book.forgotten.values().flatten() {
        if let Some(last) = pages.last().filter(|_| !is_forgotten(pages)) {
            let what = "it began anew behind this, and something of it was still waited for";
            found.push((last.location(), what.to_owned()));
        }
    }
    for (address, pages) in &case.book.pages {
        let host = domain.get(address.category());
        let host = host.expect("the domain hosts all");
        let mut instance = host.fresh();
        for page in pages.iter().filter(|page| !page.events.is_empty()) {
            if let Err(fault) = instance.apply(&page.value) {
                found.push((page.location(), fault.to_string()));
            }
            if page.commit.ends() {
                instance = host.fresh();
            }
        }
        if is_forgotten(pages) {
            continue;
        }
        let revision = pages
            .last()
            .map_or(Revision(0), |page| page.commit.revision);
        // Nobody can say how a book is that is spoilt.
        if let Ok(state) = instance.encode() {
            states.insert(address.clone(), (revision, state));
        }
    }
    (states, found)
}

/// Whether nothing of an entity is kept: it has had no event since it began or ended, and nobody and nothing waits for it.
pub(super) fn is_forgotten(pages: &[Page]) -> bool {
    let (mut sessions, mut timers, mut asks) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut tickets, mut parked) = (BTreeSet::new(), 0);
    for change in pages.iter().flat_map(|page| &page.commit.changes) {
        match change {
            Change::SessionBegun(of) => drop(sessions.insert(of.connection)),
            Change::SessionForgotten(of) => drop(sessions.remove(of)),
            Change::TimerSet { name, .. } => drop(timers.insert(name)),
            Change::TimerCleared(name) => drop(timers.remove(name)),
            Change::Asked { conversation, .. } => drop(asks.insert(conversation)),
            Change::AskClosed(conversation) => drop(asks.remove(conversation)),
            Change::TicketOpened { ticket, .. } => drop(tickets.insert(ticket)),
            Change::TicketClosed(ticket) => drop(tickets.remove(ticket)),
            Change::Parked(_) => parked += 1,
            Change::Unparked => parked -= 1,
            Change::EntityEnded { .. } => {
                timers.clear();
                asks.clear();
                tickets.clear();
            }
            _ => {}
        }
    }
    let waiting = sessions.len() + timers.len() + asks.len() + tickets.len() + parked;
    let mut since = pages.iter().rev().take_while(|page| !page.commit.ends());
    waiting == 0 && since.all(|page| page.events.is_empty())
}

fn compare(sight: &Sight, folded: &States, found: &mut Findings) {
    let Sight { whose, states, .. } = sight;
    let known = |address: &Address| sight.partitions.contains(&PartitionName::of(address));
    for (address, (revision, state)) in folded.iter().filter(|(address, _)| known(address)) {
        let what = match states.get(address) {
            None => format!("{whose} lacks it at revision {revision}"),
            Some((at, _)) if at != revision => {
                format!("{whose} has revision {at}, the log {revision}")
            }
            Some((_, other)) if other != state => {
                format!("{whose} differs from the log at revision {revision}")
            }
            Some(_) => continue,
        };
        found.push((address.to_string(), what));
    }
    for (address, (revision, _)) in states {
        if known(address) && !folded.contains_key(address) {
            let what = format!("{whose} has it at revision {revision}, and the log nothing of it");
            found.push((address.to_string(), what));
        }
    }
}
