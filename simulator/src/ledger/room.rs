//! A room of the simulation: people come and go, timers fire and others tell it things, and nothing is ever written
//! down. So it is forgotten with its last session and its last timer, and begins anew with the next one (R45).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use xp_domain_sdk::prelude::*;
use xp_protocol::Address;

use super::{
    Command, Journal, Ledger, Output, Query, Rejection, Reply, Signal, User, Whose, strike,
};
use crate::plan::{ENTITIES, ROOM};

/// An entity without a state: what it shows is never stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {}

/// Whether a room lives at this address.
pub(crate) fn is_room(address: &Address) -> bool {
    address.category() == ROOM
}

impl Entity for Room {
    const CATEGORY: Category = Category::new(ROOM);
    type Claims = User;
    type Command = Command;
    type Query = Query;
    type Signal = Signal;
    type Event = Never;
    type Output = Output;
    type Reply = Reply;
    type Rejection = Rejection;

    fn decide(&self, command: Command, cx: &Cx<'_, Self>) -> Outcome<Self> {
        let decision = cx.decision();
        Ok(match command {
            Command::Refuse { id } | Command::RefuseNoted { id } => {
                return Err(Rejection::Refused { id });
            }
            Command::Add { id }
            | Command::Whisper { id }
            | Command::Boast { id }
            | Command::Spoil { id }
            | Command::End { id }
            | Command::Ask { id, .. } => decision.reply(say(id)),
            Command::Tell { id, other } | Command::Greet { id, other } => {
                greet(decision, other, id).reply(say(id))
            }
            Command::Remind { id, after_ms } => {
                let after = Duration::from_millis(after_ms);
                decision
                    .schedule(id.to_string(), after, Signal::Due { id })
                    .reply(say(id))
            }
            Command::Leave { id } => decision.terminate(cx.connection()).reply(say(id)),
            Command::Wave { id } => decision.glimpse_others(Output::Waved { id }),
            Command::Poison { id } => {
                strike();
                decision.reply(say(id))
            }
        })
    }

    fn signal(&self, signal: Signal, cx: &SignalCx<'_, Self>) -> Outcome<Self> {
        Ok(match signal {
            Signal::Consent { id } => cx.decision().reply(say(id)),
            _ => cx.decision(),
        })
    }

    fn answer(&self, query: Query, _: &Cx<'_, Self>) -> Result<Reply, Rejection> {
        let Query::State = query;
        Ok(say(0))
    }

    fn apply(&mut self, event: Never) {
        match event {}
    }

    fn welcome(&self, _: &Cx<'_, Self>) -> Vec<Output> {
        let (entries, digest) = (0, 0);
        vec![Output::State { entries, digest }]
    }
}

/// Tells an entity something that leaves no trace there.
pub(super) fn greet<E: Entity>(decision: Decision<E>, other: u64, id: u64) -> Decision<E> {
    let greeting = Signal::Greeted { id };
    match Whose::of(other) {
        _ if other >= ENTITIES => decision.tell(Room::at(other), greeting),
        Whose::Ledger => decision.tell(Ledger::at(other), greeting),
        Whose::Journal => decision.tell(Journal::at(other), greeting),
    }
}

fn say(id: u64) -> Reply {
    Reply {
        id,
        ..Reply::default()
    }
}
