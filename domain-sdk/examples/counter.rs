//! A first entity: a number that everybody may raise, and everybody sees.

use serde::{Deserialize, Serialize};
use xp_domain_sdk::prelude::*;
use xp_domain_sdk::testkit::{Scenario, user};

#[derive(Default, Serialize, Deserialize)]
struct Counter {
    total: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Command {
    Increment { by: u64 },
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Event {
    Incremented { by: u64 },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Output {
    Total { total: u64 },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Rejection {
    Overflow,
}

impl Entity for Counter {
    const CATEGORY: Category = Category::new("counter");
    type Claims = ();
    type Command = Command;
    type Query = Never;
    type Signal = Never;
    type Event = Event;
    type Output = Output;
    type Reply = u64;
    type Rejection = Rejection;

    fn decide(&self, Command::Increment { by }: Command, cx: &Cx<Self>) -> Outcome<Self> {
        let total = self.total.checked_add(by).ok_or(Rejection::Overflow)?;
        Ok(cx
            .decision()
            .record(Event::Incremented { by })
            .broadcast(Output::Total { total })
            .reply(total))
    }

    fn apply(&mut self, Event::Incremented { by }: Event) {
        self.total += by;
    }

    fn welcome(&self, _: &Cx<Self>) -> Shown<Self> {
        vec![Output::Total { total: self.total }]
    }
}

fn main() {
    Scenario::<Counter>::given([Event::Incremented { by: 40 }])
        .when(Command::Increment { by: 2 })
        .from(user("ana"))
        .then_events([Event::Incremented { by: 2 }])
        .then_broadcast(Output::Total { total: 42 })
        .then_reply(42)
        .when(Command::Increment { by: u64::MAX })
        .from(user("ben"))
        .then_rejected(Rejection::Overflow);
}
