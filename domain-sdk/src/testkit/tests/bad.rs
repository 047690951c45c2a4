//! An entity that makes every mistake there is.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::ticket_number;
use crate::entity::{Answer, Category, Cx, Decision, Entity, Outcome, Shown, SignalCx, Ticket};
use crate::word::{Never, Stored, Unreadable};

/// Makes every mistake there is, one at a time.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Bad {
    total: u64,
    hashed: HashSet<u64>,
    pairs: BTreeMap<(u8, u8), u8>,
    #[serde(skip)]
    skipped: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Event {
    Added(u64),
    Hashed(u64),
    Paired,
    Skipped,
    SkippedAdded,
    CountedOutside,
    Forgotten,
    Poison,
    DoubledByUpcaster,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Command {
    Record(Vec<Event>),
    ReadSkipped,
    CountOutside,
    NotANumber,
    Later,
    Answer(Ticket),
    AnswerTwice(Ticket),
    Keep,
    Loop,
    Ask,
    Inspect,
    Panic,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Signal {
    Again,
    Answered { ticket: Ticket, answer: Answer<Bad> },
    Question,
}

static DECIDED: AtomicU64 = AtomicU64::new(0);
static APPLIED: AtomicU64 = AtomicU64::new(0);

impl Entity for Bad {
    const CATEGORY: Category = Category::new("bad");
    type Claims = ();
    type Command = Command;
    type Query = ();
    type Signal = Signal;
    type Event = Event;
    type Output = u64;
    type Reply = f64;
    type Rejection = Never;

    fn decide(&self, command: Command, cx: &Cx<'_, Self>) -> Outcome<Self> {
        Ok(match command {
            Command::Record(events) => events
                .into_iter()
                .fold(cx.decision(), |decision, event| decision.record(event))
                .broadcast(self.total),
            Command::ReadSkipped => cx.decision().broadcast(self.skipped),
            Command::CountOutside => cx
                .decision()
                .broadcast(DECIDED.fetch_add(1, Ordering::Relaxed)),
            Command::NotANumber => cx.decision().reply(f64::NAN),
            Command::Later => cx.decision().later(),
            Command::Answer(ticket) => cx.decision().answer(ticket, Ok(1.0)),
            Command::AnswerTwice(ticket) => cx
                .decision()
                .answer(ticket, Ok(1.0))
                .answer(ticket, Ok(2.0)),
            Command::Keep => cx.decision().later().broadcast(ticket_number(cx.ticket())),
            Command::Loop => cx.decision().schedule("loop", cx.now(), Signal::Again),
            Command::Ask => {
                let ticket = cx.ticket();
                let answered = |answer| Signal::Answered { ticket, answer };
                cx.decision()
                    .later()
                    .ask(Bad::at("2"), Signal::Question, answered)
            }
            Command::Inspect => cx.decision().ask(Bad::at("2"), Signal::Question, |answer| {
                match answer.result() {
                    Ok(_) | Err(_) => Signal::Again,
                }
            }),
            Command::Panic => panic!("on purpose"),
        })
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Added(n) => self.total += n,
            Event::Hashed(n) => {
                self.hashed.insert(n);
            }
            Event::Paired => {
                self.pairs.insert((1, 2), 3);
            }
            Event::Skipped => {
                self.skipped += 1;
                self.total += 1;
            }
            Event::SkippedAdded => self.total += 1 + self.skipped,
            Event::CountedOutside => self.total += APPLIED.fetch_add(1, Ordering::Relaxed) + 1,
            Event::Forgotten | Event::DoubledByUpcaster => {}
            Event::Poison => panic!("poisoned"),
        }
    }

    fn signal(&self, signal: Signal, cx: &SignalCx<'_, Self>) -> Outcome<Self> {
        Ok(match signal {
            Signal::Again => cx.decision().schedule("loop", cx.now(), Signal::Again),
            Signal::Answered { ticket, answer } => cx
                .decision()
                .answer(ticket, Ok(answer.result().unwrap_or(-1.0))),
            Signal::Question => cx.decision().reply(42.0),
        })
    }

    fn answer(&self, (): (), _: &Cx<'_, Self>) -> Result<f64, Never> {
        Ok(self.skipped as f64)
    }

    fn welcome(&self, _: &Cx<'_, Self>) -> Shown<Self> {
        vec![self.skipped]
    }

    fn disconnected(&self, cx: &Cx<'_, Self>) -> Decision<Self> {
        cx.decision()
            .broadcast(u64::from(cx.session().is_attached()))
    }

    fn read_event(stored: Stored<'_>) -> Result<Vec<Event>, Unreadable> {
        let event: Event = stored.read()?;
        Ok(if matches!(event, Event::DoubledByUpcaster) {
            vec![event.clone(), event]
        } else {
            vec![event]
        })
    }
}
