//! A session's life: begun, attached by ever newer sockets, detached, ended once, forgotten (R26, R27, R30).

use std::collections::{BTreeMap, BTreeSet};

use xp_protocol::events::{Change, Ending};
use xp_protocol::{Address, ConnectionId, DialAttempt, MessageNumber, TimeMs};

use super::book::Page;
use super::{Case, Findings};
use crate::ledger::Event;
use crate::ledger::is_room;
use crate::plan::{EPOCH_MS, Feature};

/// A session that should have ended so shortly before the end may not have, in milliseconds.
const UNDER_WAY_MS: u64 = 3_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Attached,
    Detached(Ending, TimeMs),
    Ended,
}

#[derive(Clone, Debug)]
struct Session {
    phase: Phase,
    attempt: DialAttempt,
    n: MessageNumber,
    answered: BTreeSet<MessageNumber>,
}

type Sessions = BTreeMap<ConnectionId, Session>;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let mut found = Findings::new();
    for pages in case.book.lives() {
        let Some(Page { address, .. }) = pages.last() else {
            continue;
        };
        let mut sessions = Sessions::new();
        for page in pages {
            let mut hooks = BTreeSet::new();
            for change in &page.commit.changes {
                match step(&mut sessions, change) {
                    Ok(hook) => hooks.extend(hook),
                    Err(what) => found.push((page.location(), what)),
                }
            }
            handlers(case, page, &hooks, &mut found);
        }
        leftovers(case, address, &sessions, &mut found);
    }
    found
}

/// One change of a session, and the event by which the domain must have heard of it.
fn step(sessions: &mut Sessions, change: &Change) -> Result<Option<String>, String> {
    match change {
        Change::SessionBegun(socket) => {
            let connection = socket.connection;
            let former = sessions.remove(&connection);
            let live = former
                .as_ref()
                .is_some_and(|former| former.phase != Phase::Ended);
            let kept = former.map(|former| (former.n, former.answered));
            let (n, answered) = kept.unwrap_or_default();
            let session = Session {
                phase: Phase::Attached,
                attempt: socket.attempt,
                n,
                answered,
            };
            sessions.insert(connection, session);
            not(live, || format!("{connection} begins and is not over"))?;
            Ok(Some(hook(&Event::Came { connection })))
        }
        Change::SessionAttached(socket) => {
            let connection = socket.connection;
            let session = find(sessions, connection)?;
            let (phase, before) = (session.phase, session.attempt);
            session.phase = Phase::Attached;
            session.attempt = socket.attempt;
            let is_taken = phase == Phase::Attached;
            not(is_taken && socket.attempt <= before, || {
                let attempt = socket.attempt;
                format!("{connection}: socket {attempt} takes over from {before}")
            })?;
            match phase {
                Phase::Attached | Phase::Detached(Ending::Lost, _) => {
                    Ok(Some(hook(&Event::Back { connection })))
                }
                other => Err(format!("{connection} comes back, and was {other:?}")),
            }
        }
        Change::SessionDetached {
            connection,
            until,
            why,
        } => {
            let session = find(sessions, *connection)?;
            let was = session.phase;
            session.phase = Phase::Detached(*why, *until);
            not(was == Phase::Ended, || {
                format!("{connection} is detached after its end")
            })?;
            let heard = *why != Ending::ByEntity;
            not(heard && was != Phase::Attached, || {
                format!("{connection} is detached twice")
            })?;
            Ok(heard.then(|| {
                hook(&Event::Lost {
                    connection: *connection,
                })
            }))
        }
        Change::SessionEnded { connection, .. } => {
            let session = find(sessions, *connection)?;
            let was = session.phase;
            session.phase = Phase::Ended;
            match was {
                Phase::Detached(..) => Ok(Some(hook(&Event::Gone {
                    connection: *connection,
                }))),
                other => Err(format!("{connection} ends, and was {other:?}")),
            }
        }
        Change::EntityEnded { .. } => {
            for session in sessions.values_mut() {
                session.phase = Phase::Ended;
            }
            Ok(None)
        }
        Change::SessionForgotten(connection) => match sessions.remove(connection) {
            Some(session) if session.phase == Phase::Ended => Ok(None),
            other => Err(format!("{connection} is forgotten, and was {other:?}")),
        },
        Change::Taken { connection, n } => {
            let session = find(sessions, *connection)?;
            let before = std::mem::replace(&mut session.n, *n);
            not(session.phase != Phase::Attached, || {
                format!("{connection} is heard without a socket")
            })?;
            not(*n != before.next(), || {
                format!("{connection}: number {n} is taken after {before}")
            })?;
            Ok(None)
        }
        Change::Answered { connection, n, .. } | Change::AnsweredAsShown { connection, n, .. } => {
            let session = find(sessions, *connection)?;
            let fresh = session.answered.insert(*n);
            not(!fresh || *n > session.n, || {
                format!("{connection}: number {n} is answered again, or was not taken")
            })?;
            Ok(None)
        }
        _ => Ok(None),
    }
}

fn find(sessions: &mut Sessions, connection: ConnectionId) -> Result<&mut Session, String> {
    let session = sessions.get_mut(&connection);
    session.ok_or_else(|| format!("{connection} is not known"))
}

fn not(wrong: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if wrong { Err(what()) } else { Ok(()) }
}

fn hook(event: &Event) -> String {
    format!("{event:?}")
}

/// The domain hears of each change exactly once, and of nothing else. What would leave a state that cannot be encoded
/// is a fault, and happens without an event.
fn handlers(case: &Case<'_>, page: &Page, hooks: &BTreeSet<String>, found: &mut Findings) {
    let heard = page.events.iter().filter(|event| {
        matches!(
            event,
            Event::Came { .. } | Event::Lost { .. } | Event::Back { .. } | Event::Gone { .. }
        )
    });
    let heard: BTreeSet<_> = heard.map(hook).collect();
    let excused = case.outcome.plan.has(Feature::Spoils) && heard.is_subset(hooks);
    if heard != *hooks && !excused && !is_room(&page.address) {
        let what = format!("the domain heard {heard:?}, and {hooks:?} happened");
        found.push((page.location(), what));
    }
}

/// At the end every session that has a socket has a client, and the others are over.
fn leftovers(case: &Case<'_>, address: &Address, sessions: &Sessions, found: &mut Findings) {
    let plan = case.outcome.plan;
    let until = TimeMs(EPOCH_MS + plan.busy_ms + plan.calm_ms - UNDER_WAY_MS);
    for (connection, session) in sessions {
        let mut lives = case.lives.all.values();
        let has_client =
            lives.any(|biography| !biography.over && biography.life.connection == *connection);
        let what = match session.phase {
            Phase::Attached if !has_client => "it has a socket and no client",
            Phase::Detached(_, due) if due < until => "its grace is over and it has not ended",
            _ => continue,
        };
        found.push((format!("{connection} at {address}"), what.to_owned()));
    }
}
