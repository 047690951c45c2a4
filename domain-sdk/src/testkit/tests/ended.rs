//! Entities that end, by decision and because nobody uses them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Scenario, Then};
use crate::entity::{Answer, Category, Cx, Decision, Entity, Outcome, SignalCx};
use crate::word::Never;

/// A candle that burns down.
#[derive(Default, Serialize, Deserialize)]
struct Candle {
    wax: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Command {
    Pour(u32),
    BlowOut,
    Snuff,
    BlowOutLater,
    BlowOutAndAsk,
    BlowOutAndWait,
    Wait,
    Ask,
    Leave,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Signal {
    Dark,
    Question,
    Answered(Answer<Candle>),
}

impl Entity for Candle {
    const CATEGORY: Category = Category::new("candle");
    const RETENTION: Option<Duration> = Some(Duration::from_secs(60));
    type Claims = ();
    type Command = Command;
    type Query = Never;
    type Signal = Signal;
    type Event = u32;
    type Output = u32;
    type Reply = u32;
    type Rejection = Never;

    fn decide(&self, command: Command, cx: &Cx<'_, Self>) -> Outcome<Self> {
        let decision = cx.decision();
        let in_a_minute = Duration::from_secs(60);
        let other = || Self::at("2");
        Ok(match command {
            Command::Pour(wax) => decision.record(wax).reply(self.wax + wax),
            Command::BlowOut => decision.broadcast(0).reply(self.wax).end(),
            Command::Snuff => decision.end(),
            Command::BlowOutLater => decision.schedule("dark", in_a_minute, Signal::Dark).end(),
            Command::BlowOutAndAsk => decision
                .ask(other(), Signal::Question, Signal::Answered)
                .end(),
            Command::BlowOutAndWait => decision.later().end(),
            Command::Wait => decision
                .schedule("dark", 2 * in_a_minute, Signal::Dark)
                .later(),
            Command::Ask => decision.ask(other(), Signal::Question, Signal::Answered),
            Command::Leave => decision.terminate(cx.connection()),
        })
    }

    fn signal(&self, signal: Signal, cx: &SignalCx<'_, Self>) -> Outcome<Self> {
        let decision = cx.decision();
        Ok(match signal {
            Signal::Dark => decision.end(),
            Signal::Question => decision.reply(self.wax),
            Signal::Answered(answer) => decision.record(answer.result().unwrap_or(1_000)),
        })
    }

    fn apply(&mut self, wax: u32) {
        self.wax += wax;
    }

    fn connected(&self, cx: &Cx<'_, Self>) -> Outcome<Self> {
        Ok(match cx.subject() {
            "wind" => cx.decision().end(),
            _ => cx.decision(),
        })
    }

    fn disconnected(&self, cx: &Cx<'_, Self>) -> Decision<Self> {
        self.unless_lit_by(cx, "draught")
    }

    fn reconnected(&self, cx: &Cx<'_, Self>) -> Decision<Self> {
        self.unless_lit_by(cx, "ghost")
    }

    fn terminated(&self, _: crate::host::Termination, cx: &Cx<'_, Self>) -> Decision<Self> {
        self.unless_lit_by(cx, "keeper")
    }
}

impl Candle {
    /// It ends with what this one does.
    fn unless_lit_by(&self, cx: &Cx<'_, Self>, who: &str) -> Decision<Self> {
        match cx.subject() == who {
            true => cx.decision().end(),
            false => cx.decision(),
        }
    }
}

fn lit() -> Scenario<Candle> {
    Scenario::<Candle>::given([7])
}

#[test]
fn everything_of_it_is_over_and_the_next_one_begins_from_nothing() {
    lit()
        .connects("ben")
        .when(Command::Wait)
        .from("ben")
        .then_waiting()
        .when(Command::BlowOut)
        .from("ana")
        .then_broadcast(0)
        .then_reply(7)
        .then_ended()
        .then_terminated("ana")
        .then_terminated("ben")
        .then_unanswered("ben")
        .after(Duration::from_secs(600))
        .then_nothing()
        .takeover()
        .when(Command::Pour(1))
        .from("ben")
        .then_reply(1);
}

#[test]
fn each_handler_of_a_session_can_end_it() {
    lit()
        .connects("draught")
        .disconnects("draught")
        .then_ended();
    lit()
        .connects("ghost")
        .disconnects("ghost")
        .reconnects("ghost")
        .then_ended();
    lit().connects("keeper").leaves("keeper").then_ended();
    lit()
        .when(Command::Leave)
        .from("keeper")
        .then_ended()
        .then_terminated("keeper");
}

#[test]
fn what_would_find_nobody_is_a_fault_with_the_reason() {
    for (command, reason) in [
        (
            Command::BlowOutLater,
            "sets a timer, which would find nobody",
        ),
        (
            Command::BlowOutAndAsk,
            "asks another entity; `tell` it instead",
        ),
        (Command::BlowOutAndWait, "puts its answer off; answer now"),
    ] {
        lit().when(command).from("ana").then_fault(reason);
    }
    lit()
        .connects("wind")
        .then_fault("refuse the session with `Err`");
    lit()
        .when_ephemeral(Command::Snuff)
        .from("ana")
        .then_fault("ends the entity");
}

#[test]
fn the_answer_to_what_a_former_life_asked_is_heard_by_nobody() {
    lit()
        .hold_words()
        .when(Command::Ask)
        .from("ana")
        .when(Command::BlowOut)
        .from("ana")
        .deliver()
        .then_nothing();
}

#[test]
fn one_that_nobody_uses_ends_after_its_time() {
    lit()
        .connects("ana")
        .after(Duration::from_secs(3_600))
        .then_nothing()
        .leaves("ana")
        .after(Duration::from_secs(59))
        .when_told_by(Candle::at("2"), Signal::Question)
        .after(Duration::from_secs(59))
        .when_told_by(Candle::at("2"), Signal::Question)
        .after(Duration::from_secs(60))
        .then_ended()
        .after(Duration::from_secs(600))
        .then_nothing();
}
