//! A person with the reference client: talks at random, reloads, leaves, comes back.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use uuid::Uuid;
use xp_client::machine::{Action, Call, Machine};
use xp_client::{Item, Lost, Payload};
use xp_protocol::{Address, ConnectionId, DialAttempt, TimeMs};

use super::agenda::{ClientDue as Due, Due as Planned};
use super::deeds::{self, Stream};
use super::doors::EDGES;
use super::history::{Life, What};
use super::ledger::is_room;
use super::ledger::{Command, Query, Whose};
use super::link::{Hello, Link, ToClient, ToEdge};
use super::names::{ClientId, SocketId};
use super::plan::{ENTITIES, EPOCH_MS, Feature, Plan, ROOM, settings};
use super::stage::Stage;

/// The pause between two things a client does, in milliseconds.
const THINK_MS: RangeInclusive<u64> = 5..=225;
/// The same where entities tell each other much.
const TELLING_THINK_MS: RangeInclusive<u64> = 5..=60;
/// The same where nobody is left in peace.
const DENSE_THINK_MS: RangeInclusive<u64> = 1..=4;

/// How often a command greets somebody, where there are rooms.
const GREETS: f64 = 0.2;

/// How often a client ends its book, where some do.
const ENDS: f64 = 0.02;
/// How often a command spoils its book, where that happens.
const SPOILS: f64 = 0.1;

/// For how long a token is good, where tokens end, in milliseconds.
const TOKEN_MS: u64 = 3_000;
/// Who takes care refreshes a token that is good for less than this, in milliseconds.
const FRESH_MS: u64 = 1_000;
/// How often one that floods says something, in milliseconds.
const FLOOD_MS: u64 = 2;
/// How many bytes that has.
const FLOOD_BYTES: usize = 16 << 10;

pub(super) struct Client {
    id: ClientId,
    life: Life,
    machine: Machine,
    socket: Option<(SocketId, DialAttempt)>,
    calls: BTreeMap<Call, u64>,
    said: u64,
    /// When the token of its present socket ends.
    expires: TimeMs,
    tick_at: Option<TimeMs>,
    began: TimeMs,
    /// Its own random numbers: the other clients' doings move none of its.
    dice: ChaCha8Rng,
}

impl Client {
    pub(super) fn start(id: ClientId, stage: &mut Stage) -> Self {
        let mut dice = deeds::stream(stage.plan.seed, Stream::Client(id.0));
        let begins = dice.random_range(0..=800);
        stage.after(begins, Planned::Client(id, Due::Begin));
        stage.after(begins + 50, Planned::Client(id, Due::Think));
        Self {
            id,
            life: Life {
                number: 0,
                connection: ConnectionId(Uuid::from_u128(dice.random())),
                address: address(dice.random_range(0..stage.plan.entities())),
            },
            machine: Machine::new(settings(), DialAttempt(0)),
            socket: None,
            calls: BTreeMap::new(),
            said: 0,
            expires: TimeMs(u64::MAX),
            tick_at: None,
            began: stage.now,
            dice,
        }
    }

    pub(super) fn on(&mut self, due: Due, stage: &mut Stage) {
        match due {
            Due::Begin => self.begin(stage),
            Due::Think => self.think(stage),
            Due::Tick => {
                self.tick_at = None;
                if self
                    .machine
                    .next_tick()
                    .is_some_and(|at| at <= stage.now && self.life.number > 0)
                {
                    let jitter = self.dice.random();
                    let actions = self.machine.on_tick(stage.now, jitter);
                    self.perform(actions, stage);
                }
            }
            Due::Message(socket) => self.message(socket, stage),
        }
        self.plan_tick(stage);
    }

    fn plan_tick(&mut self, stage: &mut Stage) {
        let next = self.machine.next_tick();
        let Some(next) = next.filter(|_| self.life.number > 0) else {
            return;
        };
        let next = next.max(stage.now.plus_ms(1));
        if self.tick_at.is_none_or(|at| next < at) {
            self.tick_at = Some(next);
            stage.at(next, Planned::Client(self.id, Due::Tick));
        }
    }

