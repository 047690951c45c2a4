//! A command takes effect at most once, in its client's order, and its answer is what the log says.

use std::collections::BTreeMap;

use xp_client::item::Answered;
use xp_client::{Answer, Payload};
use xp_protocol::events::{Answer as Stored, Awaiter, Change};
use xp_protocol::frame::RequestId;
use xp_protocol::{Address, ConnectionId, FaultCode, MessageNumber, Revision, TicketId};

use super::book::{Book, Page};
use super::lives::Biography;
use super::{Case, Findings};
use crate::ledger::is_room;
use crate::ledger::{Event, Rejection, Reply};
use crate::plan::Feature;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let effects = case.book.index(effect);
    let stored = stored(&case.book);
    let mut found = Findings::new();
    for (id, pages) in &effects {
        effects_of(case, *id, pages, &mut found);
    }
    for biography in case.lives.all.values() {
        order(biography, &effects, &mut found);
        let commands = biography.answers();
        for (id, answered) in commands.filter(|(id, _)| biography.called.binary_search(id).is_ok())
        {
            let pages = effects.get(&id).map_or(&[][..], Vec::as_slice);
            if let Err(what) = answer(case, biography, id, answered, pages, &stored) {
                found.push((biography.location(), format!("command {id}: {what}")));
            }
        }
        numbers(biography, &mut found);
    }
    found
}

/// The id of the command that an event is the effect of.
fn effect(event: &Event) -> Option<u64> {
    match event {
        Event::Added { id }
        | Event::Whispered { id }
        | Event::Boasted { id }
        | Event::Refused { id }
        | Event::Spoilt { id }
        | Event::Ended { id }
        | Event::Asking { id }
        | Event::Told { id }
        | Event::Reminding { id } => Some(*id),
        _ => None,
    }
}

fn effects_of(case: &Case<'_>, id: u64, pages: &[&Page], found: &mut Findings) {
    let Some(first) = pages.first() else { return };
    match case.lives.said.get(&id) {
        None => found.push((first.location(), format!("nobody sent command {id}"))),
        Some(life) if life.address != first.address => {
            found.push((first.location(), format!("command {id} was not sent here")));
        }
        Some(_) => {}
    }
    if let Some(second) = pages.get(1) {
        found.push((
            second.location(),
            format!("command {id} takes effect again"),
        ));
    }
}

/// One process's commands stand in the log in the order in which it sent them.
fn order(biography: &Biography, effects: &BTreeMap<u64, Vec<&Page>>, found: &mut Findings) {
    let mut last = Revision(0);
    for id in &biography.called {
        let Some(page) = effects.get(id).and_then(|pages| pages.first()) else {
            continue;
        };
        if page.commit.revision <= last {
            let what = format!("command {id} stands before an earlier one");
            found.push((page.location(), what));
        }
        last = last.max(page.commit.revision);
    }
}

/// The numbers under which a process's commands are answered rise with the commands.
fn numbers(biography: &Biography, found: &mut Findings) {
    let numbered = biography.answers().filter_map(|(id, answered)| {
        let RequestId::Number(n) = answered.id else {
            return None;
        };
        Some((id, n))
    });
    let numbered: BTreeMap<u64, MessageNumber> = numbered.collect();
    let rises = numbered.values().is_sorted_by(|a, b| a < b);
    if !rises {
        found.push((biography.location(), "its numbers do not rise".to_owned()));
    }
}

/// The stored answers, by session, number and commit; more than one where an entity was forgotten between.
type StoredAnswers = BTreeMap<(ConnectionId, MessageNumber, Revision), Vec<Stored>>;

fn stored(book: &Book) -> StoredAnswers {
    let mut stored = StoredAnswers::new();
    let mut open = BTreeMap::new();
    for page in book.all() {
        for change in &page.commit.changes {
            let answer = Stored::Fault(FaultCode::Unanswered);
            for (connection, n) in unanswered(&mut open, &page.address, change) {
                let key = (connection, n, page.commit.revision);
                stored.entry(key).or_default().push(answer.clone());
            }
            if let Some((connection, n, answer)) = page.commit.answered(change) {
                let key = (connection, n, page.commit.revision);
                stored.entry(key).or_default().push(answer);
            }
        }
    }
    stored
}

/// Commands whose answers were put off, by entity and ticket.
type Tickets<'a> = BTreeMap<(&'a Address, TicketId), (ConnectionId, MessageNumber)>;

