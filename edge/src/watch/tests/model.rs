//! An owner, a lane that loses, doubles and reorders, and clients that check what they see.

use std::collections::BTreeMap;

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use xp_protocol::frame::ServerFrame;
use xp_protocol::outbound::{Item, Link, Outbound, Recipients};

use super::super::*;
use super::{EDGE, event, record, resumed, socket};

const CLIENTS: u128 = 4;
const STEPS: usize = 400;

/// What a commit shows: to everybody, or privately to one socket.
#[derive(Clone, Copy)]
struct Commit {
    private: Option<Socket>,
}

#[derive(Default)]
struct Owner {
    commits: Vec<Commit>,
    attached: BTreeMap<ConnectionId, Socket>,
}

struct Client {
    socket: Socket,
    /// The last revision seen on this socket, once it was welcomed.
    seen: Option<u64>,
    /// What it dialled with.
    since: Option<u64>,
}

/// One run from one seed.
pub(super) struct Run {
    rng: ChaCha8Rng,
    now: u64,
    watch: Watch<Socket>,
    owner: Owner,
    clients: BTreeMap<ConnectionId, Client>,
    /// Outbound records under way.
    records: Vec<Outbound>,
    /// Messages to the owner under way.
    requests: Vec<Request>,
    faults: bool,
}

#[derive(Clone, Copy)]
enum Request {
    Connect(Socket, Option<u64>),
    Resume(Socket, u64),
}

type Checked = Result<(), String>;

/// Runs `seed`; an error says what a client saw that it must not see.
pub(super) fn run(seed: u64, rules: &'static dyn Rules) -> Checked {
    let mut run = Run {
        rng: ChaCha8Rng::seed_from_u64(seed),
        now: 0,
        watch: Watch::new(EDGE, 500, rules),
        owner: Owner::default(),
        clients: BTreeMap::new(),
        records: Vec::new(),
        requests: Vec::new(),
        faults: true,
    };
    for _ in 0..STEPS {
        run.step()?;
    }
    run.settle()
}

impl Run {
    fn step(&mut self) -> Checked {
        self.now += self.rng.random_range(0..100);
        match self.rng.random_range(0..10) {
            0 => self.dial(),
            1..=3 => self.commit(),
            4..=5 => self.serve(),
            _ => self.deliver()?,
        }
        self.ask_again()
    }

    /// A client dials for the first time or anew; it resumes from what it saw.
    fn dial(&mut self) {
        let number = self.rng.random_range(1..=CLIENTS);
        let first = socket(number, 1);
        let old = self.clients.get(&first.connection);
        let attempt = old.map_or(1, |client| client.socket.attempt.0 + 1);
        let since = old.and_then(|client| client.seen.or(client.since));
        let socket = socket(number, attempt);
        self.watch.join(socket, socket).expect("attempts rise");
        let client = Client {
            socket,
            seen: None,
            since,
        };
        self.clients.insert(socket.connection, client);
        self.requests.push(Request::Connect(socket, since));
    }

    fn commit(&mut self) {
        let private = self.rng.random_bool(0.3);
        let sockets: Vec<_> = self.owner.attached.values().copied().collect();
        let private = (private && !sockets.is_empty())
            .then(|| sockets[self.rng.random_range(0..sockets.len())]);
        self.owner.commits.push(Commit { private });
        let revision = self.owner.commits.len() as u64;
        let to = private.map_or(Recipients::Everybody, |to| Recipients::Only(vec![to]));
        self.records.push(record(
            Some((revision - 1, revision)),
            vec![(to, event(revision))],
        ));
    }

    /// The owner takes a request, unless it is lost.
    fn serve(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let index = self.rng.random_range(0..self.requests.len());
        let request = self.requests.remove(index);
        match request {
            Request::Connect(socket, since) => self.attach(socket, since),
            Request::Resume(..) if self.faults && self.rng.random_bool(0.2) => {}
            Request::Resume(socket, since) => {
                if self.owner.attached.get(&socket.connection) == Some(&socket) {
                    self.resume(socket, since, false);
                }
            }
        }
    }

    fn attach(&mut self, socket: Socket, since: Option<u64>) {
        let current = self.owner.attached.get(&socket.connection);
        if current.is_some_and(|current| current.attempt >= socket.attempt) {
            return;
        }
        self.owner.attached.insert(socket.connection, socket);
        match since {
            Some(since) => self.resume(socket, since, true),
            None => {
                let revision = self.owner.commits.len() as u64;
                self.records.push(super::welcome(socket, revision));
            }
        }
    }

