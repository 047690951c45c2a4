//! A checker of tells: each arrives exactly once and in order (R34), and every `ask` is answered once.

use std::collections::BTreeMap;

use xp_protocol::events::Change;
use xp_protocol::events::Tell;

use super::book::Page;
use super::{Case, Findings};
use crate::ledger::Event;
use crate::partition_name::PartitionName;
use crate::plan::{EPOCH_MS, Feature, Weather};

/// What was said so shortly before the end need not have arrived, in milliseconds.
const UNDER_WAY_MS: u64 = 5_000;

/// How long one may take where nothing is wrong but that some appends are lost, in milliseconds.
const ARRIVES_MS: u64 = 5_000;

/// The partition that tells, and the one that is told.
type Route = (PartitionName, PartitionName);

pub(super) fn check(case: &Case<'_>) -> Findings {
    let mut found = Findings::new();
    let told = told(case, &mut found);
    taken(case, &told, &mut found);
    words(case, &mut found);
    found
}

fn pages<'a>(case: &'a Case<'_>) -> Vec<&'a Page> {
    let mut pages: Vec<_> = case.book.all().collect();
    pages.sort_by_key(|page| (page.lane, page.offset));
    pages
}

/// All tells in the order of their numbers, which must be dense.
fn told<'a>(
    case: &'a Case<'_>,
    found: &mut Findings,
) -> BTreeMap<Route, Vec<(&'a Tell, &'a Page)>> {
    let mut routes: BTreeMap<Route, Vec<_>> = BTreeMap::new();
    for page in pages(case) {
        for tell in &page.commit.tells {
            let route = (page.lane, PartitionName::known(&tell.target));
            let tells = routes.entry(route).or_default();
            tells.push((tell, page));
            if tell.number != tells.len() as u64 {
                let what = format!("tell {} is the {}th on {route:?}", tell.number, tells.len());
                found.push((page.location(), what));
            }
        }
    }
    routes
}

fn taken(case: &Case<'_>, told: &BTreeMap<Route, Vec<(&Tell, &Page)>>, found: &mut Findings) {
    let mut last: BTreeMap<Route, u64> = BTreeMap::new();
    for page in pages(case) {
        for change in &page.commit.changes {
            let Change::TellTaken { source, number } = change else {
                continue;
            };
            let route = (PartitionName::known(source), page.lane);
            let before = last.insert(route, *number).unwrap_or_default();
            if *number != before + 1 {
                let what = format!("tell {number} on {route:?} is taken after {before}");
                found.push((page.location(), what));
            }
            let told = told.get(&route).and_then(|t| t.get(*number as usize - 1));
            if let Some((_, from)) = told
                && is_judged_by_time(case)
                && page.time.since_ms(from.time) > ARRIVES_MS
            {
                let ms = page.time.since_ms(from.time);
                let what = format!("tell {number} on {route:?} took {ms} ms");
                found.push((page.location(), what));
            }
            if told.is_none_or(|(tell, _)| tell.to != page.address) {
                let what = format!("tell {number} on {route:?} was not for it");
                found.push((page.location(), what));
            }
        }
    }
    for (route, tells) in told {
        let last = last.get(route).copied().unwrap_or_default() as usize;
        for (tell, page) in tells
            .iter()
            .skip(last)
            .filter(|(_, page)| is_old(case, page))
        {
            let what = format!("tell {} to {} never arrived", tell.number, tell.to);
            found.push((page.location(), what));
        }
    }
}

fn is_judged_by_time(case: &Case<'_>) -> bool {
    let plan = case.outcome.plan;
    plan.has(Feature::Telling) && !plan.has(Feature::Acts) && plan.weather == Weather::INBOUND
}

fn is_old(case: &Case<'_>, page: &Page) -> bool {
    let plan = case.outcome.plan;
    page.time.0 < EPOCH_MS + plan.busy_ms + plan.calm_ms - UNDER_WAY_MS
}

/// The same once more in the domain's own words.
fn words(case: &Case<'_>, found: &mut Findings) {
    let notes = (index(case, told_id), index(case, noted_id));
    pairs(case, "note", &notes.0, &notes.1, found, |_| 1);
    let (asking, asked) = (index(case, asking_id), index(case, asked_id));
    pairs(case, "answer", &asking, &asked, found, |_| 1);
    let consents = index(case, consented_id);
    pairs(case, "consent", &asking, &consents, found, |id| {
        usize::from(id % 5 != 0)
    });
}

/// Whether who asked has ended before it could hear the answer.
fn ended_behind(case: &Case<'_>, name: &str, page: &Page) -> bool {
    let mut all = case.book.ever(&page.address);
    let ends = |other: &Page| other.offset > page.offset && other.commit.ends();
    name == "answer" && all.any(ends)
}

type Index<'a> = BTreeMap<u64, Vec<&'a Page>>;

fn index<'a>(case: &'a Case<'_>, choice: fn(&Event) -> Option<u64>) -> Index<'a> {
    case.book.index(choice)
}

fn pairs(
    case: &Case<'_>,
    name: &str,
    causes: &Index<'_>,
    results: &Index<'_>,
    found: &mut Findings,
    wanted: fn(u64) -> usize,
) {
    for (id, pages) in causes {
        let (count, wanted) = (results.get(id).map_or(0, Vec::len), wanted(*id));
        let missing =
            count < wanted && is_old(case, pages[0]) && !ended_behind(case, name, pages[0]);
        if count > wanted || missing {
            let what = format!("its {name} {id} happened {count} times instead of {wanted}");
            found.push((pages[0].location(), what));
        }
    }
    for (id, pages) in results.iter().filter(|(id, _)| !causes.contains_key(id)) {
        let what = format!("{name} {id} came from nowhere");
        found.push((pages[0].location(), what));
    }
}

fn told_id(event: &Event) -> Option<u64> {
    match event {
        Event::Told { id } => Some(*id),
        _ => None,
    }
}

fn noted_id(event: &Event) -> Option<u64> {
    match event {
        Event::Noted { id } => Some(*id),
        _ => None,
    }
}

fn asking_id(event: &Event) -> Option<u64> {
    match event {
        Event::Asking { id } => Some(*id),
        _ => None,
    }
}

fn asked_id(event: &Event) -> Option<u64> {
    match event {
        Event::Asked { id, .. } => Some(*id),
        _ => None,
    }
}

fn consented_id(event: &Event) -> Option<u64> {
    match event {
        Event::Consented { id } => Some(*id),
        _ => None,
    }
}
