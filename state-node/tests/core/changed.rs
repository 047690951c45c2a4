//! The ledger as another build of the domain might have it: with an `apply` that does something else.

use serde::{Deserialize, Serialize};
use xp_domain_sdk::prelude::*;

use crate::ledger::{Event, No};

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Changed {
    entries: Vec<String>,
    present: u32,
    poisoned: bool,
}

impl Entity for Changed {
    const CATEGORY: Category = Category::new("ledger");
    type Claims = ();
    type Command = serde_json::Value;
    type Query = ();
    type Signal = ();
    type Event = Event;
    type Output = ();
    type Reply = usize;
    type Rejection = No;

    fn decide(&self, _: Self::Command, cx: &Cx<'_, Self>) -> Outcome<Self> {
        Ok(cx.decision().reply(self.entries.len()))
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Added { entry } if entry == "unknown" => panic!("a bug in apply"),
            Event::Added { entry } => self.entries.push(entry.to_uppercase()),
            Event::Spoilt => self.poisoned = true,
            Event::Slow => {}
            Event::Joined => self.present += 1,
            Event::Left => self.present -= 1,
        }
    }
}