/// Who gets no answer any more because the entity ends with this change (R49).
fn unanswered<'a>(
    open: &mut Tickets<'a>,
    address: &'a Address,
    change: &Change,
) -> Vec<(ConnectionId, MessageNumber)> {
    match change {
        Change::TicketOpened {
            ticket,
            awaiter: Awaiter::Session { connection, n },
            ..
        } => drop(open.insert((address, *ticket), (*connection, *n))),
        Change::TicketClosed(ticket) => drop(open.remove(&(address, *ticket))),
        Change::EntityEnded { .. } => {
            let of_entity = open.extract_if(.., |(of, _), _| *of == address);
            return of_entity.map(|(_, waiting)| waiting).collect();
        }
        _ => {}
    }
    Vec::new()
}

/// What a client heard is what the log says it was told, and fits the command.
fn answer(
    case: &Case<'_>,
    biography: &Biography,
    id: u64,
    answered: &Answered,
    effects: &[&Page],
    stored: &StoredAnswers,
) -> Result<(), String> {
    let RequestId::Number(n) = answered.id else {
        return Err("it was answered under a tag".to_owned());
    };
    let revision = answered.answer.revision();
    match stored.get(&(biography.life.connection, n, revision)) {
        None => return Err(format!("the log has no answer to number {n} at {revision}")),
        Some(kept) if kept.iter().any(|kept| same(&answered.answer, kept)) => {}
        Some(kept) => {
            let heard = &answered.answer;
            return Err(format!("it heard {heard:?}, the log has {kept:?}"));
        }
    }
    let address = &biography.life.address;
    let mut pages = case.book.ever(address);
    let killed = pages.any(|page| {
        let is_it = page.commit.revision == revision;
        is_it && case.book.has_killed(page.lane, &page.commit.cause)
    });
    let excuses = Excuses {
        killed,
        spoils: case.outcome.plan.has(Feature::Spoils),
    };
    if is_room(address) {
        return unwritten(id, excuses, &answered.answer, effects);
    }
    fits(id, excuses, &answered.answer, effects)
}

fn same(heard: &Answer, kept: &Stored) -> bool {
    match (heard, kept) {
        (Answer::Reply { payload, .. }, Stored::Reply(bytes))
        | (Answer::Reject { payload, .. }, Stored::Reject(bytes)) => payload.bytes == *bytes,
        (Answer::Fault { code, .. }, Stored::Fault(kept)) => code == kept,
        _ => false,
    }
}

/// What may have kept a command from its effect.
#[derive(Clone, Copy)]
struct Excuses {
    /// Two processes may have died of it.
    killed: bool,
    /// Its entity may have had a state that cannot be encoded, and messages that leave it so are faults.
    spoils: bool,
}

fn fits(id: u64, excuses: Excuses, heard: &Answer, effects: &[&Page]) -> Result<(), String> {
    match heard {
        Answer::Reply { payload, .. } => replied(id, payload, effects),
        Answer::Reject { payload, .. } => {
            let (Rejection::Refused { id: of } | Rejection::Full { id: of }) =
                payload.read().map_err(|error| error.to_string())?;
            (of == id)
                .then_some(())
                .ok_or_else(|| format!("it heard the no to command {of}"))
        }
        Answer::Fault { code, .. } => {
            let right = match (code, effects) {
                (FaultCode::Poisonous, []) => excuses.killed,
                (FaultCode::Misuse, []) => excuses.spoils,
                (FaultCode::Unreadable, []) => true,
                (FaultCode::Unanswered, effects) => !effects.is_empty(),
                _ => false,
            };
            right
                .then_some(())
                .ok_or_else(|| format!("it heard fault {}", code.name()))
        }
    }
}

/// A room's answer: nothing is written down.
fn unwritten(id: u64, excuses: Excuses, heard: &Answer, effects: &[&Page]) -> Result<(), String> {
    let Answer::Reply { payload, .. } = heard else {
        return fits(id, excuses, heard, effects);
    };
    let reply: Reply = payload.read().map_err(|error| error.to_string())?;
    let said = Reply {
        id,
        ..Reply::default()
    };
    (reply == said && effects.is_empty())
        .then_some(())
        .ok_or_else(|| format!("a room replied {reply:?}"))
}

fn replied(id: u64, payload: &Payload, effects: &[&Page]) -> Result<(), String> {
    let reply: Reply = payload.read().map_err(|error| error.to_string())?;
    let [page] = effects else {
        return Err(format!(
            "acknowledged, and it took effect {} times",
            effects.len()
        ));
    };
    if reply.id != id {
        return Err(format!("it heard the reply to command {}", reply.id));
    }
    let asked = page.events.contains(&Event::Asking { id });
    let sum = (reply.entries, reply.digest);
    if !asked && sum != (page.before.entries, page.before.digest) {
        return Err(format!(
            "its reply {reply:?} saw another state than {:?}",
            page.before
        ));
    }
    Ok(())
}
