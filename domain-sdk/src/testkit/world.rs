//! A platform small enough for a test: it delivers, keeps time, and remembers what a step brought about.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use xp_protocol::{Address, ConnectionId, TicketId, TimeMs};

use super::actor::{Actor, Ticket, Waiter};
use super::kind::Kind;
use super::step::{Broken, Heard, Message, Said, Step};
use super::user::User;
use crate::host::{Decided, Fault, Input, Origin, Outcome, Reply, SceneData, Termination};

/// What one step may set going; beyond it, entities keep each other busy for ever.
const TURNS_PER_STEP_MAX: u32 = 10_000;

/// How the fault of a ticket that timed out begins.
pub(super) const UNANSWERED: &str = "a ticket went unanswered";

pub(super) struct World {
    pub(super) now: TimeMs,
    pub(super) grace: Duration,
    pub(super) ticket_timeout: Duration,
    pub(super) step: Step,
    pub(super) actors: BTreeMap<Address, Actor>,
    pub(super) heard: BTreeMap<Message, Heard>,
    kinds: BTreeMap<&'static str, Rc<dyn Kind>>,
    graces: BTreeMap<(Address, ConnectionId), TimeMs>,
    queue: VecDeque<Delivery>,
    held: Option<VecDeque<Delivery>>,
    /// Asks to entities that are not on stage.
    open_asks: VecDeque<OpenAsk>,
    messages: u64,
    turns: u64,
    turns_in_step: u32,
}

struct OpenAsk {
    from: Address,
    to: Address,
    continuation: Bytes,
}

