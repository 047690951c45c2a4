//! The task behind a client: it owns the machine and the socket, and carries out what the machine says.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use xp_protocol::{ConnectionId, DialAttempt, TimeMs};

use crate::backlog::Backlog;
use crate::dial::{Dialler, Target};
use crate::item::{Answer, End, Error, Item, Lost, Payload};
use crate::link::{Happening, Link};
use crate::machine::{Action, Call, Machine, NotNow};
use crate::options::Options;
use crate::token::{Refresher, unix_ms};

/// Where the answer of a call goes.
pub(crate) type AnswerTo = oneshot::Sender<Result<Answer, Error>>;

/// A command or a query.
pub(crate) struct Request {
    pub(crate) payload: Payload,
    pub(crate) answer: AnswerTo,
}

/// What needs no answer.
pub(crate) enum Notice {
    Ephemeral(Payload),
    Refresh,
    Close(oneshot::Sender<()>),
}

/// The ends of the channels that the task holds.
pub(crate) struct Inlets {
    pub(crate) commands: mpsc::Receiver<Request>,
    pub(crate) queries: mpsc::Receiver<Request>,
    pub(crate) notices: mpsc::Receiver<Notice>,
    pub(crate) items: mpsc::Sender<Item>,
    /// Tells whoever comes too late why it is over.
    pub(crate) over: Arc<OnceLock<End>>,
}

/// What woke the task up.
enum Wake {
    Command(Request),
    Query(Request),
    Notice(Notice),
    Link(Happening),
    ItemMoved,
    Token(String),
    Tick,
    HandlesGone,
    Abandoned,
}

pub(crate) struct Driver {
    machine: Machine,
    link: Link,
    /// The attempt of the link's socket.
    attempt: DialAttempt,
    dialler: Dialler,
    outbox_max: usize,
    refresher: Refresher,
    calls: HashMap<Call, AnswerTo>,
    backlog: Backlog,
    handles_gone: bool,
    closing: Vec<oneshot::Sender<()>>,
    goodbye: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    start: Instant,
}

impl Driver {
    pub(crate) fn new(options: Options, target: Target, connection: ConnectionId) -> Self {
        let before = options.attempt.unwrap_or_else(|| DialAttempt(unix_ms()));
        Self {
            machine: Machine::new(options.settings, before),
            link: Link::Down,
            attempt: before,
            dialler: Dialler::new(target, connection, options.tokens.clone()),
            outbox_max: options.outbox_max,
            refresher: Refresher::new(options.tokens, options.refresh_before),
            calls: HashMap::new(),
            backlog: Backlog::default(),
            handles_gone: false,
            closing: Vec::new(),
            goodbye: None,
            start: Instant::now(),
        }
    }

    pub(crate) async fn run(mut self, mut inlets: Inlets) {
        let actions = self.machine.start(self.now());
        self.carry_out(actions, &inlets.items);
        while !self.machine.has_ended() {
            let actions = match self.wake(&mut inlets).await {
                // The session keeps its grace: nobody said that it is over.
                Wake::Abandoned => return self.link.hang_up(1001).await,
                wake => self.handle(wake),
            };
            self.carry_out(actions, &inlets.items);
        }
        self.finish(inlets).await;
    }

    async fn wake(&mut self, inlets: &mut Inlets) -> Wake {
        let reading = self.backlog.is_empty();
        let tick = self.machine.next_tick();
        let tick = tick.map(|at| self.start + std::time::Duration::from_millis(at.0));
        tokio::select! {
            Some(request) = inlets.commands.recv(), if self.machine.has_room() => Wake::Command(request),
            Some(request) = inlets.queries.recv(), if self.machine.has_room_for_query() => {
                Wake::Query(request)
            }
            notice = inlets.notices.recv(), if !self.handles_gone => {
                notice.map_or(Wake::HandlesGone, Wake::Notice)
            }
            () = self.backlog.move_one(&inlets.items), if !reading => Wake::ItemMoved,
            happening = self.link.next(reading) => Wake::Link(happening),
            token = self.refresher.next() => Wake::Token(token),
            () = at(tick), if reading => Wake::Tick,
            () = inlets.items.closed(), if self.handles_gone => Wake::Abandoned,
        }
    }

