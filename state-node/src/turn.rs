//! The turn: one message, one entity, one draft. Pure but for the roster of sessions beside the instance:
//! no clock, no randomness, no I/O, no position in the log.

mod lost;
mod sessions;
mod commands;
mod tells;
mod parked;
mod timers;
mod effects;
mod welcome;
mod refusal;

use xp_domain_sdk::host::{Decided, Fault, Host, Input, Instance, Payload, SceneData};
use xp_protocol::plain::brief;
use xp_protocol::rules::{Rule, Rules};
use xp_protocol::sample::Sample;
use xp_protocol::{Address, ConnectionId, DialAttempt, FaultCode};

use crate::draft::{Deliveries, Draft, Failure, ticket_at};
use crate::entity::{Entity, Session};
use crate::limits::Limits;
use crate::trigger::Trigger;

use effects::Drafting;

pub use refusal::{No, refuse};
pub use welcome::{unwelcome, welcome};

/// What clients did wrong, as this process tells of it: there is one log, so there is one.
static OF_CLIENTS: Sample = Sample::new();

/// What surrounds a turn.
pub struct Turn<'a> {
    /// The entity's address.
    pub address: &'a Address,
    /// The code of the entity's kind, which decides.
    pub host: &'a dyn Host,
    /// The partition's bounds.
    pub limits: &'a Limits,
    /// Whether a client hears why its message faulted.
    pub explains: bool,
    /// What caused the turn, and what a decision knows besides.
    pub trigger: Trigger,
    /// All of them, but in a simulator.
    pub rules: &'static dyn Rules,
    /// The message has ended as many processes as it may: no domain code is asked about it (R16).
    pub poisonous: bool,
}

/// What a turn comes to.
#[derive(Debug)]
pub enum Turned {
    /// A commit: of a rejection, a fault, a timer or a lost socket as much as of events (R5).
    Commit(Box<Draft>),
    /// Outputs that write nothing; they leave through the gate (R11). Queries need the lease (R13).
    Unlogged {
        /// In the order in which they leave, with their payloads.
        outputs: Deliveries,
        /// Whether they may leave only within the lease.
        leased: bool,
    },
    /// The message is of no concern: late, repeated, or of a socket that is gone.
    Nothing,
    /// R44: this build cannot read what is said. It is not taken: the entity is set aside, for what came later must not be
    /// decided before it.
    Unread {
        /// Why it cannot be read.
        fault: Fault,
        /// How it is made to wait; nothing where it stays due by itself.
        instead: Box<Turned>,
    },
}

/// A command as it came.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The session that sent it.
    pub connection: ConnectionId,
    /// The attempt of the socket that it came through; of another socket than the session's it is ignored (R27).
    pub attempt: DialAttempt,
    /// The bytes, and whether they came in a text frame.
    pub payload: Payload<'a>,
}

impl Incoming<'_> {
    /// Whose it is; none when the socket is no longer the session's.
    fn session<'e>(&self, entity: &'e Entity) -> Option<&'e Session> {
        let session = entity.runtime.session(self.connection);
        session.filter(|session| session.is_socket(self.attempt))
    }
}