    /// A new process: a machine that remembers at most its connection id.
    fn begin(&mut self, stage: &mut Stage) {
        self.life.number = stage.name();
        self.began = stage.now;
        self.calls.clear();
        self.socket = None;
        self.tick_at = None;
        self.machine = Machine::new(settings(), DialAttempt(stage.now.0 - EPOCH_MS));
        stage.note(What::Began(self.life.clone()));
        let actions = self.machine.start(stage.now);
        self.perform(actions, stage);
    }

    fn think(&mut self, stage: &mut Stage) {
        if stage.now >= stage.plan.calm_at() {
            return;
        }
        if stage.plan.has(Feature::Flood) && self.id.0 == 0 {
            return self.flood(stage);
        }
        let is_dense = stage.plan.is_dense(stage.now);
        let pauses = match (is_dense, stage.plan.has(Feature::Telling)) {
            (true, _) => DENSE_THINK_MS,
            (false, true) => TELLING_THINK_MS,
            (false, false) => THINK_MS,
        };
        let pause = self.dice.random_range(pauses);
        stage.after(pause, Planned::Client(self.id, Due::Think));
        if self.life.number == 0 || self.machine.has_ended() {
            return;
        }
        // Every other one sees to it that its token is fresh.
        if self.id.0.is_multiple_of(2) && self.expires <= stage.now.plus_ms(FRESH_MS) {
            self.refresh(stage);
        }
        if is_dense {
            return self.chatter(stage);
        }
        match self.dice.random_range(0..100) {
            _ if stage.plan.has(Feature::Telling) => self.command(stage),
            0..=69 if stage.plan.has(Feature::Asking) => self.query(stage),
            // Whose goodbye is lost is noticed only where many say goodbye.
            60..=95 if stage.plan.keeps_little() => self.leave(stage),
            // A room is seen for a moment.
            60..=84 if is_room(&self.life.address) => self.leave(stage),
            0..=79 => self.command(stage),
            80..=89 => self.query(stage),
            90..=93 => self.wave(stage),
            94..=95 => self.leave(stage),
            // Two pages loaded in one millisecond would call their sockets by the same number.
            96..=97 if self.began.plus_ms(20) <= stage.now => self.reload(stage),
            _ => self.talk_much(stage),
        }
    }

    /// A fresh token for the socket that is open.
    fn refresh(&mut self, stage: &mut Stage) {
        let Some((_, attempt)) = self.socket else {
            return;
        };
        let expires = self.take_token(attempt, stage);
        let token = format!("{} {expires}", self.subject());
        let actions = self.machine.token(&token);
        self.perform(actions, stage);
    }

    fn take_token(&mut self, attempt: DialAttempt, stage: &mut Stage) -> TimeMs {
        if stage.plan.has(Feature::Tokens) {
            // Towards the end they stay good, so that everything comes to rest.
            let calm = stage.plan.calm_at().plus_ms(stage.plan.calm_ms / 2);
            self.expires = match stage.now < calm {
                true => stage.now.plus_ms(TOKEN_MS),
                false => stage.now.plus_ms(stage.plan.calm_ms),
            };
            let token = What::Token(self.life.clone(), attempt, self.expires);
            stage.note(token);
        }
        self.expires
    }

    fn subject(&self) -> String {
        format!("person-{}", self.id.0)
    }

    /// What leaves nobody in peace, and sets no timer that would.
    fn chatter(&mut self, stage: &mut Stage) {
        match self.dice.random_range(0..10) {
            0..=3 => self.add(stage),
            4..=5 => self.query(stage),
            _ => self.wave(stage),
        }
    }

    fn talk_much(&mut self, stage: &mut Stage) {
        for _ in 0..6 {
            self.command(stage);
        }
    }

    fn next_id(&mut self) -> u64 {
        self.said += 1;
        (self.id.0 as u64 + 1) * 1_000_000 + self.said
    }

    fn command(&mut self, stage: &mut Stage) {
        if !self.machine.has_room() {
            return;
        }
        let id = self.next_id();
        let payload = if stage.poison > 0 {
            stage.poison -= 1;
            json(&Command::Poison { id })
        } else {
            words(id, &stage.plan, &mut self.dice)
        };
        self.call(id, payload, stage);
    }

