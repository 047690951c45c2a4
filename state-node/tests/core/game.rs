//! A game of chess as one build of its domain after the other might have it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xp_domain_sdk::prelude::*;
use xp_domain_sdk::{Stored, Unreadable};

/// The build that everything was written with.
pub(crate) const FIRST: u8 = 0;
/// It has a field that older states lack, and nobody raised the state's version.
pub(crate) const NEW_FIELD: u8 = 1;
/// Its state has version 2, and there is no upcaster.
pub(crate) const NEW_VERSION: u8 = 2;
/// Its state has version 2, and there is an upcaster.
pub(crate) const UPCASTER: u8 = 3;
/// It does not know the events of the first build.
pub(crate) const NO_EVENTS: u8 = 4;
/// Its `apply` panics at a move that the first build took.
pub(crate) const BUG: u8 = 5;
/// It wants a claim that older tokens lack.
pub(crate) const NEW_CLAIM: u8 = 6;
/// It does not know the signals of the first build.
pub(crate) const NO_SIGNALS: u8 = 7;

/// `B` is the build.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Game<const B: u8> {
    moves: Vec<String>,
    shape: Shape<B>,
}

#[derive(Default)]
struct Shape<const B: u8>;

impl<const B: u8> Serialize for Shape<B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de, const B: u8> Deserialize<'de> for Shape<B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer)?;
        match B {
            NEW_FIELD => Err(serde::de::Error::missing_field("clock")),
            _ => Ok(Self),
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Who<const B: u8> {
    rank: Option<u32>,
}

impl<const B: u8> Who<B> {
    fn rank(&self) -> u32 {
        self.rank.unwrap_or_default()
    }
}

/// The claims of a build, which may be more than a token has.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Claimed<const B: u8>(Who<B>);

impl<'de, const B: u8> Deserialize<'de> for Claimed<B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let who = Who::deserialize(deserializer)?;
        match (B, who.rank) {
            (NEW_CLAIM, None) => Err(serde::de::Error::missing_field("rank")),
            _ => Ok(Self(who)),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum Command {
    Move { to: String },
    Clock { ms: u64 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum Signal {
    FlagFell,
    Lend { entry: String },
}

impl<const B: u8> Entity for Game<B> {
    const CATEGORY: Category = Category::new("ledger");
    const STATE_VERSION: u32 = if B == NEW_VERSION || B == UPCASTER {
        2
    } else {
        1
    };
    type Claims = Claimed<B>;
    type Command = Command;
    type Query = ();
    type Signal = Signal;
    type Event = String;
    type Output = String;
    type Reply = usize;
    type Rejection = Never;

    fn decide(&self, command: Command, cx: &Cx<'_, Self>) -> Outcome<Self> {
        Ok(match command {
            Command::Move { to } => cx.decision().publish(to).reply(self.moves.len() + 1),
            Command::Clock { ms } => {
                let after = std::time::Duration::from_millis(ms);
                cx.decision().schedule("flag", after, Signal::FlagFell)
            }
        })
    }

    fn signal(&self, signal: Signal, cx: &SignalCx<'_, Self>) -> Outcome<Self> {
        let happened = match signal {
            Signal::FlagFell => "flag fell".to_owned(),
            Signal::Lend { entry } => entry,
        };
        Ok(cx.decision().publish(happened))
    }

    fn answer(&self, (): (), cx: &Cx<'_, Self>) -> Result<usize, Never> {
        let ranks: u32 = cx.sessions().map(|session| session.claims().0.rank()).sum();
        Ok(self.moves.len() + ranks as usize)
    }

    fn disconnected(&self, cx: &Cx<'_, Self>) -> Decision<Self> {
        cx.decision().record(format!("{} went", cx.subject()))
    }

    fn apply(&mut self, event: String) {
        assert!(B != BUG || event != "e4", "a bug in apply");
        self.moves.push(event);
    }

    fn read_event(stored: Stored<'_>) -> Result<Vec<String>, Unreadable> {
        match B {
            NO_EVENTS => Err(Unreadable::new("moves have another form now")),
            _ => Ok(vec![stored.read()?]),
        }
    }

    fn read_signal(stored: Stored<'_>) -> Result<Signal, Unreadable> {
        match B {
            NO_SIGNALS => Err(Unreadable::new("signals have another form now")),
            _ => stored.read(),
        }
    }

    fn read_state(version: u32, stored: Stored<'_>) -> Result<Option<Self>, Unreadable> {
        match (B, version) {
            (UPCASTER, 1) => {
                let first: Game<FIRST> = stored.read()?;
                Ok(Some(Self {
                    moves: first.moves,
                    shape: Shape,
                }))
            }
            _ => Ok(None),
        }
    }

    fn welcome(&self, _: &Cx<'_, Self>) -> Vec<String> {
        self.moves.clone()
    }
}