    fn handle(&mut self, wake: Wake) -> Vec<Action> {
        let now = self.now();
        match wake {
            Wake::Command(request) => {
                let taken = self.machine.command(now, request.payload);
                self.register(taken, request.answer)
            }
            Wake::Query(request) => {
                let taken = self.machine.query(now, request.payload);
                self.register(taken, request.answer)
            }
            Wake::Notice(notice) => self.notice(notice),
            Wake::Link(happening) => self.happened(now, happening),
            Wake::Token(token) => self.machine.token(&token),
            Wake::Tick => self.machine.on_tick(now, jitter()),
            Wake::ItemMoved => {
                self.machine.still_there(now);
                Vec::new()
            }
            Wake::HandlesGone => {
                self.handles_gone = true;
                Vec::new()
            }
            Wake::Abandoned => Vec::new(),
        }
    }

    fn register(
        &mut self,
        taken: Result<(Call, Vec<Action>), NotNow>,
        answer: AnswerTo,
    ) -> Vec<Action> {
        let (call, actions) = taken.expect("requests are received only while there is room");
        self.calls.insert(call, answer);
        actions
    }

    fn notice(&mut self, notice: Notice) -> Vec<Action> {
        match notice {
            Notice::Ephemeral(_) if self.link.is_full(self.outbox_max) => Vec::new(),
            Notice::Ephemeral(payload) => self.machine.ephemeral(&payload),
            Notice::Refresh => {
                self.refresher.refresh();
                Vec::new()
            }
            Notice::Close(done) => {
                self.closing.push(done);
                self.machine.close()
            }
        }
    }

    fn happened(&mut self, now: TimeMs, happening: Happening) -> Vec<Action> {
        match happening {
            Happening::Opened(token) => {
                self.refresher.uses(token, unix_ms());
                self.machine.on_open(now, self.attempt);
                Vec::new()
            }
            Happening::Frame { frame, text } => {
                self.machine.on_frame(now, self.attempt, &frame, text)
            }
            Happening::Gone(why) => self.lost(now, why),
        }
    }

    fn lost(&mut self, now: TimeMs, why: Lost) -> Vec<Action> {
        self.refresher.stop();
        self.machine.on_close(now, self.attempt, why, jitter())
    }

    fn carry_out(&mut self, actions: Vec<Action>, items: &mpsc::Sender<Item>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Dial { attempt, since } => {
                    self.attempt = attempt;
                    self.link = Link::Dialling(self.dialler.dial(attempt, since));
                }
                Action::Write { .. } if self.link.is_full(self.outbox_max) => {
                    self.hang_up(1001);
                    let why = Lost::Transport("the server does not read".to_owned());
                    actions.extend(self.lost(self.now(), why));
                }
                Action::Write { frame, text } => self.link.write(frame, text),
                Action::Hangup { code } => self.hang_up(code),
                Action::Answer { call, answered } => {
                    if let Some(to) = self.calls.remove(&call) {
                        // Whoever no longer waits for an answer does not miss it.
                        let _ = to.send(Ok(answered.answer));
                    }
                }
                Action::Show(item) => self.backlog.show(item, items),
            }
        }
    }

    fn hang_up(&mut self, code: u16) {
        self.refresher.stop();
        let goodbye = self.link.hang_up(code);
        if self.machine.has_ended() {
            self.goodbye = Some(Box::pin(goodbye));
        } else {
            tokio::spawn(goodbye);
        }
    }

    async fn finish(mut self, mut inlets: Inlets) {
        let end = self.machine.end().cloned().unwrap_or(End::Left);
        let over = inlets.over.get_or_init(|| end.clone()).clone();
        inlets.commands.close();
        inlets.queries.close();
        for (_, to) in self.calls.drain() {
            // Whoever no longer waits for an answer does not miss it.
            let _ = to.send(Err(Error::Ended(over.clone())));
        }
        if let Some(goodbye) = self.goodbye.take() {
            goodbye.await;
        }
        self.closing.clear();
        drop((inlets.commands, inlets.queries, inlets.notices));
        while !self.backlog.is_empty() {
            self.backlog.move_one(&inlets.items).await;
        }
    }

    fn now(&self) -> TimeMs {
        let elapsed = self.start.elapsed().as_millis();
        TimeMs(u64::try_from(elapsed).expect("no process lives for half a billion years"))
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the shell draws the randomness that the machine takes as an argument"
)]
fn jitter() -> u64 {
    rand::Rng::random(&mut rand::rng())
}
