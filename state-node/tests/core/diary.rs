//! A diary that can be burnt: the end of an entity, in each way in which a decision can bring it about.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use xp_domain_sdk::prelude::*;

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Diary {
    pages: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Event {
    Written(String),
    Burnt,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    Write(String),
    Burn,
    /// Nobody answers as long as the diary is there.
    Wonder,
    /// Asks another diary, which wonders.
    Ask(String),
    /// Burns when the time has come.
    BurnIn(u64),
    /// Burns as soon as somebody comes back.
    Trap,
    Answered(Answer<Diary>),
}

impl Entity for Diary {
    const CATEGORY: Category = Category::new("diary");
    const RETENTION: Option<Duration> = Some(Duration::from_secs(3600));
    type Claims = ();
    type Command = Word;
    type Query = ();
    type Signal = Word;
    type Event = Event;
    type Output = Event;
    type Reply = usize;
    type Rejection = Never;

    fn decide(&self, word: Word, cx: &Cx<'_, Self>) -> Outcome<Self> {
        let decision = cx.decision();
        let pages = self.pages.len();
        Ok(match word {
            Word::Write(page) => decision.publish(Event::Written(page)).reply(pages + 1),
            Word::Trap => decision.record(Event::Written("trap".into())),
            Word::Burn => decision.publish(Event::Burnt).reply(pages).end(),
            Word::Wonder => decision.later(),
            Word::Ask(other) => decision.ask(Self::at(other), Word::Wonder, Word::Answered),
            Word::BurnIn(ms) => decision.schedule("burn", Duration::from_millis(ms), Word::Burn),
            Word::Answered(_) => decision,
        })
    }

    fn signal(&self, word: Word, cx: &SignalCx<'_, Self>) -> Outcome<Self> {
        let decision = cx.decision();
        Ok(match word {
            Word::Burn => decision.publish(Event::Burnt).end(),
            Word::Wonder => decision.record(Event::Written("why?".into())).later(),
            Word::Answered(answer) => {
                let page = format!("answered: {:?}", answer.result().ok());
                decision.record(Event::Written(page))
            }
            _ => decision,
        })
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Written(page) => self.pages.push(page),
            Event::Burnt => self.pages.clear(),
        }
    }

    fn reconnected(&self, cx: &Cx<'_, Self>) -> Decision<Self> {
        match self.pages.iter().any(|page| page == "trap") {
            true => cx.decision().end(),
            false => cx.decision(),
        }
    }

    fn terminated(&self, _: Termination, cx: &Cx<'_, Self>) -> Decision<Self> {
        cx.decision()
            .record(Event::Written("somebody is gone".into()))
    }
}
