//! Numbered commands over many sockets, one after the other to each in turn, and their replies: at moments fixed in
//! advance, or so many on the way at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::client::Client;
use crate::dialect::{Commands, Dialect, Role};
use crate::figures::{Spread, now};
use crate::machine::Busy;
use crate::node::Door;
use crate::pace::Pace;
use crate::sockets::Sockets;
use crate::verdict::Seen;
use crate::wire::Wire;

/// As far as the edge lets a client run ahead.
const WINDOW: usize = 64;
/// How long nothing may come before the rest is lost.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to look when nothing is due.
const A_WHILE: Duration = Duration::from_millis(100);

pub(crate) struct Load {
    sockets: Sockets,
    lanes: Vec<Lane>,
    dialect: Box<dyn Dialect>,
}

/// What one socket has said and heard.
#[derive(Default)]
struct Lane {
    said: u64,
    /// Since when each command counts that is not answered yet; the oldest first.
    open: VecDeque<Instant>,
    last_heard: Option<Instant>,
}

/// What one socket's commands have come to.
pub(crate) struct Acknowledged {
    pub(crate) count: u64,
    /// When the last answer came.
    pub(crate) last: Instant,
}

/// One round.
pub(crate) struct Run {
    pub(crate) latencies: Spread,
    pub(crate) seen: Seen,
    /// Until the last reply.
    pub(crate) took: Duration,
}

/// When the next command goes out.
#[derive(Clone, Copy)]
enum Plan {
    /// At its moment.
    Open(Pace),
    /// When fewer than so many are on the way.
    Closed { at_once: usize, count: u64 },
}

impl Load {
    /// One session for each address. Sessions are numbered from `first`.
    pub(crate) async fn join(
        door: &Door,
        addresses: impl IntoIterator<Item = String>,
        first: u32,
        payload: String,
    ) -> Result<Self> {
        let mut wires = Vec::new();
        for (session, address) in (first..).zip(addresses) {
            wires.push(Client::join(door, &address, session).await?.into_wire());
        }
        Self::of(wires, Box::new(Commands(payload)))
    }

    /// Sockets to any server that answers each message.
    pub(crate) fn of(wires: Vec<Wire>, dialect: Box<dyn Dialect>) -> Result<Self> {
        Ok(Self {
            lanes: wires.iter().map(|_| Lane::default()).collect(),
            sockets: Sockets::of(wires, dialect.framing())?,
            dialect,
        })
    }

    /// An open loop: latency counts from the moment at which a command should have gone out.
    pub(crate) fn at(&mut self, rate: u32, lasting: Duration) -> Result<Run> {
        self.run(Plan::Open(Pace::soon(rate, lasting)), |_| Ok(()))
    }

    /// So many commands with so many on the way at any moment.
    pub(crate) fn ahead(&mut self, at_once: usize, count: u64) -> Result<Run> {
        self.run(Plan::Closed { at_once, count }, |_| Ok(()))
    }

    /// An open loop in the middle of which the server is killed; it ends when all sockets have.
    pub(crate) fn until_killed(
        &mut self,
        rate: u32,
        lasting: Duration,
        kill: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let pace = Pace::soon(rate, lasting);
        let mut kill = Some(kill);
        let in_the_middle = |sent| match kill.take_if(|_| sent > pace.count() / 2) {
            Some(kill) => kill(),
            None => Ok(()),
        };
        self.run(Plan::Open(pace), in_the_middle).map(drop)
    }

    /// For each socket; each must have had an answer.
    pub(crate) fn acknowledged(&self) -> Result<Vec<Acknowledged>> {
        let one = |lane: &Lane| {
            Some(Acknowledged {
                count: lane.said - lane.open.len() as u64,
                last: lane.last_heard?,
            })
        };
        let all: Option<_> = self.lanes.iter().map(one).collect();
        all.context("a socket had no answer at all")
    }

    fn run(&mut self, plan: Plan, mut on_sent: impl FnMut(u64) -> Result<()>) -> Result<Run> {
        let Self {
            sockets,
            lanes,
            dialect,
        } = self;
        let (began, busy) = (plan.began(), Busy::from_now()?);
        let (count, mut sent, mut answered) = (plan.count(), 0, 0);
        let mut latencies = Spread::new();
        let mut seen = Seen::NOTHING;
        let (mut last_sent, mut last_heard) = (began, began);
        while answered < count && sockets.open() > 0 {
            let mut next = now() + A_WHILE;
            while sent < count {
                let socket = (sent % lanes.len() as u64) as usize;
                let lane = &mut lanes[socket];
                let at = now();
                let due = match plan {
                    Plan::Open(pace) => pace.moment(sent),
                    Plan::Closed { at_once, .. } if sent - answered < at_once as u64 => at,
                    Plan::Closed { .. } => break,
                };
                if due > at {
                    next = next.min(due);
                    break;
                }
                if lane.open.len() == WINDOW {
                    break;
                }
                lane.said += 1;
                sockets.send(socket, &dialect.say(Role::Caller(socket), lane.said))?;
                lane.open.push_back(due);
                (sent, last_sent) = (sent + 1, at);
                on_sent(sent)?;
            }
            sockets.listen(next, |heard| {
                let lane = &mut lanes[heard.socket];
                let role = Role::Caller(heard.socket);
                dialect.hear(role, heard.payload, &mut |number| {
                    if let Some(due) = lane.answered(number, heard.at, &mut seen) {
                        latencies.record(heard.at.saturating_duration_since(due));
                        (answered, last_heard) = (answered + 1, heard.at);
                    }
                })
            })?;
            if now().saturating_duration_since(last_heard.max(last_sent)) > PATIENCE {
                break;
            }
        }
        seen.lost = count - answered;
        seen.busy = busy.share()?;
        seen.achieved = plan.achieved(last_sent);
        seen.failed += sockets.closed();
        Ok(Run {
            latencies,
            seen,
            took: last_heard - began,
        })
    }
}

impl Lane {
    /// Since when the oldest command counts, which should be the one that was answered.
    fn answered(&mut self, number: u64, at: Instant, seen: &mut Seen) -> Option<Instant> {
        let oldest = self.said + 1 - self.open.len() as u64;
        seen.out_of_order += u64::from(number != oldest);
        self.last_heard = Some(at);
        self.open.pop_front()
    }
}

impl Plan {
    fn began(self) -> Instant {
        match self {
            Self::Open(pace) => pace.began(),
            Self::Closed { .. } => now(),
        }
    }

    fn count(self) -> u64 {
        match self {
            Self::Open(pace) => pace.count(),
            Self::Closed { count, .. } => count,
        }
    }

    /// The share of the rate, where there is one.
    fn achieved(self, last_sent: Instant) -> f64 {
        match self {
            Self::Open(pace) => pace.achieved(last_sent),
            Self::Closed { .. } => 1.0,
        }
    }
}
