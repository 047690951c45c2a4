//! One entity on the test kit's stage, and the silent checks of everything it does.

mod checks;

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use xp_protocol::{Address, ConnectionId, Revision, TicketId, TimeMs};

use super::broken::Broken;
use super::kind::{Kind, Vocabulary};
use super::observed::Message;
use super::user::User;
use crate::host::{Decided, Fault, Input, Instance, Outcome, Payload, RosterChange, SceneData};

/// Logs up to this length are folded anew after every commit; longer ones now and then, and at the end.
const LOG_LENGTH_ALWAYS_FOLDED: usize = 64;

pub(super) struct Actor {
    pub(super) address: Address,
    pub(super) kind: Rc<dyn Kind>,
    pub(super) tickets: BTreeMap<TicketId, Ticket>,
    pub(super) timers: BTreeMap<String, (TimeMs, Bytes)>,
    pub(super) members: BTreeMap<ConnectionId, Member>,
    pub(super) revision: Revision,
    /// When it decided last.
    pub(super) touched: TimeMs,
    /// How often it has ended.
    pub(super) life: u32,
    live: Box<dyn Instance>,
    log: Vec<Bytes>,
    snapshot: Option<Snapshot>,
    /// Whether each kind of event that was seen ever changed the state.
    changes: BTreeMap<String, bool>,
}

/// State as of a position in the log.
struct Snapshot {
    at: usize,
    state: Vec<u8>,
}

/// A session, as the platform knows it.
pub(super) struct Member {
    pub(super) user: User,
    pub(super) attached: bool,
}

/// What became of a ticket.
pub(super) enum Ticket {
    Open {
        waiter: Waiter,
        due: TimeMs,
    },
    Answered,
    /// Nobody waits any more, or nobody ever did: an answer goes nowhere.
    Void,
}

/// Who waits for an answer.
#[derive(Clone)]
pub(super) enum Waiter {
    Nobody,
    Client(ConnectionId, Message),
    Asker { entity: Address, asking: Asking },
    Test(Message),
}

/// What an `ask` left behind, and in which life of its entity.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) continuation: Bytes,
    pub(super) life: u32,
}

impl Actor {
    pub(super) fn new(address: Address, kind: Rc<dyn Kind>) -> Self {
        let live = kind.host().fresh();
        Self {
            address,
            kind,
            tickets: BTreeMap::new(),
            timers: BTreeMap::new(),
            members: BTreeMap::new(),
            revision: Revision(0),
            touched: TimeMs(0),
            life: 0,
            live,
            log: Vec::new(),
            snapshot: None,
            changes: BTreeMap::new(),
        }
    }

    /// Decides, on the living state and once more on the same state reloaded.
    pub(super) fn decide(
        &self,
        input: &Input<'_>,
        scene: &SceneData<'_>,
    ) -> Result<Result<Decided, Fault>, Broken> {
        let live = self.live.decide(input, scene);
        let again = self.reloaded()?.decide(input, scene);
        if live != again {
            return Err(Broken(format!(
                "{} decides otherwise on reloaded state; is there a hash map or a skipped field in it, or a clock?\n\
                 \x20     live: {}\n  reloaded: {}",
                self.address,
                self.decided_json(&live),
                self.decided_json(&again)
            )));
        }
        if let Ok(decided) = &live {
            self.check_words(decided)?;
        }
        Ok(live)
    }

    pub(super) fn answer(
        &self,
        by: ConnectionId,
        payload: &Payload<'_>,
        scene: &SceneData<'_>,
    ) -> Result<Result<Outcome, Fault>, Broken> {
        let live = self.live.answer(by, payload, scene);
        if live != self.reloaded()?.answer(by, payload, scene) {
            return Err(Broken(format!(
                "{} answers otherwise on reloaded state",
                self.address
            )));
        }
        if let Ok(outcome) = &live {
            self.check_outcome(outcome)?;
        }
        Ok(live)
    }

    pub(super) fn welcome(
        &self,
        by: ConnectionId,
        scene: &SceneData<'_>,
    ) -> Result<Result<Bytes, Fault>, Broken> {
        let live = self.live.welcome(by, scene).map(|welcome| welcome.shown);
        let again = self.reloaded()?.welcome(by, scene);
        if live != again.map(|welcome| welcome.shown) {
            return Err(Broken(format!(
                "{} welcomes otherwise on reloaded state",
                self.address
            )));
        }
        if let Ok(shown) = &live {
            for output in self.kind.split(shown) {
                self.kind.survives(Vocabulary::Output, &output)?;
            }
        }
        Ok(live)
    }

