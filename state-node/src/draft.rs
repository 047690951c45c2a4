//! What one turn wants to commit, before it has a place in the log.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use xp_domain_sdk::host::{Audience, Host, Outcome, Show};
use xp_protocol::events::{
    Answer, Attachment, Awaiter, Cause, ChainLink, Change, Commit, Routed, Tell,
};
use xp_protocol::frame::RequestId;
use xp_protocol::inbound::{AnswerKind, Told};
use xp_protocol::outbound::{Delivery, Item, Link, Outbound, Recipients, Socket};
use xp_protocol::{
    Address, CloseCode, ConnectionId, FaultCode, MessageNumber, PartitionId, Revision, TicketId,
    TimeMs,
};
use xp_transport::Record;

use crate::entity::{Entity, Runtime, Session};

/// A commit without a place: everything one message does to one entity.
#[derive(Debug)]
pub struct Draft {
    /// What caused it.
    pub cause: Cause,
    /// The time the decision saw.
    pub now: TimeMs,
    /// The seed of its random numbers.
    pub seed: u64,
    /// The trace context of the message.
    pub trace: Option<Box<str>>,
    /// The entity's revision after it.
    pub revision: Revision,
    /// The encoded events.
    pub events: Bytes,
    /// How many they are.
    pub event_count: u32,
    /// What becomes of sessions, timers, tickets and conversations.
    pub changes: Vec<Change>,
    /// What is delivered by the chain.
    pub shown: Deliveries,
    /// What may be lost: it leaves through the gate and is not logged.
    pub volatile: Deliveries,
    /// Words to other entities, not numbered yet.
    pub tells: Vec<Word>,
    /// What follows the commit outside the chain.
    pub after: Option<After>,
    /// Who hears of it when the message fails.
    pub awaiter: Option<Awaiter>,
}

/// A word to another entity, not numbered yet.
#[derive(Debug)]
pub struct Word {
    /// Who is told.
    pub to: Address,
    /// What.
    pub what: Told,
    /// The signal or answer.
    pub payload: Bytes,
}

/// What follows a commit outside the chain, rendered from the state after it (R31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The session starts from a fresh view.
    Welcome(ConnectionId),
    /// The session goes on behind this revision.
    Resume(ConnectionId, Revision),
}

/// Deliveries in order, and their payloads one behind the other.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// The deliveries.
    pub list: Vec<Routed>,
    /// Their payloads.
    pub frames: BytesMut,
}

impl Deliveries {
    /// Adds one.
    pub fn push(
        &mut self,
        partition: Option<PartitionId>,
        to: Recipients,
        item: Item,
        payload: &[u8],
    ) {
        let payload_bytes =
            u32::try_from(payload.len()).expect("records are bounded far below 4 GiB");
        self.frames.extend_from_slice(payload);
        let delivery = Delivery {
            to,
            item,
            payload_bytes,
        };
        self.list.push(Routed {
            partition,
            delivery,
        });
    }

    /// Adds one for a single session's latest socket.
    pub fn to_session(&mut self, session: &Session, item: Item, payload: &[u8]) {
        let to = Recipients::Only(vec![socket(session)]);
        self.push(Some(session.socket.outbound), to, item, payload);
    }

    /// What a commit keeps of them. `closes` holds but in a simulator (R23).
    #[must_use]
    pub fn delivered(&self, closes: bool) -> Vec<Routed> {
        let kept = |routed: &&Routed| closes || !matches!(routed.delivery.item, Item::Close { .. });
        self.list.iter().filter(kept).cloned().collect()
    }

    /// The records of these deliveries on `partitions`, outside the chain.
    #[must_use]
    pub fn records(
        self,
        address: &Address,
        partitions: &BTreeSet<PartitionId>,
    ) -> Vec<(PartitionId, Record)> {
        let frames = self.frames.freeze();
        let on = |partition: &PartitionId| {
            (
                *partition,
                outbound(address, *partition, None, &self.list, &frames),
            )
        };
        let named = self.list.iter().filter_map(|routed| routed.partition);
        let all = self.list.iter().any(|routed| routed.partition.is_none());
        let mut targets: BTreeSet<_> = named.collect();
        if all {
            targets.extend(partitions);
        }
        targets.iter().map(on).collect()
    }
}

/// A session's latest socket.
#[must_use]
pub fn socket(session: &Session) -> Socket {
    Socket {
        connection: session.socket.connection,
        attempt: session.socket.attempt,
    }
}