    /// Everything after `since` that concerns the session, addressed to the socket that asks.
    fn resume(&mut self, socket: Socket, since: u64, announce: bool) {
        let upto = self.owner.commits.len() as u64;
        let mut answer = resumed(socket, since, upto, announce);
        let commits = &self.owner.commits;
        answer.deliveries.retain(|delivery| match &delivery.item {
            Item::Event { revision, .. } => concerns(commits, revision.0, socket.connection),
            _ => true,
        });
        self.records.push(answer);
    }

    /// Some record arrives: perhaps not the oldest, perhaps not for the last time, perhaps never.
    fn deliver(&mut self) -> Checked {
        if self.records.is_empty() {
            return Ok(());
        }
        let reach = if self.faults {
            self.records.len().min(3)
        } else {
            1
        };
        let index = self.rng.random_range(0..reach);
        let record = if self.faults && self.rng.random_bool(0.1) {
            self.records[index].clone()
        } else {
            self.records.remove(index)
        };
        // A welcome that is lost leaves the socket pending until the shell closes it: not of interest here.
        if self.faults && record.link.is_some() && self.rng.random_bool(0.1) {
            return Ok(());
        }
        self.hand_over(&record)
    }

    fn hand_over(&mut self, outbound: &Outbound) -> Checked {
        let value = Bytes::from("x".repeat(outbound.deliveries.len()));
        let parts = outbound.split(&value).expect("one byte each");
        let link: Option<Link> = outbound.link;
        let effects = self.watch.on_record(TimeMs(self.now), link, &parts);
        self.take(effects)
    }

    fn ask_again(&mut self) -> Checked {
        let effects = self.watch.repairs(TimeMs(self.now), usize::MAX);
        self.take(effects)
    }

    fn take(&mut self, effects: Vec<Effect<Socket>>) -> Checked {
        for effect in effects {
            match effect {
                Effect::Show { to, shown, .. } => {
                    for socket in to {
                        self.see(socket, &shown.bytes)?;
                    }
                }
                Effect::Resume { of, since } => self.requests.push(Request::Resume(of, since.0)),
                Effect::Close { .. } | Effect::Coming { .. } | Effect::Gone(_) => {}
            }
        }
        Ok(())
    }

    /// The checker: every frame is the very next one for this client.
    fn see(&mut self, socket: Socket, frame: &[u8]) -> Checked {
        let client = self
            .clients
            .get_mut(&socket.connection)
            .expect("it dialled");
        if client.socket != socket {
            return Err(format!("{socket:?} was replaced and still gets frames"));
        }
        match (ServerFrame::parse(frame), client.seen) {
            (Ok(ServerFrame::Welcome { revision, .. }), None) => {
                client.seen = Some(revision.0);
                Ok(())
            }
            (Ok(ServerFrame::Event { revision, .. }), Some(seen)) => {
                let mut between = seen + 1..=revision.0;
                let next = between.find(|r| concerns(&self.owner.commits, *r, socket.connection));
                client.seen = Some(revision.0);
                (next == Some(revision.0)).then_some(()).ok_or(format!(
                    "{socket:?} saw {revision} after {seen}, and {next:?} was next"
                ))
            }
            (frame, seen) => Err(format!("{socket:?} saw {frame:?} after {seen:?}")),
        }
    }

    /// The lane works again: after one more commit everybody who is in has everything.
    fn settle(&mut self) -> Checked {
        self.faults = false;
        self.calm()?;
        self.owner.commits.push(Commit { private: None });
        let last = self.owner.commits.len() as u64;
        self.records.push(super::commit(last - 1, last));
        self.calm()?;
        let behind = self.clients.values().find(|client| {
            let attached = self.owner.attached.get(&client.socket.connection);
            attached == Some(&client.socket) && client.seen.is_some_and(|seen| seen != last)
        });
        match behind {
            Some(client) => Err(format!("{:?} stays at {:?}", client.socket, client.seen)),
            None => Ok(()),
        }
    }

    fn calm(&mut self) -> Checked {
        for _ in 0..20 {
            while !self.requests.is_empty() {
                self.serve();
            }
            while !self.records.is_empty() {
                self.deliver()?;
            }
            self.now += 500;
            self.ask_again()?;
        }
        Ok(())
    }
}

/// Whether the commit of `revision` shows something to this session.
fn concerns(commits: &[Commit], revision: u64, connection: ConnectionId) -> bool {
    let commit = usize::try_from(revision)
        .ok()
        .and_then(|r| commits.get(r - 1));
    commit.is_some_and(|commit| match commit.private {
        Some(socket) => socket.connection == connection,
        None => true,
    })
}
