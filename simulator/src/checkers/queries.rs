//! A query sees a state that was committed, and everything that anybody knew when it was asked.

use std::collections::BTreeMap;

use xp_client::{Answer, Item};
use xp_protocol::frame::RequestId;
use xp_protocol::{Address, FaultCode, Revision};

use super::lives::Biography;
use super::{Case, Findings};
use crate::history::What;
use crate::ledger::Reply;
use crate::ledger::is_room;
use crate::partition_name::PartitionName;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let known = known(case);
    let mut found = Findings::new();
    for biography in case.lives.all.values() {
        for (id, position) in &biography.asked {
            if let Err(what) = query(case, biography, *id, known[position]) {
                found.push((biography.location(), format!("query {id}: {what}")));
            }
        }
    }
    found
}

/// What was known of its entity when each query was asked, by its position in the history.
fn known(case: &Case<'_>) -> BTreeMap<usize, Revision> {
    let mut newest: BTreeMap<&Address, Revision> = BTreeMap::new();
    let mut known = BTreeMap::new();
    for (position, entry) in case.outcome.history.entries.iter().enumerate() {
        let (life, revision) = match &entry.what {
            What::Asked(life, _) => {
                let newest = newest.get(&life.address).copied();
                known.insert(position, newest.unwrap_or_default());
                continue;
            }
            What::Answered(life, _, answered) => (life, answered.answer.revision()),
            What::Shown(life, Item::Event { revision, .. })
            | What::Shown(life, Item::Welcome { revision, .. }) => (life, *revision),
            _ => continue,
        };
        let newest = newest.entry(&life.address).or_default();
        *newest = (*newest).max(revision);
    }
    known
}

fn query(case: &Case<'_>, biography: &Biography, id: u64, known: Revision) -> Result<(), String> {
    let Some((_, answered)) = biography.answers().find(|(of, _)| *of == id) else {
        return Ok(());
    };
    if !matches!(answered.id, RequestId::Tag(_)) {
        return Err("it was answered under a number".to_owned());
    }
    if let Answer::Fault { code, .. } = &answered.answer
        && *code == FaultCode::Poisonous
        && has_killed(case, biography)
    {
        return Ok(());
    }
    let Answer::Reply { revision, payload } = &answered.answer else {
        return Err(format!("it was not answered: {:?}", answered.answer));
    };
    // A room's revisions begin anew when it was forgotten.
    if *revision < known && !is_room(&biography.life.address) {
        return Err(format!("it saw revision {revision}, and {known} was known"));
    }
    let reply: Reply = payload.read().map_err(|error| error.to_string())?;
    let sum = case.book.sum(&biography.life.address, *revision);
    let Some(sum) = sum else {
        return Err(format!("it saw revision {revision}, which the log lacks"));
    };
    if (sum.entries, sum.digest) != (reply.entries, reply.digest) {
        return Err(format!(
            "it saw {reply:?} at {revision}, the log has {sum:?}"
        ));
    }
    Ok(())
}

/// Whether some message of its partition may have killed two processes: a query leaves no record that says which.
fn has_killed(case: &Case<'_>, biography: &Biography) -> bool {
    case.book
        .has_killed_in(PartitionName::of(&biography.life.address))
}
