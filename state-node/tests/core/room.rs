//! A room: people come and go and nothing is written down, until somebody says something.

use serde::{Deserialize, Serialize};
use xp_domain_sdk::prelude::*;

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Room {
    said: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Said(String);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    Say(String),
    Again { at_ms: u64, times: usize },
}

impl Entity for Room {
    const CATEGORY: Category = Category::new("room");
    type Claims = ();
    type Command = Word;
    type Query = ();
    type Signal = Word;
    type Event = Said;
    type Output = String;
    type Reply = usize;
    type Rejection = Never;

    fn decide(&self, word: Word, cx: &Cx<'_, Self>) -> Outcome<Self> {
        let decision = cx.decision();
        Ok(match word {
            Word::Say(said) => decision.record(Said(said)).reply(self.said.len()),
            Word::Again { at_ms, times } => {
                decision.schedule("again", TimeMs(at_ms), Word::Again { at_ms, times })
            }
        })
    }

    /// Sets its timer to the same time again, so many times.
    fn signal(&self, word: Word, cx: &SignalCx<'_, Self>) -> Outcome<Self> {
        let decision = cx.decision();
        Ok(match word {
            Word::Again { at_ms, times } if self.said.len() < times => decision
                .record(Said(cx.now().0.to_string()))
                .schedule("again", TimeMs(at_ms), Word::Again { at_ms, times }),
            _ => decision,
        })
    }

    fn apply(&mut self, Said(said): Said) {
        self.said.push(said);
    }
}
