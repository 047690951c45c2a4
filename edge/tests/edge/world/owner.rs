//! The other side of the lane: takes every command, shows it to everybody, answers with its number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use xp_protocol::frame::RequestId;
use xp_protocol::inbound::{ClientAction, Inbound, Message};
use xp_protocol::outbound::{Item, Link, Outbound, Recipients, Socket};
use xp_protocol::{Address, Incarnation, MessageNumber, Offset, PartitionId, Revision, codec};
use xp_transport::{Log, Record, TopicPartition};

use super::until;

/// One inbound message, as it arrived.
#[derive(Clone, Debug)]
pub struct Heard {
    pub address: Address,
    pub socket: Socket,
    pub action: ClientAction,
    pub trace: Option<Box<str>>,
    pub value: Bytes,
}

/// What the owner does not do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moods {
    /// Nothing at all.
    pub sleeps: bool,
    /// Takes commands without answering them.
    pub mute: bool,
    /// Decides, but its chain records are lost.
    pub loses_records: bool,
}

#[derive(Clone)]
pub struct Owner {
    log: Arc<dyn Log>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    heard: Vec<Heard>,
    moods: Moods,
    entities: BTreeMap<Address, Entity>,
}

#[derive(Default)]
struct Entity {
    revision: Revision,
    /// The payload of each revision.
    commits: Vec<Commit>,
    taken: BTreeMap<Socket, MessageNumber>,
}

struct Commit {
    by: Socket,
    n: MessageNumber,
    payload: Bytes,
}

impl Owner {
    pub fn start(log: Arc<dyn Log>) -> Self {
        let owner = Self {
            log,
            state: Arc::default(),
        };
        for partition in 0..2 {
            tokio::spawn(owner.clone().follow(PartitionId(partition)));
        }
        owner
    }

    async fn follow(self, partition: PartitionId) {
        let topic = "main.inbound".into();
        let at = TopicPartition { topic, partition };
        let mut reader = self.log.read(&at, Offset(0));
        while let Ok(batch) = reader.next().await {
            for stored in batch {
                self.hear(&stored.record);
            }
        }
    }

    pub fn moods(&self, change: impl FnOnce(&mut Moods)) {
        change(&mut self.state.lock().unwrap().moods);
    }

    /// Everything heard so far that `wanted` picks.
    pub fn heard<T>(&self, wanted: impl Fn(&Heard) -> Option<T>) -> Vec<T> {
        let state = self.state.lock().unwrap();
        state.heard.iter().filter_map(wanted).collect()
    }

    /// Waits until something was heard that `wanted` picks.
    pub async fn hears<T>(&self, what: &str, wanted: impl Fn(&Heard) -> Option<T>) -> T {
        until(what, || !self.heard(&wanted).is_empty()).await;
        self.heard(&wanted).remove(0)
    }

    /// Appends an outbound record.
    pub fn say(&self, address: &Address, outbound: &Outbound, value: BytesMut) {
        let record = Record {
            key: Bytes::copy_from_slice(address.as_str().as_bytes()),
            header: codec::encode(outbound).into(),
            value: value.freeze(),
            ..Record::default()
        };
        let at = TopicPartition {
            topic: "main.outbound".into(),
            partition: PartitionId(0),
        };
        drop(self.log.append(&at, vec![record]));
    }

    /// Says that everything that was heard in a partition has been taken (R42).
    pub fn has_taken(&self, partition: PartitionId, upto: Offset) {
        let mut header = Outbound::default();
        let item = Item::Taken { partition, upto };
        header.deliver(&mut BytesMut::new(), Recipients::Everybody, item, b"");
        let record = Record {
            header: codec::encode(&header).into(),
            ..Record::default()
        };
        let at = TopicPartition {
            topic: "main.outbound".into(),
            partition: PartitionId(0),
        };
        drop(self.log.append(&at, vec![record]));
    }

    /// Says one thing to one socket, outside the chain.
    pub fn whisper(&self, address: &Address, to: Socket, item: Item, payload: &[u8]) {
        let (mut outbound, mut value) = (Outbound::default(), BytesMut::new());
        outbound.deliver(&mut value, Recipients::Only(vec![to]), item, payload);
        self.say(address, &outbound, value);
    }

    /// A commit of the owner's own, shown to everybody.
    pub fn announce(&self, address: &Address, payload: &str) {
        let by = Socket {
            connection: super::connection(0),
            attempt: xp_protocol::DialAttempt(0),
        };
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        let mut state = self.state.lock().unwrap();
        let n = MessageNumber(0);
        self.commit(&mut state, address, Commit { by, n, payload });
    }

