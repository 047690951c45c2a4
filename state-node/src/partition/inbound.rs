//! From an inbound record to a turn.

use bytes::Bytes;
use xp_domain_sdk::host::Payload;
use xp_protocol::codec;
use xp_protocol::events::{Attachment, Cause, Ending};
use xp_protocol::inbound::{Action as Said, Inbound, Word};
use xp_protocol::outbound::Socket;
use xp_protocol::{
    Address, Attempt, CloseCode, ConnectionId, Incarnation, LanePartition, Offset, TimeMs,
};
use xp_transport::{Now, Stored};

use super::{Caution, Partition, key};
use crate::turn::{self, Turned};

/// A client's word with what the platform knows of it.
struct Client {
    edge: Incarnation,
    connection: ConnectionId,
    attempt: Attempt,
    action: Said,
}

impl Partition {
    /// Records of `inbound`, decided one after the other.
    pub fn on_inbound(&mut self, batch: &[Stored], now: Now) {
        // What was due before these messages came is decided before them.
        self.fire_timers(now);
        match self.owner() {
            Some(owner) if !matches!(owner.caution, Caution::None) => {
                owner.held.extend(batch.iter().cloned());
                self.take_held(now);
            }
            _ => batch
                .iter()
                .for_each(|stored| self.take(stored, false, now)),
        }
        // What follows no record of this batch need not wait for the next acknowledgement.
        self.drain(now);
        self.say_taken_if_much();
    }

    /// Decides one record of `inbound`; a poisonous one has ended as many processes as it may (R16).
    pub(super) fn take(&mut self, stored: &Stored, poisonous: bool, now: Now) {
        let Some(owner) = self.owner().filter(|owner| owner.may_decide()) else {
            return;
        };
        if stored.offset < owner.inbound {
            return;
        }
        owner.inbound = stored.offset.next();
        owner.untold.took(stored);
        match codec::decode::<Inbound>(&stored.record.header) {
            Ok(inbound) => self.hear(stored, poisonous, inbound, now),
            Err(error) => {
                tracing::warn!(place = %self.setting.place, offset = %stored.offset, %error, "an inbound record is ignored");
            }
        }
    }

    fn hear(&mut self, stored: &Stored, poisonous: bool, inbound: Inbound, now: Now) {
        let Inbound { time, trace, word } = inbound;
        if let Word::TellsTaken { taker, number } = &word {
            return self.tells_confirmed(taker, *number, now);
        }
        let Some(address) = key(stored) else {
            tracing::warn!(place = %self.setting.place, offset = %stored.offset, "an inbound record names no entity");
            return;
        };
        let heard = Heard {
            address,
            offset: stored.offset,
            time,
            trace,
            value: stored.record.value.clone(),
            poisonous,
        };
        match word {
            Word::Client {
                edge,
                connection,
                attempt,
                action,
            } => {
                let client = Client {
                    edge,
                    connection,
                    attempt,
                    action,
                };
                self.hear_client(&heard, client, now);
            }
            Word::Tell {
                source,
                number,
                from,
                what,
            } => {
                if self.is_next_tell(&source, number) {
                    let place = (source, number);
                    self.turn(&heard, now, |turn, entity| {
                        turn.told(entity, place, &from, &what, &heard.value)
                    });
                }
            }
            Word::TellsTaken { .. } => {}
        }
    }

