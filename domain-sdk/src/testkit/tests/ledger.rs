//! A ledger whose oldest events are of another shape.

use serde::{Deserialize, Serialize};

use crate::entity::{Category, Cx, Entity, Outcome};
use crate::word::{Never, Stored, Unreadable};

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    cents: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(super) enum Event {
    Booked { cents: i64 },
}

impl Entity for Ledger {
    const CATEGORY: Category = Category::new("ledger");
    type Claims = ();
    type Command = i64;
    type Query = ();
    type Signal = Never;
    type Event = Event;
    type Output = Never;
    type Reply = i64;
    type Rejection = Never;

    fn decide(&self, cents: i64, cx: &Cx<'_, Self>) -> Outcome<Self> {
        Ok(cx.decision().record(Event::Booked { cents }))
    }

    fn answer(&self, (): (), _: &Cx<'_, Self>) -> Result<i64, Never> {
        Ok(self.cents)
    }

    fn apply(&mut self, Event::Booked { cents }: Event) {
        self.cents += cents;
    }

    /// Long ago, money moved in whole euros, between two accounts of one ledger, and pages were turned.
    fn read_event(stored: Stored<'_>) -> Result<Vec<Event>, Unreadable> {
        #[derive(Deserialize)]
        struct Moved {
            gave: i64,
            got: i64,
        }
        match stored.kind().as_deref() {
            Some("Moved") => {
                let Moved { gave, got } = stored.data()?;
                Ok(vec![
                    Event::Booked { cents: -100 * gave },
                    Event::Booked { cents: 100 * got },
                ])
            }
            Some("PageTurned") => Ok(vec![]),
            _ => Ok(vec![stored.read()?]),
        }
    }
}
