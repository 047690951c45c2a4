//! Every [`Entity`] is a [`Host`]: typed words on one side, bytes on the other.

mod depth;
mod encode;
mod guard;

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use xp_protocol::{Address, ConnectionId, claims};

use crate::entity::{Cx, Decision, Entity, Given, Roster, Scene, Session, SignalCx};
use crate::host::{
    self, Decided, Fault, Host, Input, Instance, Origin, Outcome, Payload, RosterChange, SceneData,
    Welcome,
};
use crate::word::{Codec, DefaultWord, State, Stored, Unreadable, Word};
use guard::{catch, unreadable};

/// The [`Host`] of `E`.
pub struct Hosted<E> {
    kept: Kept,
    of: PhantomData<fn() -> E>,
}

/// The claims that are kept of a token, by name.
type Kept = &'static [&'static str];

impl<E: Entity + State> Hosted<E> {
    /// The host of all `E`.
    ///
    /// # Panics
    /// When nothing says which claims of a token are kept: neither [`Entity::CLAIMS`] nor the fields of its `Claims`.
    #[must_use]
    pub fn new() -> Self {
        let Some(kept) = E::CLAIMS.or_else(<E::Claims as Word>::names) else {
            panic!(
                "the claims of {} have no fields by name (a map, an enum, or `#[serde(flatten)]`): say which of a token are kept, as in `const CLAIMS: Option<&'static [&'static str]> = Some(&[\"role\"]);`",
                E::CATEGORY
            )
        };
        let of = PhantomData;
        Self { kept, of }
    }

    fn instance(&self, entity: E) -> Box<dyn Instance> {
        Box::new(Live {
            entity,
            roster: Roster::new(),
            kept: self.kept,
        })
    }
}

impl<E: Entity + State> Default for Hosted<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Entity + State> Host for Hosted<E> {
    fn category(&self) -> &'static str {
        E::CATEGORY.as_str()
    }

    fn state_version(&self) -> u32 {
        E::STATE_VERSION
    }

    fn retention_ms(&self) -> Option<u64> {
        let ms = E::RETENTION?.as_millis();
        Some(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    fn claims(&self) -> &'static [&'static str] {
        self.kept
    }

    fn is_text(&self) -> bool {
        E::CODEC.is_text()
    }

    fn fresh(&self) -> Box<dyn Instance> {
        self.instance(E::fresh())
    }

    fn load(&self, state: &[u8]) -> Result<Box<dyn Instance>, Fault> {
        let (version, body) = state.split_first_chunk().ok_or_else(|| {
            unreadable("state", Unreadable::new("it is shorter than its version"))
        })?;
        let entity = match u32::from_le_bytes(*version) {
            version if version == E::STATE_VERSION => {
                catch("deserialize", || <E as State>::load(E::CODEC, body))?
            }
            version => upcast(version, body)?,
        };
        let entity = entity.map_err(|error| unreadable("state", error))?;
        Ok(self.instance(entity))
    }

    fn reads_signal(&self, signal: &[u8]) -> Result<(), Fault> {
        read_signal::<E>(signal).map(drop)
    }

    fn sequence(&self, outputs: &[&[u8]]) -> Bytes {
        E::CODEC.join(outputs).into()
    }

    fn concat(&self, events: &[&[u8]]) -> Result<Bytes, Fault> {
        let mut all = Vec::new();
        for sequence in events.iter().filter(|sequence| !sequence.is_empty()) {
            let words = E::CODEC.split(sequence);
            all.extend(words.map_err(|error| unreadable("events", error))?);
        }
        Ok(match all.is_empty() {
            true => Bytes::new(),
            false => E::CODEC.join(&all).into(),
        })
    }

    fn default_reply(&self) -> Bytes {
        // A default that has no encoding is caught where the first decision needs it.
        encode::reply::<E>(&E::Reply::unsaid()).unwrap_or_default()
    }
}

/// A state of another version, as today's; a fault of its own when the domain has no upcaster for it.
fn upcast<E: Entity>(version: u32, body: &[u8]) -> Result<Result<E, Unreadable>, Fault> {
    let stored = Stored::new(body, E::CODEC);
    let read = catch("read_state", || E::read_state(version, stored))?;
    let known = E::STATE_VERSION;
    match read.transpose() {
        Some(entity) => Ok(entity),
        None => Err(Fault::StateVersion {
            found: version,
            known,
        }),
    }
}

fn read_signal<E: Entity>(json: &[u8]) -> Result<E::Signal, Fault> {
    catch(host::READ_SIGNAL, || {
        E::read_signal(Stored::new(json, Codec::Json))
    })?
    .map_err(|error| unreadable(host::SIGNAL, error))
}

/// One living `E`, and its sessions with their claims decoded.
struct Live<E: Entity> {
    entity: E,
    roster: Roster<E::Claims>,
    kept: Kept,
}

