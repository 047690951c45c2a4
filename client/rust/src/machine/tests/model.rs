//! The machine against a model of the server, over a network that cuts, sheds and loses. Checked apart from
//! both: every command takes effect once and in order, every call has the answer of its own command once,
//! and what is shown is the log without gap or repetition, or an explicit new start.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

/// How many commits the model remembers for resuming; older ones make it start over.
const RECENT: u64 = 6;

/// What the network and the server do next.
#[derive(Clone, Debug)]
enum Step {
    Command,
    Query,
    /// The server reads so many frames.
    Serve(usize),
    /// The client reads so many frames.
    Read(usize),
    /// The socket breaks; what was on its way is lost.
    Cut,
    /// The server closes with this code.
    Close(CloseCode),
    /// The server loses its next answer outside the chain (R22).
    LoseAnswer,
    /// The edge sheds the next new command.
    Shed,
    /// Somebody else changes the entity.
    Other,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Command),
        1 => Just(Step::Query),
        4 => (1..6_usize).prop_map(Step::Serve),
        4 => (1..6_usize).prop_map(Step::Read),
        1 => Just(Step::Cut),
        1 => Just(Step::Close(CloseCode::ComeBack)),
        1 => Just(Step::LoseAnswer),
        1 => Just(Step::Shed),
        2 => Just(Step::Other),
        3 => (1..3_000_u64).prop_map(Step::Wait),
    ]
}

/// The server's side: one session, and the log of who changed the entity.
#[derive(Default)]
struct Server {
    log: Vec<String>,
    last: u64,
    answers: BTreeMap<u64, String>,
    lose: bool,
    shed: bool,
    /// The edge's `busy` holds from this number on.
    held: Option<u64>,
    passed: u64,
}

impl Server {
    fn revision(&self) -> u64 {
        self.log.len() as u64
    }

    fn commit(&mut self, what: &str) -> String {
        self.log.push(what.to_owned());
        format!("event {} {what}", self.revision())
    }

    fn connect(&mut self, since: Option<u64>) -> Vec<String> {
        (self.held, self.passed, self.lose) = (None, self.last, false);
        let (revision, last) = (self.revision(), self.last);
        match since {
            Some(since) if since + RECENT >= revision => {
                let missed =
                    (since..revision).map(|r| format!("event {} {}", r + 1, self.log[r as usize]));
                [format!("welcome {since} {last} resumed")]
                    .into_iter()
                    .chain(missed)
                    .collect()
            }
            _ => vec![format!("welcome {revision} {last} fresh {revision}")],
        }
    }

    /// The answer frames, or `None` when the socket is closed because numbers have a hole.
    fn take(&mut self, frame: &[u8]) -> Option<Vec<String>> {
        match ClientFrame::parse(frame).unwrap() {
            ClientFrame::Send { n, payload } => {
                self.send(n.0, std::str::from_utf8(payload).unwrap())
            }
            ClientFrame::Ask { tag, .. } => {
                let answer = format!("reply ?{} {} {}", tag.0, self.revision(), self.revision());
                Some(self.outside_the_chain(answer))
            }
            ClientFrame::Ping(text) => Some(vec![format!("pong {text} 0")]),
            other => panic!("the machine did not mean to send {other:?}"),
        }
    }

    fn send(&mut self, n: u64, payload: &str) -> Option<Vec<String>> {
        if self.sheds(n) {
            return Some(vec![format!("busy {n} 100")]);
        }
        self.passed = self.passed.max(n);
        if n <= self.last {
            let stored = self.answers[&n].clone();
            return Some(self.outside_the_chain(stored));
        }
        if n > self.last + 1 {
            return None;
        }
        self.last = n;
        let event = self.commit(payload);
        let answer = format!("reply {n} {} {payload}", self.revision());
        self.answers.insert(n, answer.clone());
        let mut frames = vec![event];
        frames.append(&mut self.outside_the_chain(answer));
        Some(frames)
    }

    fn sheds(&mut self, n: u64) -> bool {
        match self.held {
            Some(held) if n > held => return true,
            Some(held) if n == held => self.held = None,
            _ => {}
        }
        if n > self.passed && std::mem::take(&mut self.shed) {
            self.held = Some(n);
            return true;
        }
        false
    }

    fn outside_the_chain(&mut self, answer: String) -> Vec<String> {
        if std::mem::take(&mut self.lose) {
            Vec::new()
        } else {
            vec![answer]
        }
    }
}

struct World {
    machine: Machine,
    now: TimeMs,
    server: Server,
    socket: Option<DialAttempt>,
    to_server: VecDeque<Bytes>,
    to_client: VecDeque<String>,
    /// The client has read a `busy` for this number: nothing from there on goes out before this time.
    busy: Option<(u64, TimeMs)>,
    /// The payload of each call, until it is answered.
    waiting: BTreeMap<Call, String>,
    given: Vec<String>,
    /// What the application has been shown of the log.
    shown: u64,
    others: u64,
}

