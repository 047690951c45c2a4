//! A counter that people watch: a state that does not grow, so that each turn takes what the one before took.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xp_domain_sdk::Domain;
use xp_domain_sdk::prelude::*;
use xp_protocol::MessageNumber;
use xp_protocol::inbound::ClientAction;
use xp_state_node::store::MemoryStore;
use xp_transport::Stored as Heard;

use crate::desk::{ANA, Append, Desk, Socket, bounded};

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Counter {
    total: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum Command {
    Increment { by: u64 },
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum Event {
    Incremented { by: u64, total: u64 },
}

impl Entity for Counter {
    const CATEGORY: Category = Category::new("ledger");
    type Claims = ();
    type Command = Command;
    type Query = Never;
    type Signal = Never;
    type Event = Event;
    type Output = Event;
    type Reply = u64;
    type Rejection = Never;

    fn decide(&self, Command::Increment { by }: Command, cx: &Cx<'_, Self>) -> Outcome<Self> {
        let total = self.total.wrapping_add(by);
        let happened = Event::Incremented { by, total };
        Ok(cx.decision().publish(happened).reply(total))
    }

    fn apply(&mut self, Event::Incremented { total, .. }: Event) {
        self.total = total;
    }
}

/// The owner of a counter that has been counting for a while, and each step of its next turn by itself.
pub(crate) struct Counting {
    pub(crate) desk: Desk,
    commands: u64,
}

impl Counting {
    /// `watchers` are connected; the first of them counts.
    pub(crate) fn watched_by(watchers: u128) -> Self {
        let limits = bounded(|limits| limits.sessions.per_subject = 10_000);
        let domain = Domain::new().host::<Counter>().registry().clone();
        let mut desk = Desk::of(domain, limits, Arc::new(MemoryStore::default()));
        desk.own();
        let others = (0..watchers).map(|connection| Socket { connection, ..ANA });
        desk.connect_together(&others.collect::<Vec<_>>());
        desk.settle();
        let mut counting = Self { desk, commands: 0 };
        (0..100).for_each(|_| counting.count());
        counting
    }

    /// One more command, as it is read from `inbound`.
    pub(crate) fn command(&mut self) -> Heard {
        self.commands += 1;
        let action = ClientAction::Send {
            n: MessageNumber(self.commands),
            text: true,
        };
        let first = Socket {
            connection: 0,
            ..ANA
        };
        let command = r#"{"type":"Increment","data":{"by":1}}"#;
        self.desk.heard_from(first, action, command)
    }

    /// The one append that a command led to.
    pub(crate) fn append(&mut self) -> Append {
        self.desk.perform();
        assert_eq!(self.desk.appends.len(), 1, "one turn, one append");
        self.desk.appends.pop_front().unwrap()
    }

    /// Ends the turn: all that leaves arrives.
    pub(crate) fn finish(&mut self) {
        self.desk.perform();
        self.desk.arrive();
        let total = format!(r#""total":{}"#, self.commands);
        let heard = self.desk.heard().join("\n");
        assert!(heard.contains(&total), "{heard}");
    }

    /// A whole turn.
    pub(crate) fn count(&mut self) {
        let command = self.command();
        self.desk.core.on_inbound(&[command], self.desk.at());
        let append = self.append();
        let results = self.desk.append(&append.records);
        self.desk.answer(&append, results);
        self.finish();
    }
}