    fn hear(&self, record: &Record) {
        let inbound: Inbound = codec::decode(&record.header).unwrap();
        let Message::Client {
            edge,
            connection,
            attempt,
            action,
        } = inbound.message
        else {
            panic!("an edge speaks for clients only");
        };
        let heard = Heard {
            address: std::str::from_utf8(&record.key).unwrap().parse().unwrap(),
            socket: Socket {
                connection,
                attempt,
            },
            action,
            trace: inbound.trace,
            value: record.value.clone(),
        };
        let mut state = self.state.lock().unwrap();
        state.heard.push(heard.clone());
        if !state.moods.sleeps {
            self.act(&mut state, edge, heard);
        }
    }

    fn act(&self, state: &mut State, edge: Incarnation, heard: Heard) {
        let Heard {
            address,
            socket,
            action,
            value,
            ..
        } = heard;
        match action {
            ClientAction::Connect { since: None, .. } => {
                self.welcome(state, &address, edge, socket)
            }
            ClientAction::Connect {
                since: Some(since), ..
            } => {
                self.resume(state, &address, edge, (socket, since), true);
            }
            ClientAction::Resume { since } => {
                self.resume(state, &address, edge, (socket, since), false)
            }
            ClientAction::Send { n, .. } => {
                let payload = value;
                self.commit(
                    state,
                    &address,
                    Commit {
                        by: socket,
                        n,
                        payload,
                    },
                );
            }
            ClientAction::Ask { tag, text } => {
                let id = RequestId::Tag(tag);
                let revision = state.entities.entry(address.clone()).or_default().revision;
                self.whisper(&address, socket, Item::Reply { id, revision, text }, &value);
            }
            ClientAction::Disconnect { .. }
            | ClientAction::Ephemeral { .. }
            | ClientAction::Claims => {}
        }
    }

    fn welcome(&self, state: &mut State, address: &Address, edge: Incarnation, socket: Socket) {
        let entity = state.entities.entry(address.clone()).or_default();
        let n = *entity.taken.entry(socket).or_default();
        let revision = entity.revision;
        let welcome = Item::Welcome {
            edge,
            revision,
            n,
            text: true,
        };
        self.whisper(address, socket, welcome, b"\"state\"");
    }

    fn resume(
        &self,
        state: &mut State,
        address: &Address,
        edge: Incarnation,
        (socket, since): (Socket, Revision),
        announce: bool,
    ) {
        let entity = state.entities.entry(address.clone()).or_default();
        let n = *entity.taken.entry(socket).or_default();
        let upto = entity.revision;
        let (mut outbound, mut value) = (Outbound::default(), BytesMut::new());
        let to = || Recipients::Only(vec![socket]);
        let resumed = Item::Resumed {
            edge,
            since,
            upto,
            n,
            announce,
        };
        outbound.deliver(&mut value, to(), resumed, b"");
        for (revision, commit) in (1..)
            .zip(&entity.commits)
            .skip(usize::try_from(since.0).unwrap())
        {
            let revision = Revision(revision);
            outbound.deliver(
                &mut value,
                to(),
                Item::Event {
                    revision,
                    text: true,
                },
                &commit.payload,
            );
            if commit.by == socket {
                let id = RequestId::Number(commit.n);
                outbound.deliver(
                    &mut value,
                    to(),
                    Item::Reply {
                        id,
                        revision,
                        text: true,
                    },
                    b"",
                );
            }
        }
        self.say(address, &outbound, value);
    }

    fn commit(&self, state: &mut State, address: &Address, commit: Commit) {
        let moods = state.moods;
        let entity = state.entities.entry(address.clone()).or_default();
        let last = entity.taken.entry(commit.by).or_default();
        if commit.n > MessageNumber(0) && commit.n <= *last {
            return;
        }
        *last = commit.n;
        let (prev, revision) = (entity.revision, entity.revision.next());
        entity.revision = revision;
        let link = Some(Link { revision, prev });
        let (mut outbound, mut value) = (
            Outbound {
                link,
                ..Outbound::default()
            },
            BytesMut::new(),
        );
        let event = Item::Event {
            revision,
            text: true,
        };
        outbound.deliver(&mut value, Recipients::Everybody, event, &commit.payload);
        if commit.n > MessageNumber(0) && !moods.mute {
            let id = RequestId::Number(commit.n);
            let reply = Item::Reply {
                id,
                revision,
                text: true,
            };
            outbound.deliver(&mut value, Recipients::Only(vec![commit.by]), reply, b"");
        }
        entity.commits.push(commit);
        if !moods.loses_records {
            self.say(address, &outbound, value);
        }
    }
}