/// One outbound record for one partition: those of the deliveries that it needs.
#[must_use]
pub fn outbound(
    address: &Address,
    partition: PartitionId,
    link: Option<Link>,
    deliveries: &[Routed],
    frames: &Bytes,
) -> Record {
    let needs = |routed: &&Routed| routed.partition.is_none_or(|only| only == partition);
    let all = deliveries.iter().all(|routed| needs(&routed));
    let mut value = BytesMut::new();
    let mut at = 0;
    let mut header = Outbound {
        link,
        deliveries: Vec::with_capacity(deliveries.len()),
    };
    for routed in deliveries {
        let end = at + routed.delivery.payload_bytes as usize;
        if needs(&routed) {
            header.deliveries.push(routed.delivery.clone());
            if !all {
                value.extend_from_slice(&frames[at..end]);
            }
        }
        at = end;
    }
    Record {
        key: Bytes::copy_from_slice(address.as_str().as_bytes()),
        header: xp_protocol::codec::encode(&header).into(),
        value: if all { frames.clone() } else { value.freeze() },
    }
}

/// The records by which a commit reaches its chains (R6): the same for the owner that decided it and for a
/// successor that sends them again.
pub fn chain_records<'a>(
    address: &'a Address,
    commit: &'a Commit,
) -> impl Iterator<Item = (PartitionId, Record)> + 'a {
    commit.links.iter().map(|ChainLink { partition, prev }| {
        let link = Link {
            revision: commit.revision,
            prev: *prev,
        };
        let record = outbound(
            address,
            *partition,
            Some(link),
            &commit.deliveries,
            &commit.frames,
        );
        (*partition, record)
    })
}

/// The frames of one commit for one session, whichever socket it has (R21).
pub fn frames_for<'a>(
    commit: &'a Commit,
    connection: ConnectionId,
) -> impl Iterator<Item = (&'a Item, Bytes)> + 'a {
    let mut at = 0;
    commit.deliveries.iter().filter_map(move |routed| {
        let end = at + routed.delivery.payload_bytes as usize;
        let payload = commit.frames.slice(at..end);
        at = end;
        let shown = !matches!(routed.delivery.item, Item::Close { .. });
        (shown && concerns(&routed.delivery.to, connection))
            .then_some((&routed.delivery.item, payload))
    })
}

fn concerns(to: &Recipients, connection: ConnectionId) -> bool {
    let names = |sockets: &[Socket]| sockets.iter().any(|socket| socket.connection == connection);
    match to {
        Recipients::Everybody => true,
        Recipients::Except(sockets) => !names(sockets),
        Recipients::Only(sockets) => names(sockets),
    }
}

impl Draft {
    /// A draft without effects.
    #[must_use]
    pub fn new(cause: Cause, now: TimeMs, seed: u64, revision: Revision) -> Self {
        Self {
            cause,
            now,
            seed,
            trace: None,
            revision,
            events: Bytes::new(),
            event_count: 0,
            changes: Vec::new(),
            shown: Deliveries::default(),
            volatile: Deliveries::default(),
            tells: Vec::new(),
            after: None,
            awaiter: None,
        }
    }

    /// Shows outputs: one `event` frame per session at the most, encoded once for all who see the same.
    pub fn show(&mut self, host: &dyn Host, runtime: &Runtime, shows: &[Show]) {
        for show in shows.iter().filter(|show| show.volatile) {
            self.show_volatile(host, runtime, show);
        }
        let shows: Vec<_> = shows.iter().filter(|show| !show.volatile).collect();
        if shows.is_empty() || runtime.live_sessions().next().is_none() {
            return;
        }
        let apart = apart(runtime, &shows);
        let item = Item::Event {
            revision: self.revision,
            text: host.is_text(),
        };
        let common: Vec<&[u8]> = shows
            .iter()
            .filter(|show| !matches!(show.to, Audience::Only(_)))
            .map(|show| &show.output[..])
            .collect();
        if !common.is_empty() {
            let sockets: Vec<_> = apart.iter().map(|session| socket(session)).collect();
            let to = if sockets.is_empty() {
                Recipients::Everybody
            } else {
                Recipients::Except(sockets)
            };
            self.shown
                .push(None, to, item.clone(), &host.sequence(&common));
        }
        for session in apart {
            let own: Vec<&[u8]> = shows
                .iter()
                .filter(|show| sees(&show.to, session.socket.connection))
                .map(|show| &show.output[..])
                .collect();
            if !own.is_empty() {
                self.shown
                    .to_session(session, item.clone(), &host.sequence(&own));
            }
        }
    }

    fn show_volatile(&mut self, host: &dyn Host, runtime: &Runtime, show: &Show) {
        let item = Item::Ephemeral {
            text: host.is_text(),
        };
        let find =
            |connection: &ConnectionId| runtime.session(*connection).filter(|s| s.is_attached());
        match &show.to {
            Audience::Everybody => {
                self.volatile
                    .push(None, Recipients::Everybody, item, &show.output)
            }
            Audience::Except(connection) => {
                let to = find(connection).map_or(Recipients::Everybody, |session| {
                    Recipients::Except(vec![socket(session)])
                });
                self.volatile.push(None, to, item, &show.output);
            }
            Audience::Only(connections) => {
                for session in connections.iter().filter_map(find) {
                    self.volatile
                        .to_session(session, item.clone(), &show.output);
                }
            }
        }
    }

    /// Stores and delivers the answer to a session's command (R30).
    pub fn answer_session(
        &mut self,
        runtime: &Runtime,
        text: bool,
        connection: ConnectionId,
        n: MessageNumber,
        answer: Answer,
    ) {
        if let Some(session) = runtime.session(connection) {
            let (item, payload) = answer_item(RequestId::Number(n), self.revision, text, &answer);
            if session.is_live() {
                self.shown.to_session(session, item, &payload);
            }
        }
        self.changes.push(Change::Answered {
            connection,
            n,
            answer,
        });
    }

    /// Sends the answer to another entity's `ask`.
    pub fn answer_entity(&mut self, to: Address, conversation: u64, outcome: Outcome) {
        let (kind, payload) = match outcome {
            Outcome::Reply(bytes) => (AnswerKind::Reply, bytes),
            Outcome::Rejection(bytes) => (AnswerKind::Rejection, bytes),
            Outcome::Fault => (AnswerKind::Fault, Bytes::new()),
        };
        self.tells.push(Word {
            to,
            what: Told::Answer { conversation, kind },
            payload,
        });
    }

    /// Closes a session's socket inside the chain (R23).
    pub fn close(&mut self, session: &Session, code: CloseCode) {
        self.shown.to_session(session, Item::Close { code }, &[]);
    }

    /// The socket with which a session would begin.
    #[must_use]
    pub fn begins(&self) -> Option<&Attachment> {
        self.changes.iter().find_map(|change| match change {
            Change::SessionBegun(socket) => Some(&**socket),
            _ => None,
        })
    }

    /// The chains this draft must continue: those of everybody who sees it.
    #[must_use]
    pub fn links(&self, entity: &Entity) -> Vec<ChainLink> {
        let mut partitions = BTreeSet::new();
        let common = self
            .shown
            .list
            .iter()
            .any(|routed| routed.partition.is_none());
        for partition in &entity.watched_from() {
            let named = || {
                self.shown
                    .list
                    .iter()
                    .any(|routed| routed.partition == Some(*partition))
            };
            if common || named() {
                partitions.insert(*partition);
            }
        }
        let chain = |partition: &PartitionId| {
            let busy = entity.runtime.busy.as_ref();
            busy.and_then(|busy| busy.chain.get(partition))
                .copied()
                .unwrap_or_default()
        };
        partitions
            .iter()
            .map(|partition| ChainLink {
                partition: *partition,
                prev: chain(partition),
            })
            .collect()
    }

    /// Numbers the tells and gives the draft its place. `number` gives the next number for a target.
    #[must_use]
    pub fn tells(
        &self,
        from: &Address,
        mut place: impl FnMut(&Address) -> Option<(xp_protocol::LanePartition, u64)>,
    ) -> Vec<Tell> {
        let tells = self.tells.iter();
        tells
            .filter_map(|told| {
                let (target, number) = place(&told.to)?;
                let (to, what, payload) =
                    (told.to.clone(), told.what.clone(), told.payload.clone());
                Some(Tell {
                    target,
                    number,
                    from: from.clone(),
                    to,
                    what,
                    payload,
                })
            })
            .collect()
    }
}

/// Live sessions that see something else than everybody.
fn apart<'a>(runtime: &'a Runtime, shows: &[&Show]) -> Vec<&'a Session> {
    let mut connections = BTreeSet::new();
    for show in shows {
        match &show.to {
            Audience::Everybody => {}
            Audience::Only(only) => connections.extend(only),
            Audience::Except(connection) => {
                connections.insert(*connection);
            }
        }
    }
    let sessions = connections
        .iter()
        .filter_map(|connection| runtime.session(*connection));
    sessions.filter(|session| session.is_live()).collect()
}