    fn hear_client(&mut self, heard: &Heard, client: Client, now: Now) {
        // R29: messages of evicted incarnations are ignored.
        if self.members.is_former(client.edge) {
            return;
        }
        if let Some(owner) = self.owner() {
            owner.untold.from(client.edge);
        }
        let (connection, attempt) = (client.connection, client.attempt);
        let asking = Socket {
            connection,
            attempt,
        };
        if self.closes_lost(heard, &client, asking) {
            return;
        }
        let said = |text| turn::Said {
            connection,
            attempt,
            payload: Payload {
                bytes: &heard.value,
                text,
            },
        };
        match client.action {
            Said::Connect { .. } => self.hear_connect(heard, client, now),
            Said::Disconnect { left } => {
                let why = if left { Ending::Left } else { Ending::Lost };
                self.note_goodbye(&heard.address, asking);
                self.turn(heard, now, |turn, entity| {
                    turn.disconnect(entity, connection, attempt, why)
                });
                self.end_overdue(&heard.address, connection, now);
            }
            Said::Send { n, text } => {
                self.turn(heard, now, |turn, entity| turn.send(entity, said(text), n))
            }
            Said::Ask { tag, text } => {
                self.turn(heard, now, |turn, entity| turn.ask(entity, said(text), tag))
            }
            Said::Ephemeral { text } => self.turn(heard, now, |turn, entity| {
                turn.ephemeral(entity, said(text))
            }),
            Said::Claims => self.turn(heard, now, |turn, entity| {
                turn.claims(entity, connection, attempt, heard.value.clone())
            }),
            Said::Resume { since } => {
                self.resume_gap(&heard.address, client.edge, asking, since);
            }
        }
    }

    /// R44: closes the socket of who speaks to a lost entity. Its session is as unknown as everything else, so its edge is
    /// asked where it listens.
    fn closes_lost(&mut self, heard: &Heard, client: &Client, asking: Socket) -> bool {
        if let Err(reason) = self.load(&heard.address) {
            self.set_aside(&reason);
            return true;
        }
        if !self.is_lost(&heard.address) {
            return false;
        }
        if !matches!(client.action, Said::Disconnect { .. }) {
            self.close_asking(&heard.address, client.edge, asking, CloseCode::Quarantined);
        }
        true
    }

    /// A session whose grace is over ends before it begins a new life.
    fn hear_connect(&mut self, heard: &Heard, client: Client, now: Now) {
        let Said::Connect {
            subject,
            since,
            outbound,
            joined,
        } = client.action
        else {
            return;
        };
        let wanted = Attachment {
            connection: client.connection,
            attempt: client.attempt,
            subject,
            claims: heard.value.clone(),
            edge: client.edge,
            joined,
            outbound,
        };
        self.end_overdue(&heard.address, client.connection, now);
        let is_new = !self.entities.contains_key(&heard.address);
        let per_minute = self.setting.limits.entities_per_subject;
        if is_new
            && !self
                .founders
                .may_begin(&wanted.subject, per_minute, now.running)
        {
            return self.turn(heard, now, |turn, _| turn.too_fast(&wanted));
        }
        let doubt = self.doubt(&heard.address, &wanted);
        self.turn(heard, now, |turn, entity| {
            turn.connect(entity, wanted, since)
        });
        if let Some(socket) = doubt {
            self.ask_of(&heard.address, socket);
        }
    }

    /// R34: accepted iff it is the next of its source.
    fn is_next_tell(&mut self, source: &LanePartition, number: u64) -> bool {
        let last = self.fold.tells_in.get(source).copied().unwrap_or_default();
        if let Some(owner) = self.owner() {
            owner.tells_taken_dirty.insert(source.clone());
        }
        number == last + 1 || !self.setting.rules.tell_numbers
    }

    fn turn(
        &mut self,
        heard: &Heard,
        now: Now,
        decide: impl FnOnce(turn::Turn<'_>, &mut crate::entity::Entity) -> Turned,
    ) {
        let cause = Cause::Inbound(heard.offset);
        let time = heard.time;
        let poisonous = heard.poisonous;
        self.run(
            &heard.address,
            cause,
            time,
            heard.trace.clone(),
            now,
            |mut turn, entity| {
                turn.poisonous = poisonous;
                decide(turn, entity)
            },
        );
    }
}

/// An inbound record, taken apart.
pub(super) struct Heard {
    pub(super) address: Address,
    pub(super) offset: Offset,
    pub(super) time: TimeMs,
    pub(super) trace: Option<Box<str>>,
    pub(super) value: Bytes,
    pub(super) poisonous: bool,
}
