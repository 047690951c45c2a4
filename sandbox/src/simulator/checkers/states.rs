//! The entities of owners and mirrors, and of whoever starts from their last snapshots, are what the log folds to.

use xp_domain_sdk::Domain;
use xp_protocol::{Address, Revision};

use super::{Case, Findings};
use crate::simulator::ledger::{Journal, Ledger};
use crate::simulator::place::Place;
use crate::simulator::world::{Sight, States};

pub(super) fn check(case: &Case<'_>) -> Findings {
    let (folded, mut found) = fold(case);
    for sight in &case.outcome.sights {
        compare(sight, &folded, &mut found);
    }
    found
}

fn fold(case: &Case<'_>) -> (States, Findings) {
    let domain = Domain::new()
        .host::<Ledger>()
        .host::<Journal>()
        .registry()
        .clone();
    let (mut states, mut found) = (States::new(), Findings::new());
    for (address, pages) in &case.book.pages {
        let host = domain.get(address.category());
        let host = host.expect("the domain hosts both");
        let mut instance = host.fresh();
        for page in pages.iter().filter(|page| !page.events.is_empty()) {
            if let Err(fault) = instance.apply(&page.value) {
                found.push((page.place(), fault.to_string()));
            }
        }
        let revision = pages
            .last()
            .map_or(Revision(0), |page| page.commit.revision);
        let state = instance.encode().expect("ledgers can be encoded");
        states.insert(address.clone(), (revision, state));
    }
    (states, found)
}

fn compare(sight: &Sight, folded: &States, found: &mut Findings) {
    let Sight { whose, states, .. } = sight;
    let known = |address: &Address| sight.partitions.contains(&Place::of(address));
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
}
