//! A small entity with every trait of the platform's life in it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};

use serde::{Deserialize, Serialize};
use xp_domain_sdk::prelude::*;

/// Where a command waits that does not return before the test is over.
pub(crate) static HANG: Gate = Gate {
    open: Mutex::new(false),
    opens: Condvar::new(),
};

/// Where the first command waits that hangs once.
pub(crate) static HANG_ONCE: Gate = Gate {
    open: Mutex::new(false),
    opens: Condvar::new(),
};
static HAS_HUNG: AtomicBool = AtomicBool::new(false);

/// Where an event waits while it is applied.
pub(crate) static APPLY: Gate = Gate {
    open: Mutex::new(true),
    opens: Condvar::new(),
};

pub(crate) struct Gate {
    open: Mutex<bool>,
    opens: Condvar,
}

impl Gate {
    fn wait(&self) {
        let open = self.open.lock().unwrap();
        drop(self.opens.wait_while(open, |open| !*open).unwrap());
    }

    #[allow(dead_code, reason = "only the tests of the pure core stop who applies")]
    pub(crate) fn close(&self) {
        *self.open.lock().unwrap() = false;
    }

    pub(crate) fn release(&self) {
        *self.open.lock().unwrap() = true;
        self.opens.notify_all();
    }
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    entries: Vec<String>,
    present: u32,
    poisoned: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum Command {
    Add { entry: String },
    Panic,
    Hang,
    HangOnce,
    ApplySlowly,
    SpoilApply,
    Grow { bytes: usize },
    Alarm { ms: u64 },
    Bomb { ms: u64 },
    Borrow { from: String, entry: String },
    Remind { ms: u64, of: String },
    Later { ms: u64 },
    Nothing,
    Kick,
    End,
    Whisper { text: String },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum Event {
    Added { entry: String },
    Spoilt,
    Slow,
    Joined,
    Left,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum Signal {
    Alarm,
    Bomb,
    Answer {
        ticket: Ticket,
    },
    Remind {
        of: String,
    },
    Lend {
        entry: String,
    },
    Lent {
        ticket: Ticket,
        answer: Answer<Ledger>,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum Output {
    All { entries: Vec<String>, present: u32 },
    Added { entry: String },
    Text { text: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum No {
    Guests,
    Empty,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Who {
    #[serde(default)]
    guest: bool,
    #[serde(default)]
    spoils: bool,
    #[serde(default)]
    greets: bool,
    #[serde(default)]
    mourns: bool,
}

impl Entity for Ledger {
    const CATEGORY: Category = Category::new("ledger");
    type Claims = Who;
    type Command = Command;
    type Query = ();
    type Signal = Signal;
    type Event = Event;
    type Output = Output;
    type Reply = usize;
    type Rejection = No;

    fn decide(&self, command: Command, cx: &Cx<'_, Self>) -> Outcome<Self> {
        Ok(match command {
            Command::Add { entry } if entry.is_empty() => return Err(No::Empty),
            Command::Add { entry } => self.add(entry, cx.decision()),
            Command::Panic => panic!("a bug in decide"),
            Command::Hang => {
                HANG.wait();
                cx.decision().later()
            }
            Command::HangOnce => {
                if !HAS_HUNG.swap(true, Ordering::Relaxed) {
                    HANG_ONCE.wait();
                }
                self.add("hung".to_owned(), cx.decision())
            }
            Command::ApplySlowly => cx.decision().record(Event::Slow),
            Command::SpoilApply => cx.decision().record(Event::Spoilt),
            Command::Grow { bytes } => self.add("x".repeat(bytes), cx.decision()),
            Command::Alarm { ms } => {
                cx.decision()
                    .schedule("alarm", std::time::Duration::from_millis(ms), Signal::Alarm)
            }
            Command::Bomb { ms } => {
                cx.decision()
                    .schedule("bomb", std::time::Duration::from_millis(ms), Signal::Bomb)
            }
            Command::Borrow { from, entry } => {
                let ticket = cx.ticket();
                let lent = move |answer| Signal::Lent { ticket, answer };
                cx.decision()
                    .ask(Self::at(from), Signal::Lend { entry }, lent)
                    .later()
            }
            Command::Remind { ms, of } => {
                let after = std::time::Duration::from_millis(ms);
                cx.decision()
                    .schedule("remind", after, Signal::Remind { of })
            }
            Command::Later { ms } => {
                let signal = Signal::Answer {
                    ticket: cx.ticket(),
                };
                cx.decision()
                    .schedule("later", std::time::Duration::from_millis(ms), signal)
                    .later()
            }
            Command::Nothing => cx.decision().later(),
            Command::Kick => cx.decision().terminate(cx.connection()),
            Command::End => cx.decision().end(),
            Command::Whisper { text } => cx
                .decision()
                .broadcast(Output::Text {
                    text: "for all".to_owned(),
                })
                .whisper(cx.connection(), Output::Text { text }),
        })
    }

    fn signal(&self, signal: Signal, cx: &SignalCx<'_, Self>) -> Outcome<Self> {
        Ok(match signal {
            Signal::Alarm => self.add("alarm".to_owned(), cx.decision()),
            Signal::Bomb => cx.decision().record(Event::Spoilt),
            Signal::Answer { ticket } => cx.decision().answer(ticket, Ok(7)),
            Signal::Remind { of } => {
                let entry = "reminded".to_owned();
                cx.decision().tell(Self::at(of), Signal::Lend { entry })
            }
            Signal::Lend { entry } if entry.is_empty() => return Err(No::Empty),
            Signal::Lend { entry } => self.add(entry, cx.decision()),
            Signal::Lent { ticket, answer } => match answer.result() {
                Ok(reply) => cx.decision().answer(ticket, Ok(reply + 100)),
                Err(_) => cx.decision().answer(ticket, Err(No::Empty)),
            },
        })
    }

    fn answer(&self, (): (), _: &Cx<'_, Self>) -> Result<usize, No> {
        Ok(self.entries.len())
    }

    fn connected(&self, cx: &Cx<'_, Self>) -> Outcome<Self> {
        if cx.claims().guest {
            return Err(No::Guests);
        }
        let joined = if cx.claims().spoils {
            Event::Spoilt
        } else {
            Event::Joined
        };
        let decision = cx.decision().record(joined);
        if !cx.claims().greets {
            return Ok(decision);
        }
        let text = |text: &str| Output::Text {
            text: text.to_owned(),
        };
        Ok(decision
            .broadcast(text("somebody came"))
            .whisper(cx.connection(), text("you came")))
    }

    /// Who mourns writes down how many entries there are, and who is still there.
    fn disconnected(&self, cx: &Cx<'_, Self>) -> Decision<Self> {
        if !cx.claims().mourns {
            return cx.decision();
        }
        let here = cx
            .sessions()
            .filter(|session| session.is_attached())
            .count();
        let entry = format!("{} written, {here} here", self.entries.len());
        self.add(entry, cx.decision())
    }

    fn reconnected(&self, cx: &Cx<'_, Self>) -> Decision<Self> {
        match cx.claims().greets {
            true => cx.decision().broadcast(Output::Text {
                text: "somebody is back".to_owned(),
            }),
            false => cx.decision(),
        }
    }

    fn terminated(&self, _: Termination, cx: &Cx<'_, Self>) -> Decision<Self> {
        cx.decision().record(Event::Left)
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Added { entry } => self.entries.push(entry),
            Event::Spoilt => panic!("a bug in apply"),
            Event::Slow => APPLY.wait(),
            Event::Joined => self.present += 1,
            Event::Left => self.present -= 1,
        }
    }

    fn welcome(&self, _: &Cx<'_, Self>) -> Vec<Output> {
        vec![Output::All {
            entries: self.entries.clone(),
            present: self.present,
        }]
    }
}

impl Ledger {
    fn add(&self, entry: String, decision: Decision<Self>) -> Decision<Self> {
        decision
            .record(Event::Added {
                entry: entry.clone(),
            })
            .broadcast(Output::Added { entry })
            .reply(self.entries.len() + 1)
    }
}
