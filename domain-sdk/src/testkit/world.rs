//! A platform small enough for a test: it delivers, keeps time, and remembers what a step brought about.

mod sessions;
mod delivery;
mod time;
mod turn;
mod mail;
mod graces;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use xp_protocol::{Address, ConnectionId, TicketId, TimeMs};

use super::actor::{Actor, Asking, Waiter};
use super::broken::Broken;
use super::kind::Kind;
use super::observed::{Message, Observed};
use crate::host::{Input, Outcome, SceneData};
use graces::Graces;
use mail::Mail;

/// Turns without time passing; beyond it, entities keep each other busy for ever and the scenario fails.
const TURNS_AT_ONCE_MAX: u32 = 10_000;

/// How the fault of a ticket that timed out begins.
pub(super) const UNANSWERED: &str = "a ticket went unanswered";

pub(super) struct World {
    pub(super) now: TimeMs,
    pub(super) graces: Graces,
    pub(super) ticket_timeout: Duration,
    observed: Observed,
    actors: BTreeMap<Address, Actor>,
    kinds: BTreeMap<&'static str, Rc<dyn Kind>>,
    mail: Mail,
    /// Asks to entities that are not on stage.
    open_asks: VecDeque<OpenAsk>,
    messages: u64,
    turns: u64,
    turns_at_once: u32,
}

struct OpenAsk {
    from: Address,
    to: Address,
    asking: Asking,
}

enum Delivery {
    Tell {
        from: Address,
        to: Address,
        signal: Bytes,
        asking: Option<Asking>,
    },
    Answer {
        from: Address,
        to: Address,
        asking: Asking,
        outcome: Outcome,
    },
    Terminated {
        entity: Address,
        connection: ConnectionId,
    },
}

/// What is due next as time goes by.
enum Due {
    Timer(Address, String),
    Grace(Address, ConnectionId),
    Ticket(Address, TicketId),
    Retention(Address),
}

impl World {
    pub(super) fn new(now: TimeMs, grace: Duration, ticket_timeout: Duration) -> Self {
        Self {
            now,
            graces: Graces::new(grace),
            ticket_timeout,
            observed: Observed::default(),
            actors: BTreeMap::new(),
            kinds: BTreeMap::new(),
            mail: Mail::default(),
            open_asks: VecDeque::new(),
            messages: 0,
            turns: 0,
            turns_at_once: 0,
        }
    }

    pub(super) fn host(&mut self, kind: Rc<dyn Kind>) {
        self.kinds.entry(kind.host().category()).or_insert(kind);
    }

    /// The entity at `address`, if its kind is hosted; it comes to be when it is first spoken to.
    pub(super) fn actor(&mut self, address: &Address) -> Option<&mut Actor> {
        let kind = self.kinds.get(address.category())?;
        let actor = self.actors.entry(address.clone());
        Some(actor.or_insert_with(|| Actor::new(address.clone(), Rc::clone(kind))))
    }

    pub(super) fn known(&self, address: &Address) -> &Actor {
        &self.actors[address]
    }

    /// An entity to which nothing has happened yet has this address from now on.
    #[track_caller]
    pub(super) fn rename(&mut self, from: &Address, to: Address) {
        let actor = self.actors.remove(from);
        let mut actor = actor.expect("the main entity is on stage from the start");
        assert!(
            actor.members.is_empty(),
            "name the entity before anything happens to it"
        );
        actor.address = to.clone();
        self.actors.insert(to, actor);
    }

    /// A step begins: what was observed of the one before is forgotten.
    pub(super) fn begin(&mut self) {
        self.observed = Observed::default();
        self.turns_at_once = 0;
    }

    /// What the step has brought about.
    pub(super) fn observed(&mut self) -> &mut Observed {
        &mut self.observed
    }

    /// A number for what the test is about to say.
    pub(super) fn next_message(&mut self) -> Message {
        self.messages += 1;
        let message = Message(self.messages);
        self.observed.sent(message);
        message
    }

    pub(super) fn hold(&mut self) {
        self.mail.hold();
    }

    pub(super) fn takeover(&mut self) -> Result<(), Broken> {
        self.actors.values_mut().try_for_each(Actor::takeover)
    }

    /// That each state is the same however it came about, and each kind of event changed one, or is for the log only.
    pub(super) fn check_at_the_end(&mut self, log_only: &[&str]) -> Result<(), Broken> {
        for actor in self.actors.values() {
            let mut idle = actor.idle_event_kinds();
            if let Some(kind) = idle.find(|kind| !log_only.contains(kind)) {
                return Err(Broken(format!(
                    "{} records {kind}, which never changed its state: does `apply` forget it? \
                     If it is for the log only, say `.log_only([{kind:?}])`",
                    actor.address
                )));
            }
        }
        self.actors.values_mut().try_for_each(Actor::check_state)
    }

    /// A word to an entity on stage, from whoever; and all that follows from it at once.
    pub(super) fn say(
        &mut self,
        entity: &Address,
        input: &Input<'_>,
        waiter: Waiter,
    ) -> Result<(), Broken> {
        self.turn(entity, input, waiter)?;
        self.settle()
    }

    fn stage(&mut self, address: &Address) -> &mut Actor {
        self.actor(address)
            .expect("only entities of hosted kinds are spoken to")
    }
}

/// Every message has a seed and a ticket of its own.
pub(super) fn scene(actor: &Actor, now: TimeMs, turn: u64) -> SceneData<'_> {
    SceneData {
        address: &actor.address,
        revision: actor.revision,
        now,
        seed: turn,
        ticket: TicketId(turn),
    }
}

fn later(time: TimeMs, duration: Duration) -> TimeMs {
    time.plus_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
