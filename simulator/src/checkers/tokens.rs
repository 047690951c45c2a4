//! A checker of tokens: nobody says anything with a token that has ended.

use std::collections::BTreeMap;

use xp_protocol::codec;
use xp_protocol::inbound::{ClientAction, Inbound, Message};

use super::{Case, Findings};
use crate::history::What;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let mut tokens = BTreeMap::new();
    for entry in &case.outcome.history.entries {
        if let What::Token(life, attempt, until) = &entry.what {
            tokens.insert((life.connection, *attempt), *until);
        }
    }
    let mut found = Findings::new();
    for (partition, records) in &case.outcome.inbound {
        for stored in records {
            let Ok(Inbound { time, message, .. }) = codec::decode(&stored.record.header) else {
                continue;
            };
            let Message::Client {
                connection,
                attempt,
                action:
                    ClientAction::Send { .. }
                    | ClientAction::Ask { .. }
                    | ClientAction::Ephemeral { .. },
                ..
            } = message
            else {
                continue;
            };
            // A page that was loaded anew in the same millisecond has called its socket alike.
            let until = tokens.get(&(connection, attempt));
            if until.is_some_and(|until| time >= *until) {
                let what = "an edge has passed it on although its token had ended";
                let location = format!("inbound of {partition} @ {}", stored.offset);
                found.push((location, what.to_owned()));
            }
        }
    }
    found
}
