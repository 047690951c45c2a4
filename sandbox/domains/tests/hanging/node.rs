//! A platform whose domain does not always return, or ends its process: a node for tests, which hosts nothing else.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use xplatform::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Counter {
    counted: u64,
}

#[derive(Serialize, Deserialize)]
enum Command {
    Count,
    Hang,
    Abort,
}

#[derive(Clone, Serialize, Deserialize)]
struct Counted;

impl Entity for Counter {
    const CATEGORY: Category = Category::new("counter");
    type Claims = ();
    type Command = Command;
    type Query = Never;
    type Signal = Never;
    type Event = Counted;
    type Output = Counted;
    type Reply = u64;
    type Rejection = Never;

    fn decide(&self, command: Command, cx: &Cx<Self>) -> Outcome<Self> {
        match command {
            Command::Count => Ok(cx.decision().record(Counted).reply(self.counted + 1)),
            Command::Hang => loop {
                std::thread::park();
            },
            Command::Abort => std::process::abort(),
        }
    }

    fn apply(&mut self, Counted: Counted) {
        self.counted += 1;
    }
}

fn main() -> ExitCode {
    Domain::new().host::<Counter>().run()
}
