//! Once nothing goes wrong any more, everybody is served: all is answered and nobody waits.

use std::collections::BTreeSet;

use xp_client::Item;
use xp_client::item::End;
use xp_protocol::events::{Change, Ending};
use xp_protocol::{CloseCode, MessageNumber};

use super::lives::Biography;
use super::{Case, Findings};
use crate::history::What;
use crate::partition_name::PartitionName;
use crate::plan::EPOCH_MS;

/// A socket that was lost so shortly before the end need not be back, in milliseconds.
const UNDER_WAY_MS: u64 = 5_000;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let mut found = Findings::new();
    owners(case, &mut found);
    for entry in &case.outcome.history.entries {
        if let What::Alarm(alarm) = &entry.what {
            found.push(("the platform says".to_owned(), alarm.clone()));
        }
    }
    for biography in case.lives.all.values() {
        let judged = match biography.over {
            true => ended(case, biography),
            false => served(case, biography),
        };
        if let Err(what) = judged {
            found.push((biography.location(), what));
        }
    }
    found
}

/// At the end one process owns each partition, and all who know as much of the cluster say the same.
fn owners(case: &Case<'_>, found: &mut Findings) {
    for partition in PartitionName::all() {
        let owners = case.outcome.owners.get(&partition);
        let owners = owners.map_or(&[][..], Vec::as_slice);
        if owners.len() != 1 {
            let what = format!("{owners:?} own it at the end");
            found.push((format!("partition {partition}"), what));
        }
    }
    for what in &case.outcome.disagreements {
        found.push(("cluster".to_owned(), what.clone()));
    }
}

/// A client that lives has its answers, and a socket.
fn served(case: &Case<'_>, biography: &Biography) -> Result<(), String> {
    let answered: BTreeSet<_> = biography.answers().map(|(id, _)| id).collect();
    let asked = biography.asked.iter().map(|(id, _)| id);
    let waiting: Vec<_> = biography
        .called
        .iter()
        .chain(asked)
        .filter(|id| !answered.contains(id))
        .collect();
    if !waiting.is_empty() {
        return Err(format!("still without an answer: {waiting:?}"));
    }
    let plan = case.outcome.plan;
    let until = EPOCH_MS + plan.busy_ms + plan.calm_ms - UNDER_WAY_MS;
    match biography.items().last() {
        None => Err("never welcomed".to_owned()),
        Some((at, Item::Lost { why, .. })) if at.0 < until => {
            Err(format!("still without a socket: {why:?}"))
        }
        Some(_) => Ok(()),
    }
}

/// A client that was sent away had asked for it, or stayed away for too long.
fn ended(case: &Case<'_>, biography: &Biography) -> Result<(), String> {
    let Some((_, Item::Closed(end))) = biography.items().last() else {
        return Ok(());
    };
    let connection = biography.life.connection;
    let terminated = |change: &Change| {
        matches!(change, Change::SessionDetached { connection: of, why: Ending::ByEntity, .. }
            if *of == connection)
            || matches!(change, Change::EntityEnded { .. })
    };
    let forgotten = |change: &Change| *change == Change::SessionForgotten(connection);
    let has = |wanted: &dyn Fn(&Change) -> bool| {
        let pages = case.book.ever(&biography.life.address);
        let mut changes = pages.flat_map(|page| &page.commit.changes);
        changes.any(wanted)
    };
    let right = match end {
        End::Left => true,
        End::Code(code, _) if *code == CloseCode::Terminated.number() => has(&terminated),
        End::Code(code, _) if *code == CloseCode::SessionExpired.number() => has(&forgotten),
        // Its dial landed once more when nothing of its session was remembered any more.
        End::Diverged { taken, .. } => *taken == MessageNumber(0) && has(&forgotten),
        _ => false,
    };
    right.then_some(()).ok_or_else(|| format!("ended by {end}"))
}