impl World {
    fn new(window: usize) -> Self {
        let settings = Settings {
            window,
            ..Settings::default()
        };
        let mut world = Self {
            machine: Machine::new(settings, DialAttempt(0)),
            now: TimeMs(0),
            server: Server::default(),
            socket: None,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            busy: None,
            waiting: BTreeMap::new(),
            given: Vec::new(),
            shown: 0,
            others: 0,
        };
        let actions = world.machine.start(world.now);
        world.carry_out(actions);
        world
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Command => self.command(),
            Step::Query => self.query(),
            Step::Serve(frames) => (0..frames).for_each(|_| self.serve()),
            Step::Read(frames) => (0..frames).for_each(|_| self.read()),
            Step::Cut => self.break_socket(broken()),
            Step::Close(code) => self.break_socket(Lost::Code(code.number(), "".into())),
            Step::LoseAnswer => self.server.lose = true,
            Step::Shed => self.server.shed = true,
            Step::Other => self.other(),
            Step::Wait(ms) => self.wait(ms),
        }
    }

    fn command(&mut self) {
        let text = format!("c{}", self.given.len());
        if let Ok((call, actions)) = self.machine.command(self.now, Payload::text(text.as_str())) {
            self.given.push(text.clone());
            self.waiting.insert(call, text);
            self.carry_out(actions);
        }
    }

    fn query(&mut self) {
        if let Ok((call, actions)) = self.machine.query(self.now, Payload::text("?")) {
            self.waiting.insert(call, String::new());
            self.carry_out(actions);
        }
    }

    fn other(&mut self) {
        self.others += 1;
        let event = self.server.commit(&format!("o{}", self.others));
        if self.socket.is_some() {
            self.to_client.push_back(event);
        }
    }

    fn serve(&mut self) {
        let Some(frame) = self.to_server.pop_front() else {
            return;
        };
        match self.server.take(&frame) {
            Some(frames) => self.to_client.extend(frames),
            None => panic!("the machine left a hole before {frame:?}"),
        }
    }

    fn read(&mut self) {
        let (Some(attempt), Some(frame)) = (self.socket, self.to_client.pop_front()) else {
            return;
        };
        if let Ok(ServerFrame::Busy {
            id: RequestId::Number(n),
            retry_ms,
        }) = ServerFrame::parse(frame.as_bytes())
            && self.busy.is_none_or(|(busy, _)| n.0 < busy)
        {
            self.busy = Some((n.0, self.now.plus_ms(retry_ms)));
        }
        let actions = self
            .machine
            .on_frame(self.now, attempt, &Bytes::from(frame), true);
        self.carry_out(actions);
    }

    fn break_socket(&mut self, why: Lost) {
        let Some(attempt) = self.socket.take() else {
            return;
        };
        self.to_server.clear();
        self.to_client.clear();
        let actions = self.machine.on_close(self.now, attempt, why, 7);
        self.carry_out(actions);
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        while let Some(at) = self.machine.next_tick().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            let actions = self.machine.on_tick(self.now, 7);
            self.carry_out(actions);
        }
        self.now = until;
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Dial { attempt, since } => {
                    self.to_server.clear();
                    self.busy = None;
                    self.to_client = self.server.connect(since.map(|r| r.0)).into();
                    self.socket = Some(attempt);
                    self.machine.on_open(self.now, attempt);
                }
                Action::Write { frame, .. } => {
                    self.check_hold(&frame);
                    self.to_server.push_back(frame);
                }
                Action::Hangup { .. } => self.socket = None,
                Action::Answer { call, answered } => {
                    // It was sent again after silence, and then taken.
                    let taken = |n: u64| answered.id == RequestId::Number(MessageNumber(n));
                    self.busy = self.busy.filter(|(busy, _)| !taken(*busy));
                    self.check_answer(call, &answered.answer);
                }
                Action::Show(item) => self.check_item(item),
            }
        }
    }

    /// R30: nothing later passes before a command that was shed.
    fn check_hold(&mut self, frame: &[u8]) {
        let (Some((busy, until)), Ok(ClientFrame::Send { n, .. })) =
            (self.busy, ClientFrame::parse(frame))
        else {
            return;
        };
        assert!(n.0 <= busy, "{} passes {busy}, which was shed", n.0);
        if n.0 == busy {
            assert!(self.now >= until, "{busy} is sent again too early");
            self.busy = None;
        }
    }

    fn check_answer(&mut self, call: Call, answer: &Answer) {
        let asked = self.waiting.remove(&call).expect("a call is answered once");
        let Answer::Reply { payload, .. } = answer else {
            panic!("{answer:?}")
        };
        if !asked.is_empty() {
            assert_eq!(payload.bytes, asked.as_bytes(), "the answer of another");
        }
    }

    fn check_item(&mut self, item: Item) {
        match item {
            Item::Welcome { revision, .. } | Item::StartedOver { revision, .. } => {
                self.shown = revision.0;
            }
            Item::Resumed { since } => assert_eq!(since.0, self.shown),
            Item::Event { revision, payload } => {
                assert_eq!(revision.0, self.shown + 1, "a gap or a repetition");
                let logged = &self.server.log[self.shown as usize];
                assert_eq!(payload.bytes, logged.as_bytes());
                self.shown = revision.0;
            }
            Item::Lost { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    /// The network heals: everything is answered and shown.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.wait(500);
            for _ in 0..200 {
                self.serve();
                self.read();
            }
            if self.waiting.is_empty() && self.shown == self.server.revision() {
                return;
            }
        }
        panic!(
            "{} calls wait for ever, {} of {} are shown",
            self.waiting.len(),
            self.shown,
            self.server.revision()
        );
    }

    fn check_history(&self) {
        let ours: Vec<_> = self
            .server
            .log
            .iter()
            .filter(|e| e.starts_with('c'))
            .collect();
        assert_eq!(ours, self.given.iter().collect::<Vec<_>>());
        assert_eq!(self.machine.unexpected(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn commands_take_effect_once_and_in_order_and_what_is_shown_is_the_log(
        window in 1..9_usize,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(window);
        for step in steps {
            world.step(step);
        }
        world.settle();
        world.check_history();
    }
}
