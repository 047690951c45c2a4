//! A shop that speaks JSON asks a scale that speaks binary.

use serde::{Deserialize, Serialize};

use crate::entity::{Answer, Category, Cx, Entity, Outcome, SignalCx};
use crate::word::{Codec, Never};

/// Speaks binary, and is asked by one that speaks JSON.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Scale {
    grams: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Weigh {
    at_least: u32,
}

impl Entity for Scale {
    const CATEGORY: Category = Category::new("scale");
    const CODEC: Codec = Codec::Binary;
    type Claims = ();
    type Command = Never;
    type Query = Never;
    type Signal = Weigh;
    type Event = u32;
    type Output = u32;
    type Reply = (u32, String);
    type Rejection = String;

    fn decide(&self, command: Never, _: &Cx<'_, Self>) -> Outcome<Self> {
        match command {}
    }

    fn signal(&self, Weigh { at_least }: Weigh, cx: &SignalCx<'_, Self>) -> Outcome<Self> {
        if self.grams < at_least {
            return Err(format!("only {} g", self.grams));
        }
        Ok(cx.decision().reply((self.grams, "\"g\"".into())))
    }

    fn apply(&mut self, grams: u32) {
        self.grams = grams;
    }
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Shop {
    heard: Vec<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Received {
    Weight { note: String, weight: Answer<Scale> },
}

impl Entity for Shop {
    const CATEGORY: Category = Category::new("shop");
    type Claims = ();
    type Command = u32;
    type Query = Never;
    type Signal = Received;
    type Event = String;
    type Output = Never;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, at_least: u32, cx: &Cx<'_, Self>) -> Outcome<Self> {
        let note = cx.subject().to_owned();
        Ok(cx
            .decision()
            .ask(Scale::at("1"), Weigh { at_least }, |weight| {
                Received::Weight { note, weight }
            }))
    }

    fn signal(
        &self,
        Received::Weight { note, weight }: Received,
        cx: &SignalCx<'_, Self>,
    ) -> Outcome<Self> {
        Ok(cx
            .decision()
            .record(format!("{note}: {:?}", weight.result())))
    }

    fn apply(&mut self, heard: String) {
        self.heard.push(heard);
    }
}
