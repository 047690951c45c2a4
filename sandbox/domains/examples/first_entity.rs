//! A first entity: a counter that everybody who is connected sees rising.
//!
//! `cargo run --example first_entity`, then paste the two `connect` lines it prints into two terminals and type
//! `{"type":"Increment","data":{"by":2}}`.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use xplatform::prelude::*;

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
    Incremented { by: u64, total: u64 },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Rejection {
    TooLarge { most: u64 },
}

impl Entity for Counter {
    const CATEGORY: Category = Category::new("counter");
    type Claims = ();
    type Command = Command;
    type Query = Never;
    type Signal = Never;
    type Event = Event;
    type Output = Event;
    type Reply = u64;
    type Rejection = Rejection;

    fn decide(&self, Command::Increment { by }: Command, cx: &Cx<Self>) -> Outcome<Self> {
        let total = self.total.checked_add(by);
        let total = total.ok_or(Rejection::TooLarge {
            most: u64::MAX - self.total,
        })?;
        Ok(cx
            .decision()
            .publish(Event::Incremented { by, total })
            .reply(total))
    }

    fn apply(&mut self, Event::Incremented { total, .. }: Event) {
        self.total = total;
    }
}

fn main() -> ExitCode {
    Domain::new().host::<Counter>().run()
}

#[cfg(test)]
mod tests {
    use super::*;
    use xplatform::testkit::Scenario;

    #[test]
    fn a_counter_counts() {
        Scenario::<Counter>::new()
            .when(Command::Increment { by: 2 })
            .from("ana")
            .then_events([Event::Incremented { by: 2, total: 2 }])
            .takeover()
            .when(Command::Increment { by: u64::MAX })
            .from("bob")
            .then_rejected(Rejection::TooLarge { most: u64::MAX - 2 });
    }
}
