//! The log itself: one owner writes, revisions are dense, causes rise, chains hang together.

use std::collections::{BTreeMap, BTreeSet};

use xp_protocol::events::{Cause, Change, Event as Written};
use xp_protocol::{LogIdentity, Offset, PartitionId, Revision};

use super::book::{Book, Page, Valid};
use super::states::is_forgotten;
use super::{Case, Findings};
use crate::partition_name::PartitionName;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let mut found: Findings = case
        .book
        .broken
        .iter()
        .map(|at| (location(*at), "cannot be read".to_owned()))
        .collect();
    for (lane, valid) in &case.book.valid {
        writers(case, *lane, valid, &mut found);
        causes(*lane, valid, &mut found);
    }
    for pages in case.book.lives() {
        revisions(&case.book, pages, &mut found);
        chains(pages, &mut found);
    }
    found
}

/// They are dense; where nothing is remembered of an entity, they begin anew, or go on above all others once something has ended (R49).
fn revisions(book: &Book, pages: &[Page], found: &mut Findings) {
    let mut last = Revision(0);
    for (at, page) in pages.iter().enumerate() {
        let revision = page.commit.revision;
        let begins = || is_forgotten(&pages[..at]) && revision == book.begins_at(page);
        let follows = at > 0 && revision == last.next();
        if !follows && !begins() {
            let from = book.begins_at(page);
            let what = format!("it follows revision {last}, and a new one begins at {from}");
            found.push((page.location(), what));
        }
        last = revision;
    }
}

/// R19: each outbound record names the one before it. A chain that no session can have seen may begin anew.
fn chains(pages: &[Page], found: &mut Findings) {
    let mut chains: BTreeMap<PartitionId, Revision> = BTreeMap::new();
    let (mut sessions, mut unseen) = (BTreeSet::new(), BTreeSet::new());
    for page in pages {
        for link in &page.commit.outputs.links {
            let prev = chains.insert(link.partition, page.commit.revision);
            let anew = unseen.remove(&link.partition) && link.prev == Revision(0);
            let prev = prev.unwrap_or_default();
            if prev != link.prev && !anew {
                let what = format!("its chain names {} before it, not {prev}", link.prev);
                found.push((page.location(), what));
            }
        }
        for change in &page.commit.changes {
            match change {
                Change::SessionBegun(socket) => {
                    sessions.insert(socket.connection);
                }
                Change::SessionForgotten(connection) => {
                    sessions.remove(connection);
                }
                _ => {}
            }
        }
        if sessions.is_empty() {
            unseen.extend(chains.keys().copied());
        }
    }
}

fn location((lane, Offset(offset)): (PartitionName, Offset)) -> String {
    format!("events of {lane} @ {offset}")
}

/// What counts was written by the process that claimed.
fn writers(case: &Case<'_>, lane: PartitionName, valid: &[Valid], found: &mut Findings) {
    for record in valid {
        let at = (lane, record.offset);
        if case.outcome.writers.get(&at) != Some(&record.owner) {
            found.push((
                location(at),
                "its writer does not own the partition".to_owned(),
            ));
        }
    }
}

/// R4: each message of an inbound log is decided at most once, in order.
fn causes(lane: PartitionName, valid: &[Valid], found: &mut Findings) {
    let mut heard: BTreeMap<LogIdentity, Offset> = BTreeMap::new();
    let mut inbound = None;
    for record in valid {
        match &record.event {
            Written::Claim(claim) => inbound = Some(claim.inbound),
            Written::Commit(commit) => {
                let (Cause::Inbound(offset), Some(log)) = (&commit.cause, inbound) else {
                    continue;
                };
                let before = heard.insert(log, *offset);
                if before.is_some_and(|before| before >= *offset) {
                    let what = format!("the message at {offset} is decided again");
                    found.push((location((lane, record.offset)), what));
                }
            }
            _ => {}
        }
    }
}
