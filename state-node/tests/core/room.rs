//! A room: people come and go and nothing is written down, until somebody says something.

use serde::{Deserialize, Serialize};
use xp_domain_sdk::prelude::*;

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Room {
    said: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Said(String);

impl Entity for Room {
    const CATEGORY: Category = Category::new("room");
    type Claims = serde_json::Value;
    type Command = String;
    type Query = ();
    type Signal = String;
    type Event = Said;
    type Output = String;
    type Reply = usize;
    type Rejection = Never;

    fn decide(&self, said: String, cx: &Cx<'_, Self>) -> Outcome<Self> {
        Ok(cx.decision().record(Said(said)).reply(self.said.len()))
    }

    fn signal(&self, _: String, cx: &SignalCx<'_, Self>) -> Outcome<Self> {
        Ok(cx.decision())
    }

    fn apply(&mut self, Said(said): Said) {
        self.said.push(said);
    }
}