enum Delivery {
    Tell {
        from: Address,
        to: Address,
        signal: Bytes,
        continuation: Option<Bytes>,
    },
    Answer {
        from: Address,
        to: Address,
        continuation: Bytes,
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
}

impl World {
    pub(super) fn new(now: TimeMs, grace: Duration, ticket_timeout: Duration) -> Self {
        Self {
            now,
            grace,
            ticket_timeout,
            step: Step::default(),
            actors: BTreeMap::new(),
            heard: BTreeMap::new(),
            kinds: BTreeMap::new(),
            graces: BTreeMap::new(),
            queue: VecDeque::new(),
            held: None,
            open_asks: VecDeque::new(),
            messages: 0,
            turns: 0,
            turns_in_step: 0,
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

    pub(super) fn begin(&mut self, title: String) {
        let number = self.step.number + 1;
        self.step = Step {
            number,
            title,
            ..Step::default()
        };
        self.turns_in_step = 0;
    }

    /// A number for what the test is about to say.
    pub(super) fn next_message(&mut self) -> Message {
        self.messages += 1;
        let message = Message(self.messages);
        self.step.message = Some(message);
        message
    }

    pub(super) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    pub(super) fn release(&mut self) -> Result<(), Broken> {
        let held = self.held.take().unwrap_or_default();
        self.queue.extend(held);
        self.settle()
    }

    pub(super) fn takeover(&mut self) -> Result<(), Broken> {
        self.actors.values_mut().try_for_each(Actor::takeover)
    }

    /// A session begins, unless it is refused.
    pub(super) fn connect(&mut self, entity: &Address, user: &User) -> Result<(), Broken> {
        let message = self.next_message();
        let waiter = Waiter::Client(user.connection(), message);
        if let Err(fault) = self.stage(entity).attach(user) {
            self.faulted(entity, waiter, fault);
            return Ok(());
        }
        let connection = user.connection();
        let decided = match self.decide(entity, &Input::Connected(connection))? {
            (_, Ok(decided)) => decided,
            (_, Err(fault)) => {
                self.stage(entity).end(connection);
                self.faulted(entity, waiter, fault);
                return Ok(());
            }
        };
        if let Reply::Now(Outcome::Rejection(no)) = decided.reply {
            self.stage(entity).end(connection);
            self.hear(waiter, Heard::Answer(Outcome::Rejection(no)));
            return Ok(());
        }
        self.carry_out(entity, TicketId(self.turns), waiter, decided)?;
        self.welcome(entity, connection)?;
        self.settle()
    }

    pub(super) fn welcome(&mut self, entity: &Address, by: ConnectionId) -> Result<(), Broken> {
        let (seed, now) = (self.turns, self.now);
        let actor = self.known(entity);
        let scene = scene(actor, now, seed);
        match actor.welcome(by, &scene)? {
            Ok(shown) => self.step.welcome = Some(shown),
            Err(fault) => self.step.faults.push((entity.clone(), fault)),
        }
        Ok(())
    }

    pub(super) fn disconnect(
        &mut self,
        entity: &Address,
        connection: ConnectionId,
    ) -> Result<(), Broken> {
        self.stage(entity).detach(connection);
        let due = later(self.now, self.grace);
        self.graces.insert((entity.clone(), connection), due);
        self.turn(entity, &Input::Disconnected(connection), Waiter::Nobody)?;
        self.settle()
    }

    pub(super) fn reconnect(&mut self, entity: &Address, user: &User) -> Result<(), Broken> {
        if let Err(fault) = self.stage(entity).attach(user) {
            self.step.faults.push((entity.clone(), fault));
            return Ok(());
        }
        self.graces.remove(&(entity.clone(), user.connection()));
        self.turn(
            entity,
            &Input::Reconnected(user.connection()),
            Waiter::Nobody,
        )?;
        self.settle()
    }

    pub(super) fn terminate(
        &mut self,
        entity: &Address,
        connection: ConnectionId,
        why: Termination,
    ) -> Result<(), Broken> {
        // A session ends once, whatever else wanted to end it meanwhile.
        if !self.stage(entity).members.contains_key(&connection) {
            return Ok(());
        }
        self.graces.remove(&(entity.clone(), connection));
        self.turn(entity, &Input::Terminated(connection, why), Waiter::Nobody)?;
        self.stage(entity).end(connection);
        self.step.ended.push(connection);
        self.void_tickets_of(entity, connection);
        Ok(())
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

    /// The test answers an ask that went to an entity which is not on stage.
    pub(super) fn answer_ask(&mut self, to: &Address, outcome: Outcome) -> Result<(), Broken> {
        let at = self.open_asks.iter().position(|ask| ask.to == *to);
        let ask = at.and_then(|at| self.open_asks.remove(at)).ok_or_else(|| {
            Broken(format!(
                "nobody waits for an answer of {to}; is it on stage, and answers for itself?"
            ))
        })?;
        let OpenAsk {
            from,
            to,
            continuation,
        } = ask;
        self.queue.push_back(Delivery::Answer {
            from: to,
            to: from,
            continuation,
            outcome,
        });
        self.settle()
    }

    /// Lets time pass; what falls due happens at its time.
    pub(super) fn advance(&mut self, duration: Duration) -> Result<(), Broken> {
        let end = later(self.now, duration);
        while let Some((time, due)) = self.next_due().filter(|(time, _)| *time <= end) {
            self.now = self.now.max(time);
            self.fall_due(due)?;
            self.settle()?;
        }
        self.now = end;
        Ok(())
    }

    /// Delivers until nothing is on its way and no timer is due.
    pub(super) fn settle(&mut self) -> Result<(), Broken> {
        loop {
            if let Some(delivery) = self.queue.pop_front() {
                self.deliver(delivery)?;
            } else if let Some((_, due)) = self.next_due().filter(|(time, _)| *time <= self.now) {
                self.fall_due(due)?;
            } else {
                return Ok(());
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery) -> Result<(), Broken> {
        match delivery {
            Delivery::Tell {
                from,
                to,
                signal,
                continuation,
            } => self.deliver_tell(from, &to, &signal, continuation),
            Delivery::Answer {
                from,
                to,
                continuation,
                outcome,
            } => {
                let input = Input::Answer {
                    from: &from,
                    continuation: &continuation,
                    outcome: &outcome,
                };
                self.turn(&to, &input, Waiter::Nobody)
            }
            Delivery::Terminated { entity, connection } => {
                self.terminate(&entity, connection, Termination::ByEntity)
            }
        }
    }

    fn deliver_tell(
        &mut self,
        from: Address,
        to: &Address,
        signal: &Bytes,
        continuation: Option<Bytes>,
    ) -> Result<(), Broken> {
        if self.actor(to).is_none() {
            let ask = continuation.map(|continuation| OpenAsk {
                from,
                to: to.clone(),
                continuation,
            });
            self.open_asks.extend(ask);
            return Ok(());
        }
        let origin = Origin::Entity {
            from: &from,
            asked: continuation.is_some(),
        };
        let waiter = match continuation {
            Some(continuation) => Waiter::Asker {
                entity: from.clone(),
                continuation,
            },
            None => Waiter::Nobody,
        };
        self.turn(
            to,
            &Input::Signal {
                origin,
                payload: signal,
            },
            waiter,
        )
    }

    fn turn(&mut self, entity: &Address, input: &Input<'_>, waiter: Waiter) -> Result<(), Broken> {
        match self.decide(entity, input)? {
            (ticket, Ok(decided)) => self.carry_out(entity, ticket, waiter, decided),
            (_, Err(fault)) => {
                self.faulted(entity, waiter, fault);
                Ok(())
            }
        }
    }

    fn decide(
        &mut self,
        entity: &Address,
        input: &Input<'_>,
    ) -> Result<(TicketId, Result<Decided, Fault>), Broken> {
        self.turns += 1;
        self.turns_in_step += 1;
        if self.turns_in_step > TURNS_PER_STEP_MAX {
            return Err(Broken(format!(
                "one step set more than {TURNS_PER_STEP_MAX} turns going: do timers or entities keep each other busy?"
            )));
        }
        let (seed, now) = (self.turns, self.now);
        let actor = self.stage(entity);
        let scene = scene(actor, now, seed);
        Ok((scene.ticket, actor.decide(input, &scene)?))
    }

    fn carry_out(
        &mut self,
        entity: &Address,
        ticket: TicketId,
        waiter: Waiter,
        decided: Decided,
    ) -> Result<(), Broken> {
        let actor = self.stage(entity);
        if let Err(fault) = actor.commit(&decided)? {
            self.faulted(entity, waiter, fault);
            return Ok(());
        }
        let events = if decided.event_count == 0 {
            Vec::new()
        } else {
            actor.kind.split(&decided.events)
        };
        for (name, set) in decided.timers {
            match set {
                Some(timer) => actor.timers.insert(name, timer),
                None => actor.timers.remove(&name),
            };
        }
        self.step.events.push((entity.clone(), events));
        self.step
            .shows
            .extend(decided.shows.into_iter().map(|show| (entity.clone(), show)));
        self.reply(entity, ticket, waiter, decided.reply);
        for (ticket, outcome) in decided.answers {
            self.answer_ticket(entity, ticket, outcome)?;
        }
        for tell in decided.tells {
            self.speak(entity, tell);
        }
        for connection in decided.terminate {
            self.queue.push_back(Delivery::Terminated {
                entity: entity.clone(),
                connection,
            });
        }
        Ok(())
    }

    fn speak(&mut self, from: &Address, tell: crate::host::Tell) {
        let crate::host::Tell {
            to,
            signal,
            continuation,
        } = tell;
        let asked = continuation.is_some();
        self.step.tells.push(Said {
            from: from.clone(),
            to: to.clone(),
            signal: signal.clone(),
            asked,
        });
        self.send(Delivery::Tell {
            from: from.clone(),
            to,
            signal,
            continuation,
        });
    }

    fn send(&mut self, delivery: Delivery) {
        self.held
            .as_mut()
            .unwrap_or(&mut self.queue)
            .push_back(delivery);
    }

    fn reply(&mut self, entity: &Address, ticket: TicketId, waiter: Waiter, reply: Reply) {
        let due = later(self.now, self.ticket_timeout);
        let state = match (reply, waiter) {
            (_, Waiter::Nobody) => Ticket::Void,
            (Reply::Later, waiter) => Ticket::Open { waiter, due },
            (Reply::Now(outcome), waiter) => {
                self.give(entity, waiter, outcome);
                Ticket::Answered
            }
        };
        self.stage(entity).tickets.insert(ticket, state);
    }

    fn answer_ticket(
        &mut self,
        entity: &Address,
        ticket: TicketId,
        outcome: Outcome,
    ) -> Result<(), Broken> {
        match self.stage(entity).tickets.get_mut(&ticket) {
            Some(open @ Ticket::Open { .. }) => {
                let Ticket::Open { waiter, .. } = std::mem::replace(open, Ticket::Answered) else {
                    unreachable!("it was open a line ago")
                };
                self.give(entity, waiter, outcome);
                Ok(())
            }
            Some(Ticket::Void) => Ok(()),
            Some(Ticket::Answered) => Err(Broken(format!(
                "{entity} answers the ticket {ticket} twice"
            ))),
            None => Err(Broken(format!(
                "{entity} answers the ticket {ticket}, which it never had"
            ))),
        }
    }

    fn give(&mut self, from: &Address, waiter: Waiter, outcome: Outcome) {
        match waiter {
            Waiter::Asker {
                entity: to,
                continuation,
            } => {
                self.send(Delivery::Answer {
                    from: from.clone(),
                    to,
                    continuation,
                    outcome,
                });
            }
            waiter => self.hear(waiter, Heard::Answer(outcome)),
        }
    }

    fn hear(&mut self, waiter: Waiter, heard: Heard) {
        let message = match waiter {
            Waiter::Client(connection, message) => {
                if self.step.message != Some(message) {
                    self.step.late.push((connection, heard.clone()));
                }
                message
            }
            Waiter::Test(message) => message,
            Waiter::Nobody | Waiter::Asker { .. } => return,
        };
        self.heard.insert(message, heard);
    }

    fn faulted(&mut self, entity: &Address, waiter: Waiter, fault: Fault) {
        self.step.faults.push((entity.clone(), fault.clone()));
        match waiter {
            Waiter::Asker { .. } => self.give(entity, waiter, Outcome::Fault),
            waiter => self.hear(waiter, Heard::Fault(fault)),
        }
    }

    fn next_due(&self) -> Option<(TimeMs, Due)> {
        let timers = self.actors.values().flat_map(|actor| {
            let due = |name: &String| Due::Timer(actor.address.clone(), name.clone());
            actor
                .timers
                .iter()
                .map(move |(name, (time, _))| (*time, due(name)))
        });
        let tickets = self.actors.values().flat_map(|actor| {
            actor
                .tickets
                .iter()
                .filter_map(|(ticket, state)| match state {
                    Ticket::Open { due, .. } => {
                        Some((*due, Due::Ticket(actor.address.clone(), *ticket)))
                    }
                    Ticket::Answered | Ticket::Void => None,
                })
        });
        let graces = self
            .graces
            .iter()
            .map(|((entity, connection), time)| (*time, Due::Grace(entity.clone(), *connection)));
        timers
            .chain(tickets)
            .chain(graces)
            .min_by_key(|(time, _)| *time)
    }

    fn fall_due(&mut self, due: Due) -> Result<(), Broken> {
        match due {
            Due::Timer(entity, name) => {
                let timer = self.stage(&entity).timers.remove(&name);
                let (_, signal) = timer.expect("it was found a moment ago");
                let origin = Origin::Timer(&name);
                self.turn(
                    &entity,
                    &Input::Signal {
                        origin,
                        payload: &signal,
                    },
                    Waiter::Nobody,
                )
            }
            Due::Grace(entity, connection) => {
                self.terminate(&entity, connection, Termination::Expired)
            }
            Due::Ticket(entity, ticket) => {
                self.unanswered(&entity, ticket);
                let fault = Fault::Misuse(format!("{UNANSWERED} for {:?}", self.ticket_timeout));
                self.step.faults.push((entity, fault));
                Ok(())
            }
        }
    }

    fn unanswered(&mut self, entity: &Address, ticket: TicketId) {
        let former = self.stage(entity).tickets.insert(ticket, Ticket::Void);
        let Some(Ticket::Open { waiter, .. }) = former else {
            return;
        };
        match waiter {
            Waiter::Asker { .. } => self.give(entity, waiter, Outcome::Fault),
            waiter => self.hear(waiter, Heard::Unanswered),
        }
    }

    fn void_tickets_of(&mut self, entity: &Address, connection: ConnectionId) {
        let held = self
            .stage(entity)
            .tickets
            .iter()
            .filter_map(|(ticket, state)| match state {
                Ticket::Open {
                    waiter: Waiter::Client(by, _),
                    ..
                } if *by == connection => Some(*ticket),
                _ => None,
            });
        for ticket in held.collect::<Vec<_>>() {
            self.unanswered(entity, ticket);
        }
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