impl Turn<'_> {
    fn decide(&self, entity: &Entity, input: &Input<'_>) -> Result<Decided, Failure> {
        self.decide_as(entity, entity.instance.as_ref(), input)
    }

    /// Decides with another instance of the same entity.
    fn decide_as(
        &self,
        entity: &Entity,
        instance: &dyn Instance,
        input: &Input<'_>,
    ) -> Result<Decided, Failure> {
        self.sound(entity, handler(input), |_, scene| {
            instance.decide(input, scene)
        })
    }

    /// Runs domain code on an entity that this build can read.
    fn sound<T>(
        &self,
        entity: &Entity,
        handler: &'static str,
        run: impl FnOnce(&dyn Instance, &SceneData<'_>) -> Result<T, Fault>,
    ) -> Result<T, Failure> {
        self.may_ask(entity)?;
        let outcome = run(entity.instance.as_ref(), &self.scene(entity));
        outcome.map_err(|fault| self.faulted(&fault, handler))
    }

    /// Decides what a signal comes to.
    ///
    /// # Errors
    /// R44: when this build cannot read the signal, which must wait for one that can.
    fn hear(&self, entity: &Entity, input: &Input<'_>) -> Result<Result<Decided, Failure>, Fault> {
        if let Err(failure) = self.may_ask(entity) {
            return Ok(Err(failure));
        }
        match entity.instance.decide(input, &self.scene(entity)) {
            Err(fault) if fault.is_unread_signal() && self.rules.holds(Rule::Parking) => Err(fault),
            decided => Ok(decided.map_err(|fault| self.faulted(&fault, handler(input)))),
        }
    }

    /// Whether domain code may be asked about the entity and the message.
    fn may_ask(&self, entity: &Entity) -> Result<(), Failure> {
        // Whoever asks has looked before (R44).
        if entity.is_quarantined() {
            return Err(FaultCode::Quarantined.into());
        }
        match self.poisonous {
            true => Err(FaultCode::Poisonous.into()),
            false => Ok(()),
        }
    }

    fn faulted(&self, fault: &Fault, handler: &'static str) -> Failure {
        self.log(fault, handler);
        self.failure(code(fault), &fault.to_string())
    }

    /// What a client hears of a message that failed, and `why`.
    fn failure(&self, code: FaultCode, why: &str) -> Failure {
        Failure::new(code, self.trigger.seed(), self.explains, why)
    }

    /// A fault names the entity and the message. What a client did wrong is no error of this side, and as many as it
    /// likes must not fill the log.
    fn log(&self, fault: &Fault, handler: &'static str) {
        let (entity, cause) = (self.address, self.trigger.cause());
        let reference = self.trigger.reference();
        let why = fault.to_string();
        if !fault.is_of_client() {
            tracing::error!(%entity, ?cause, handler, fault = why, reference, "a message faulted: the domain's code is to be mended");
        } else if let Some(untold) = OF_CLIENTS.take(self.trigger.now().0) {
            let fault = brief(&why);
            tracing::info!(%entity, ?cause, handler, %fault, reference, untold, "a client's message faulted: the client is to be mended");
        }
    }

    fn scene(&self, entity: &Entity) -> SceneData<'_> {
        SceneData {
            address: self.address,
            revision: entity.runtime.revision,
            now: self.trigger.now(),
            seed: self.trigger.seed(),
            ticket: ticket_at(entity.runtime.revision.next()),
        }
    }

    /// Writes into a draft of its.
    fn drafting<'t>(&'t self, entity: &'t Entity, draft: &'t mut Draft) -> Drafting<'t> {
        Drafting {
            turn: self,
            entity,
            draft,
        }
    }

    fn draft(&self, entity: &Entity) -> Draft {
        Draft::new(self.trigger.clone(), entity.runtime.revision.next())
    }
}

fn unread(fault: Fault, instead: Turned) -> Turned {
    let instead = Box::new(instead);
    Turned::Unread { fault, instead }
}

fn handler(input: &Input<'_>) -> &'static str {
    match input {
        Input::Connected(_) => "connected",
        Input::Disconnected(_) => "disconnected",
        Input::Reconnected(_) => "reconnected",
        Input::Terminated(..) => "terminated",
        Input::Command { .. } => "decide",
        Input::Signal { .. } | Input::Answer { .. } => "signal",
    }
}

/// What a client hears of a fault.
#[must_use]
pub fn code(fault: &Fault) -> FaultCode {
    match fault {
        Fault::Unreadable { .. } | Fault::StateVersion { .. } => FaultCode::Unreadable,
        Fault::Panicked { .. } => FaultCode::Panicked,
        Fault::Misuse(_) => FaultCode::Misuse,
    }
}
