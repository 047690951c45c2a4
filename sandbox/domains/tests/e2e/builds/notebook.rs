//! A notebook in three builds of its domain, chosen by `NOTEBOOK_BUILD`: the tests deploy one after the other.
//!
//! The first build wrote `Written`. The second has `Noted` instead, and nobody thought of what stands in the log: it
//! cannot read it. The third can.

use std::marker::PhantomData;
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xplatform::prelude::*;
use xplatform::sdk::{Stored, Unreadable};

/// What happens in a build, and how it reads what happened.
trait Form: Clone + Serialize + for<'de> Deserialize<'de> + Send + 'static {
    fn of(text: String) -> Self;
    fn text(self) -> String;
    fn read(stored: Stored<'_>) -> Result<Self, Unreadable> {
        stored.read()
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum First {
    Written { text: String },
}

impl Form for First {
    fn of(text: String) -> Self {
        Self::Written { text }
    }

    fn text(self) -> String {
        let Self::Written { text } = self;
        text
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Second {
    Noted { line: String },
}

impl Form for Second {
    fn of(line: String) -> Self {
        Self::Noted { line }
    }

    fn text(self) -> String {
        let Self::Noted { line } = self;
        line
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Third(Second);

impl Form for Third {
    fn of(line: String) -> Self {
        Self(Second::of(line))
    }

    fn text(self) -> String {
        self.0.text()
    }

    fn read(stored: Stored<'_>) -> Result<Self, Unreadable> {
        match stored.kind().as_deref() {
            Some("Written") => Ok(Self::of(First::read(stored)?.text())),
            _ => stored.read(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Notebook<F> {
    lines: Vec<String>,
    #[serde(skip)]
    form: PhantomData<F>,
}

impl<F> Default for Notebook<F> {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            form: PhantomData,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Command {
    Write {
        line: String,
    },
    /// Has it written later.
    Remind {
        after_ms: u64,
        line: String,
    },
    /// Has it written by another notebook.
    Tell {
        notebook: String,
        line: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Signal {
    Write { line: String },
}

impl<F: Form> Entity for Notebook<F> {
    const CATEGORY: Category = Category::new("notebook");
    type Claims = ();
    type Command = Command;
    type Query = Never;
    type Signal = Signal;
    type Event = F;
    type Output = String;
    type Reply = usize;
    type Rejection = Never;

    fn decide(&self, command: Command, cx: &Cx<Self>) -> Outcome<Self> {
        let decision = cx.decision();
        let decision = match command {
            Command::Write { line } => decision.record(F::of(line.clone())).broadcast(line),
            Command::Remind { after_ms, line } => {
                let after = Duration::from_millis(after_ms);
                decision.schedule("reminder", after, Signal::Write { line })
            }
            Command::Tell { notebook, line } => {
                decision.tell(Self::at(notebook), Signal::Write { line })
            }
        };
        Ok(decision.reply(self.lines.len()))
    }

    fn signal(&self, Signal::Write { line }: Signal, cx: &SignalCx<Self>) -> Outcome<Self> {
        Ok(cx.decision().record(F::of(line.clone())).broadcast(line))
    }

    fn apply(&mut self, event: F) {
        self.lines.push(event.text());
    }

    fn read_event(stored: Stored<'_>) -> Result<Vec<F>, Unreadable> {
        Ok(vec![F::read(stored)?])
    }

    fn welcome(&self, _: &Cx<Self>) -> Vec<String> {
        self.lines.clone()
    }
}

fn main() -> ExitCode {
    match std::env::var("NOTEBOOK_BUILD").as_deref() {
        Ok("second") => Domain::new().host::<Notebook<Second>>().run(),
        Ok("third") => Domain::new().host::<Notebook<Third>>().run(),
        _ => Domain::new().host::<Notebook<First>>().run(),
    }
}