    /// Applies what was decided, as it stands in the log, and checks the state. A fault leaves all as it was.
    pub(super) fn commit(&mut self, decided: &Decided) -> Result<Result<(), Fault>, Broken> {
        if decided.event_count > 0 {
            if let Err(fault) = self.fold(&decided.events)? {
                return Ok(Err(fault));
            }
            self.check_state_now_and_then()?;
        }
        self.revision = self.revision.next();
        Ok(Ok(()))
    }

    /// Appends events that the test gives, as they stand in the log.
    pub(super) fn given(&mut self, events: &Bytes) -> Result<(), Broken> {
        self.revision = self.revision.next();
        self.fold(events)?.map_err(|fault| {
            Broken(format!(
                "{} cannot apply what is given: {fault}",
                self.address
            ))
        })
    }

    fn fold(&mut self, events: &Bytes) -> Result<Result<(), Fault>, Broken> {
        if let Err(fault) = self.apply_noting_changes(events)? {
            self.live = self.refolded()?;
            return Ok(Err(fault));
        }
        self.log.push(events.clone());
        Ok(Ok(()))
    }

    fn apply_noting_changes(&mut self, events: &Bytes) -> Result<Result<(), Fault>, Broken> {
        for event in self.kind.split(events) {
            let name = event_name(&self.kind.json(Vocabulary::Event, &event));
            let is_known_to_change = self.changes.get(&name) == Some(&true);
            let before = if is_known_to_change {
                None
            } else {
                Some(self.encoded(&*self.live)?)
            };
            if let Err(fault) = self.live.apply(&self.kind.join(&[&event])) {
                return Ok(Err(fault));
            }
            if let Some(before) = before {
                let changed = before != self.encoded(&*self.live)?;
                self.changes.insert(name, changed);
            }
        }
        Ok(Ok(()))
    }

    pub(super) fn attach(&mut self, user: &User) -> Result<(), Fault> {
        let connection = user.connection();
        let claims = user.token();
        self.live.roster(&RosterChange::Attached {
            connection,
            subject: &user.subject,
            claims: &claims,
        })?;
        self.members.insert(
            connection,
            Member {
                user: user.clone(),
                attached: true,
            },
        );
        Ok(())
    }

    pub(super) fn detach(&mut self, connection: ConnectionId) {
        if let Some(member) = self.members.get_mut(&connection) {
            member.attached = false;
        }
        self.live
            .roster(&RosterChange::Detached(connection))
            .expect("nothing is decoded here");
    }

    pub(super) fn end(&mut self, connection: ConnectionId) {
        self.members.remove(&connection);
        self.live
            .roster(&RosterChange::Ended(connection))
            .expect("nothing is decoded here");
    }

    /// It has ended, and is what it was before the first event. What is told of its words and events stays.
    pub(super) fn start_over(&mut self) {
        self.live = self.kind.host().fresh();
        self.log.clear();
        self.snapshot = None;
        self.timers.clear();
        self.members.clear();
        self.life += 1;
    }

    /// When it ends because nobody uses it, if its kind says so.
    pub(super) fn retained_until(&self) -> Option<TimeMs> {
        let retention_ms = self.kind.host().retention_ms()?;
        let open = |state: &Ticket| matches!(state, Ticket::Open { .. });
        let waits = !self.timers.is_empty() || self.tickets.values().any(open);
        let is_used = waits || !self.members.is_empty() || self.log.is_empty();
        (!is_used).then(|| self.touched.plus_ms(retention_ms))
    }

    /// Another node takes over: from the snapshot and the log.
    pub(super) fn takeover(&mut self) -> Result<(), Broken> {
        self.check_state()?;
        self.live = self.refolded()?;
        Ok(())
    }

    /// Event kinds that were seen and never changed anything.
    pub(super) fn idle_event_kinds(&self) -> impl Iterator<Item = &str> {
        self.changes
            .iter()
            .filter(|(_, changed)| !**changed)
            .map(|(name, _)| name.as_str())
    }
}

/// The name of an event from its JSON: its tag, or its only key, or all of it.
fn event_name(json: &str) -> String {
    use serde_json::Value;
    match serde_json::from_str(json) {
        Ok(Value::Object(object)) => match (object.get("type"), object.len()) {
            (Some(Value::String(tag)), _) => tag.clone(),
            (_, 1) => object.keys().next().cloned().unwrap_or_default(),
            _ => "event".to_owned(),
        },
        Ok(Value::String(name)) => name,
        _ => "event".to_owned(),
    }
}