impl<E: Entity + State> Instance for Live<E> {
    fn decide(&self, input: &Input<'_>, scene: &SceneData<'_>) -> Result<Decided, Fault> {
        match *input {
            Input::Connected(by) => self.connected(by, scene),
            Input::Disconnected(by) => self.life("disconnected", by, scene, E::disconnected),
            Input::Reconnected(by) => self.life("reconnected", by, scene, E::reconnected),
            Input::Terminated(by, why) => self.life("terminated", by, scene, |entity, cx| {
                entity.terminated(why, cx)
            }),
            Input::Command {
                by,
                n: Some(_),
                payload,
            } => self.command(by, payload, scene),
            Input::Command {
                by,
                n: None,
                payload,
            } => self.ephemeral(by, payload, scene),
            Input::Signal { origin, payload } => self.signal(origin, payload, scene),
            Input::Answer {
                from,
                continuation,
                outcome,
            } => self.answered(from, continuation, outcome, scene),
        }
    }

    fn answer(
        &self,
        by: ConnectionId,
        payload: &Payload<'_>,
        scene: &SceneData<'_>,
    ) -> Result<Outcome, Fault> {
        let cx = self.cx(by, scene)?;
        depth::check(payload).map_err(|error| unreadable("query", error))?;
        let query = catch("read_query", || payload.read::<E::Query>(E::CODEC))?
            .map_err(|error| unreadable("query", error))?;
        match catch("answer", || self.entity.answer(query, &cx))? {
            Ok(reply) => Ok(Outcome::Reply(encode::reply::<E>(&reply)?)),
            Err(rejection) => Ok(Outcome::Rejection(encode::rejection::<E>(&rejection)?)),
        }
    }

    fn welcome(&self, by: ConnectionId, scene: &SceneData<'_>) -> Result<Welcome, Fault> {
        let cx = self.cx(by, scene)?;
        let shown = catch("welcome", || self.entity.welcome(&cx))?;
        Ok(Welcome {
            shown: encode::sequence::<E, _>("output", &shown)?,
            for_all: !cx.is_personal(),
        })
    }

    fn apply(&mut self, events: &[u8]) -> Result<(), Fault> {
        let stored = E::CODEC
            .split(events)
            .map_err(|error| unreadable("events", error))?;
        // All are read before the first is applied, so that one that cannot be read leaves the instance as it was.
        let mut today = Vec::new();
        for bytes in stored {
            let read = catch("read_event", || E::read_event(Stored::new(bytes, E::CODEC)))?
                .map_err(|error| unreadable("event", error))?;
            match today.is_empty() {
                true => today = read,
                false => today.extend(read),
            }
        }
        for event in today {
            catch("apply", || self.entity.apply(event))?;
        }
        Ok(())
    }

    fn roster(&mut self, change: &RosterChange<'_>) -> Result<(), Fault> {
        match *change {
            RosterChange::Attached {
                connection,
                subject,
                claims,
            } => {
                let claims = read_claims(claims, self.kept).map_err(|error| {
                    let reason = error.to_string();
                    self.roster.attach_unread(connection, subject, reason);
                    unreadable("claims", error)
                })?;
                let subject = Arc::from(subject);
                let session = Session {
                    connection,
                    subject,
                    claims,
                    attached: true,
                };
                self.roster.attach(session);
            }
            RosterChange::Detached(connection) => self.roster.detach(connection),
            RosterChange::Ended(connection) => self.roster.end(connection),
        }
        Ok(())
    }

    fn encode(&self) -> Result<Vec<u8>, Fault> {
        let mut bytes = E::STATE_VERSION.to_le_bytes().to_vec();
        catch("serialize", || self.entity.save(E::CODEC, &mut bytes))?
            .map_err(|error| unreadable("state", error))?;
        Ok(bytes)
    }
}

impl<E: Entity> Live<E> {
    fn connected(&self, by: ConnectionId, scene: &SceneData<'_>) -> Result<Decided, Fault> {
        let cx = self.cx(by, scene)?;
        let outcome = catch("connected", || self.entity.connected(&cx))?;
        if let Ok(Decision {
            given: Some(Given::Rejection(_)),
            ..
        }) = outcome
        {
            // Events cannot stand where there is no session: the two ways of saying no are one here.
            return Err(Fault::Misuse(
                "`connected` refuses a session with `Err`, not with `refuse`".to_owned(),
            ));
        }
        if outcome.as_ref().is_ok_and(|decision| decision.ends) {
            // Nobody could be welcomed to it.
            return Err(Fault::Misuse(
                "`connected` ends the entity to which the session comes: refuse the session with `Err`".to_owned(),
            ));
        }
        self.encoded(outcome, Awaited::No)
    }