    fn add(&mut self, stage: &mut Stage) {
        if self.machine.has_room() {
            let id = self.next_id();
            self.call(id, json(&Command::Add { id }), stage);
        }
    }

    fn call(&mut self, id: u64, payload: Payload, stage: &mut Stage) {
        stage.note(What::Called(self.life.clone(), id));
        if let Ok((call, actions)) = self.machine.command(stage.now, payload) {
            self.calls.insert(call, id);
            self.perform(actions, stage);
        }
    }

    fn query(&mut self, stage: &mut Stage) {
        if !self.machine.has_room_for_query() {
            return;
        }
        let id = self.next_id();
        stage.note(What::Asked(self.life.clone(), id));
        if let Ok((call, actions)) = self.machine.query(stage.now, json(&Query::State)) {
            self.calls.insert(call, id);
            self.perform(actions, stage);
        }
    }

    fn wave(&mut self, stage: &mut Stage) {
        let id = self.next_id();
        stage.note(What::Waved(self.life.clone(), id));
        let actions = self.machine.ephemeral(&json(&Command::Wave { id }));
        self.perform(actions, stage);
    }

    /// Says much, as fast as it can, and nothing else.
    fn flood(&mut self, stage: &mut Stage) {
        stage.after(FLOOD_MS, Planned::Client(self.id, Due::Think));
        if self.life.number == 0 || self.machine.has_ended() {
            return;
        }
        let id = self.next_id();
        let word = json(&Command::Wave { id });
        let padded = [&word.bytes[..], &[b' '; FLOOD_BYTES]].concat();
        let padded = Payload {
            bytes: padded.into(),
            ..word
        };
        stage.note(What::Waved(self.life.clone(), id));
        let actions = self.machine.ephemeral(&padded);
        self.perform(actions, stage);
    }

    fn leave(&mut self, stage: &mut Stage) {
        let actions = self.machine.close();
        self.perform(actions, stage);
    }

    /// The page is loaded anew: the machine is gone, its socket falls, the connection id is kept.
    fn reload(&mut self, stage: &mut Stage) {
        stage.note(What::Died(self.life.clone()));
        if let Some((socket, _)) = self.socket.take() {
            if self.dice.random_bool(0.5) {
                stage.say_to_edge(socket, ToEdge::Closed(None));
            } else {
                stage.cut(socket);
            }
        }
        self.begin(stage);
    }

    fn message(&mut self, socket: SocketId, stage: &mut Stage) {
        let Some(link) = stage.links.get_mut(socket) else {
            return;
        };
        let Some(message) = link.to_client.pop_front() else {
            return;
        };
        let attempt = link.attempt;
        if self.socket != Some((socket, attempt)) {
            return;
        }
        let now = stage.now;
        let actions = match message {
            ToClient::Opened => {
                self.machine.on_open(now, attempt);
                Vec::new()
            }
            ToClient::Frame(frame, text) => self.frame(attempt, &frame, text, stage),
            ToClient::Closed(why) => {
                self.socket = None;
                let jitter = self.dice.random();
                self.machine.on_close(now, attempt, why, jitter)
            }
        };
        self.perform(actions, stage);
    }

    fn frame(
        &mut self,
        attempt: DialAttempt,
        frame: &Bytes,
        text: bool,
        stage: &mut Stage,
    ) -> Vec<Action> {
        let before = self.machine.unexpected();
        let actions = self.machine.on_frame(stage.now, attempt, frame, text);
        if self.machine.unexpected() > before {
            let frame = String::from_utf8_lossy(frame).into_owned();
            stage.note(What::Unexpected(self.life.clone(), frame));
        }
        actions
    }

