//! A verdict about an edge: every session of the entity that was on it, in one commit (R29).

use bytes::Bytes;
use xp_domain_sdk::host::{Decided, Fault, Host, Input, Instance, RosterChange, Tell};
use xp_protocol::events::Ending;
use xp_protocol::{CloseCode, ConnectionId};

use super::{Turn, Turned};
use crate::draft::Draft;
use crate::entity::{Entity, Session, attached};

/// What a session, an output or a tell takes in a record beside its payload; generous.
const ITEM_BYTES: usize = 128;

impl Turn<'_> {
    /// R23, R29: the edge of these sessions was lost. `disconnected` is decided for each against the state and the
    /// roster that the one before left, and all of it is one draft. Sessions whose part would make the record
    /// too large are left for another.
    pub fn lose_edge(mut self, entity: &mut Entity, lost: &[ConnectionId]) -> Turned {
        // R44: their sockets are gone all the same, and the verdict is reached again.
        if self.takes_nothing(entity) {
            return Turned::Nothing;
        }
        let mut draft = self.draft(entity);
        let mut parted = Parted::default();
        for connection in lost {
            let known = entity.runtime.session(*connection).cloned();
            let Some(session) = known.filter(Session::is_attached) else {
                continue;
            };
            // Who was terminated by the one before is detached by that, and hears nothing of its edge.
            if parted.has_ended(*connection) {
                continue;
            }
            if parted.bytes > self.limits.records.bytes_max.bytes() / 2 || parted.ends() {
                break;
            }
            self.part(&mut draft, &session);
            parted.decide(&self, entity, *connection);
            self.trigger.step_seed();
        }
        if draft.changes.is_empty() {
            return Turned::Nothing;
        }
        match parted.together(self.host) {
            Ok(Some(decided)) => self.drafting(entity, &mut draft).effects(decided),
            Ok(None) => {}
            Err(fault) => self.log(&fault, "disconnected"),
        }
        Turned::Commit(Box::new(draft))
    }

    fn part(&self, draft: &mut Draft, session: &Session) {
        draft.close(session, CloseCode::ComeBack);
        draft
            .changes
            .push(self.detached(session.socket.connection, Ending::Lost));
    }
}

/// What the sessions decided so far, and what it made of the entity.
#[derive(Default)]
struct Parted {
    gone: Vec<ConnectionId>,
    decided: Vec<Decided>,
    /// A copy of the instance, behind the events so far; none while there are none.
    after: Option<Box<dyn Instance>>,
    bytes: usize,
}

impl Parted {
    fn has_ended(&self, connection: ConnectionId) -> bool {
        let ended = |decided: &Decided| decided.terminate.contains(&connection);
        self.decided.iter().any(ended)
    }

    /// Whether the entity is over, and with it the other sessions.
    fn ends(&self) -> bool {
        self.decided.last().is_some_and(|decided| decided.ends)
    }

    /// `disconnected` of one session. It cannot refuse: a fault in it leaves the session detached all the same.
    fn decide(&mut self, turn: &Turn<'_>, entity: &mut Entity, connection: ConnectionId) {
        self.bytes += 2 * ITEM_BYTES;
        let instance = self.after.as_ref().unwrap_or(&entity.instance);
        let input = Input::Disconnected(connection);
        let decided = turn.decide_as(entity, instance.as_ref(), &input);
        self.gone.push(connection);
        let gone = RosterChange::Detached(connection);
        for instance in [&mut entity.instance].into_iter().chain(&mut self.after) {
            let left = instance.roster(&gone);
            left.expect("leaving the roster reads no bytes");
        }
        if let Ok(decided) = decided {
            self.keep(turn, entity, decided);
        }
    }

    fn keep(&mut self, turn: &Turn<'_>, entity: &Entity, decided: Decided) {
        let weight = weight(&decided);
        let has_events = decided.event_count > 0;
        self.decided.push(decided);
        if has_events && let Err(fault) = self.step(turn.host, entity) {
            turn.log(&fault, "disconnected");
            self.decided.pop();
            // It was rebuilt from the same events before.
            self.after = self.rebuilt(turn.host, entity).ok();
            return;
        }
        self.bytes += weight;
    }

    /// The copy follows the last decision.
    fn step(&mut self, host: &dyn Host, entity: &Entity) -> Result<(), Fault> {
        match (&mut self.after, self.decided.last()) {
            (Some(after), Some(decided)) => after.apply(&decided.events),
            _ => {
                self.after = Some(self.rebuilt(host, entity)?);
                Ok(())
            }
        }
    }

    fn rebuilt(&self, host: &dyn Host, entity: &Entity) -> Result<Box<dyn Instance>, Fault> {
        let mut copy = host.load(&entity.instance.encode()?)?;
        for session in entity.runtime.live_sessions() {
            drop(copy.roster(&attached(&session.socket)));
            let connection = session.socket.connection;
            if !session.is_attached() || self.gone.contains(&connection) {
                copy.roster(&RosterChange::Detached(connection))?;
            }
        }
        for decided in self.decided.iter().filter(|one| one.event_count > 0) {
            copy.apply(&decided.events)?;
        }
        Ok(copy)
    }

    /// All of them as one decision; `None` when nobody had anything to say.
    fn together(self, host: &dyn Host) -> Result<Option<Decided>, Fault> {
        let events: Vec<&[u8]> = self.decided.iter().map(|one| &one.events[..]).collect();
        let events = host.concat(&events)?;
        let joined = self.decided.into_iter().reduce(join);
        Ok(joined.map(|joined| Decided { events, ..joined }))
    }
}

/// Everything but the events. A ticket that two of them answer has the answer of the first.
fn join(mut all: Decided, mut next: Decided) -> Decided {
    all.event_count += next.event_count;
    next.answers
        .retain(|(ticket, _)| all.answers.iter().all(|(known, _)| known != ticket));
    next.terminate
        .retain(|ended| !all.terminate.contains(ended));
    all.answers.append(&mut next.answers);
    all.terminate.append(&mut next.terminate);
    all.shows.append(&mut next.shows);
    all.tells.append(&mut next.tells);
    all.timers.append(&mut next.timers);
    all.ends |= next.ends;
    all
}

/// About how many bytes of a record a decision takes.
fn weight(decided: &Decided) -> usize {
    let shown: usize = decided.shows.iter().map(|show| show.output.len()).sum();
    let told = |tell: &Tell| tell.signal.len() + tell.continuation.as_ref().map_or(0, Bytes::len);
    let told: usize = decided.tells.iter().map(told).sum();
    let set = decided
        .timers
        .iter()
        .map(|(name, set)| name.len() + set.as_ref().map_or(0, |(_, signal)| signal.len()));
    let items = decided.shows.len() + decided.tells.len() + decided.timers.len();
    decided.events.len() + shown + told + set.sum::<usize>() + items * ITEM_BYTES
}