    fn life(
        &self,
        handler: &'static str,
        by: ConnectionId,
        scene: &SceneData<'_>,
        handle: impl FnOnce(&E, &Cx<'_, E>) -> Decision<E>,
    ) -> Result<Decided, Fault> {
        let cx = self.cx(by, scene)?;
        let decision = catch(handler, || handle(&self.entity, &cx))?;
        self.encoded(Ok(decision), Awaited::No)
    }

    fn command(
        &self,
        by: ConnectionId,
        payload: Payload<'_>,
        scene: &SceneData<'_>,
    ) -> Result<Decided, Fault> {
        self.encoded(self.judge(by, payload, scene)?, Awaited::Yes)
    }

    fn ephemeral(
        &self,
        by: ConnectionId,
        payload: Payload<'_>,
        scene: &SceneData<'_>,
    ) -> Result<Decided, Fault> {
        let outcome = self.judge(by, payload, scene)?;
        if let Ok(decision) = &outcome {
            only_glimpses(decision)?;
        }
        self.encoded(outcome, Awaited::No)
    }

    fn judge(
        &self,
        by: ConnectionId,
        payload: Payload<'_>,
        scene: &SceneData<'_>,
    ) -> Result<crate::entity::Outcome<E>, Fault> {
        let cx = self.cx(by, scene)?;
        depth::check(&payload).map_err(|error| unreadable("command", error))?;
        let command = catch("read_command", || E::read_command(payload))?
            .map_err(|error| unreadable("command", error))?;
        catch("decide", || self.entity.decide(command, &cx))
    }

    fn signal(
        &self,
        origin: Origin<'_>,
        json: &[u8],
        scene: &SceneData<'_>,
    ) -> Result<Decided, Fault> {
        let signal = read_signal::<E>(json)?;
        let cx = SignalCx::new(Scene::new(scene, &self.roster), origin);
        let outcome = catch("signal", || self.entity.signal(signal, &cx))?;
        let asked = matches!(origin, Origin::Entity { asked: true, .. });
        self.encoded(outcome, if asked { Awaited::Yes } else { Awaited::No })
    }

    fn answered(
        &self,
        from: &Address,
        continuation: &[u8],
        outcome: &Outcome,
        scene: &SceneData<'_>,
    ) -> Result<Decided, Fault> {
        let json =
            encode::resume(continuation, outcome).map_err(|error| unreadable("answer", error))?;
        self.signal(Origin::Entity { from, asked: false }, &json, scene)
    }

    fn encoded(
        &self,
        outcome: crate::entity::Outcome<E>,
        awaited: Awaited,
    ) -> Result<Decided, Fault> {
        let mut decided = match outcome {
            Ok(decision) => encode::decision(decision, &self.roster)?,
            Err(rejection) => encode::refused::<E>(&rejection)?,
        };
        if awaited == Awaited::No && decided.reply == host::Reply::Later {
            decided.reply =
                host::Reply::Now(Outcome::Reply(encode::reply::<E>(&E::Reply::unsaid())?));
        }
        Ok(decided)
    }

    fn cx<'a>(&'a self, by: ConnectionId, scene: &'a SceneData<'a>) -> Result<Cx<'a, E>, Fault> {
        let session = self.roster.get(by).ok_or_else(|| self.absent(by, scene))?;
        Ok(Cx::new(Scene::new(scene, &self.roster), session))
    }

    fn absent(&self, by: ConnectionId, scene: &SceneData<'_>) -> Fault {
        match self.roster.unread(by) {
            Some(reason) => unreadable("claims", Unreadable::new(reason)),
            None => Fault::Misuse(format!(
                "the session {by} is not in the roster of {}",
                scene.address
            )),
        }
    }
}

/// Whether somebody waits for the answer, so that `later()` opens a ticket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Yes,
    No,
}

fn only_glimpses<E: Entity>(decision: &Decision<E>) -> Result<(), Fault> {
    let shows_lasting = decision.shows.iter().any(|showing| !showing.volatile);
    let forbidden = [
        (!decision.events.is_empty(), "records events"),
        (decision.given.is_some(), "answers"),
        (!decision.answers.is_empty(), "answers a ticket"),
        (shows_lasting, "shows what must not be lost"),
        (!decision.tells.is_empty(), "tells another entity"),
        (!decision.timers.is_empty(), "touches a timer"),
        (!decision.terminate.is_empty(), "ends a session"),
        (decision.ends, "ends the entity"),
    ];
    match forbidden.iter().find(|(is_done, _)| *is_done) {
        None => Ok(()),
        Some((_, what)) => Err(Fault::Misuse(format!(
            "the decision of an `ephemeral` {what}, but it may only `glimpse`: let clients `send` this command"
        ))),
    }
}

/// Reads a token's claims, of which only the `kept` ones may be looked at: whoever needs another finds out in a test.
/// `()` needs none of them, though serde reads it from `null` alone.
fn read_claims<C: Word>(claims: &[u8], kept: Kept) -> Result<C, Unreadable> {
    let claims = claims::keep(claims, kept).map_err(Unreadable::new)?;
    let needs_none = std::any::TypeId::of::<C>() == std::any::TypeId::of::<()>();
    let json = if needs_none {
        b"null".as_slice()
    } else {
        &claims
    };
    C::read(Codec::Json, json).map_err(|error| {
        let kept = match kept {
            [] => "none".to_owned(),
            kept => kept.join(", "),
        };
        Unreadable::new(format!("{error} (claims that are kept: {kept})"))
    })
}

#[cfg(test)]
mod tests;