    fn perform(&mut self, actions: Vec<Action>, stage: &mut Stage) {
        for action in actions {
            match action {
                Action::Dial { attempt, since } => {
                    let hello = Hello {
                        address: self.life.address.clone(),
                        subject: self.subject(),
                        connection: self.life.connection,
                        attempt,
                        since,
                        expires: self.take_token(attempt, stage),
                    };
                    self.dial(hello, stage);
                }
                Action::Write { frame, text } => {
                    if let Some((socket, _)) = self.socket {
                        stage.say_to_edge(socket, ToEdge::Frame(frame, text));
                    }
                }
                Action::Hangup { code } => {
                    if let Some((socket, _)) = self.socket.take() {
                        stage.say_to_edge(socket, ToEdge::Closed(Some(code)));
                    }
                }
                Action::Answer { call, answered } => {
                    let id = self.calls.remove(&call);
                    let id = id.expect("a machine answers each call once");
                    stage.note(What::Answered(self.life.clone(), id, answered));
                }
                Action::Show(item) => self.shown(item, stage),
            }
        }
    }

    fn shown(&mut self, item: Item, stage: &mut Stage) {
        let over = matches!(item, Item::Closed(_));
        stage.note(What::Shown(self.life.clone(), item));
        if over {
            if self.dice.random_bool(0.5) {
                self.life.connection = ConnectionId(Uuid::from_u128(self.dice.random()));
                self.life.address = address(self.dice.random_range(0..stage.plan.entities()));
            }
            let pause = self.dice.random_range(20..=1_520);
            stage.after(pause, Planned::Client(self.id, Due::Begin));
        }
    }

    fn dial(&mut self, hello: Hello, stage: &mut Stage) {
        let socket = SocketId(stage.name());
        let slot = self.dice.random_range(0..EDGES);
        let attempt = hello.attempt;
        let link = Link {
            client: self.id,
            edge: stage.doors.edge(slot),
            attempt,
            to_edge: Default::default(),
            to_client: Default::default(),
            listens: (stage.plan.has(Feature::Slow) && self.id.0 == 0).then_some(stage.now),
            cut: false,
        };
        stage.links.insert(socket, link);
        self.socket = Some((socket, attempt));
        if stage.doors.is_open(slot) {
            stage.say_to_edge(socket, ToEdge::Open(hello));
        } else {
            let lost = Lost::Transport("nobody listens".to_owned());
            stage.say_to_client(socket, ToClient::Closed(lost));
        }
    }
}

/// The entities of all lanes, by one number.
pub(super) fn address(id: u64) -> Address {
    let category = match Whose::of(id) {
        _ if id >= ENTITIES => ROOM,
        Whose::Ledger => "ledger",
        Whose::Journal => "journal",
    };
    Address::new(category, &id.to_string()).expect("a number is an id")
}

fn json(word: &impl Serialize) -> Payload {
    Payload::json(word).expect("the domain's words have a JSON form")
}

/// A command at random, which carries `id`.
fn words(id: u64, plan: &Plan, dice: &mut ChaCha8Rng) -> Payload {
    let other = dice.random_range(0..ENTITIES);
    if plan.has(Feature::Spoils) && dice.random_bool(SPOILS) {
        return json(&Command::Spoil { id });
    }
    if plan.has(Feature::Ends) && dice.random_bool(ENDS) {
        return json(&Command::End { id });
    }
    if plan.has(Feature::Rooms) && dice.random_bool(GREETS) {
        let other = dice.random_range(0..plan.entities());
        return json(&Command::Greet { id, other });
    }
    // What waits for a timer leaves the log quiet meanwhile.
    let kind = match (plan.has(Feature::Telling), plan.has(Feature::Asking)) {
        (true, _) => 59..87,
        (false, true) => 87..100,
        (false, false) => 0..100,
    };
    json(&match dice.random_range(kind) {
        0..=29 => Command::Add { id },
        30..=39 => Command::Whisper { id },
        40..=46 => Command::Boast { id },
        47..=53 => Command::Refuse { id },
        54..=58 => Command::RefuseNoted { id },
        59..=72 => Command::Ask { id, other },
        73..=86 => Command::Tell { id, other },
        87..=93 => Command::Remind {
            id,
            after_ms: dice.random_range(0..=2_000),
        },
        94..=95 => Command::Leave { id },
        _ => return Payload::text(format!(r#"{{"type":"Nonsense","data":{{"id":{id}}}}}"#)),
    })
}