fn sees(audience: &Audience, connection: ConnectionId) -> bool {
    match audience {
        Audience::Everybody => true,
        Audience::Only(only) => only.contains(&connection),
        Audience::Except(except) => *except != connection,
    }
}

/// The delivery of an answer.
#[must_use]
pub fn answer_item(
    id: RequestId,
    revision: Revision,
    text: bool,
    answer: &Answer,
) -> (Item, Bytes) {
    match answer {
        Answer::Reply(payload) => (Item::Reply { id, revision, text }, payload.clone()),
        Answer::Reject(payload) => (Item::Reject { id, revision, text }, payload.clone()),
        Answer::Fault(code) => (
            Item::Fault {
                id,
                revision,
                code: *code,
            },
            Bytes::new(),
        ),
    }
}

/// The stored form of a domain's outcome.
#[must_use]
pub fn stored(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Reply(bytes) => Answer::Reply(bytes.clone()),
        Outcome::Rejection(bytes) => Answer::Reject(bytes.clone()),
        Outcome::Fault => Answer::Fault(FaultCode::Unanswered),
    }
}

/// The ticket that a message at this revision would open: one per commit, so that the revision names it.
#[must_use]
pub fn ticket_at(revision: Revision) -> TicketId {
    TicketId(revision.0)
}
