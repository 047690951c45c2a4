//! The speech of a peer: its dialect under load, and what is said before.

use crate::dialect::{Dialect, Role};

/// Dialect and greeting of a server.
pub(super) trait Speech: Dialect {
    fn greeting(&self, role: Role) -> Greeting;
}

/// What a client says until it is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Greeting {
    /// Where it asks for a websocket; nothing where it speaks HTTP alone.
    pub(super) path: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// A text, which may be empty, and what stands in the answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) say: String,
    pub(super) until: &'static str,
}

impl Greeting {
    pub(super) fn at(path: impl Into<String>) -> Self {
        Self {
            path: Some(path.into()),
            steps: Vec::new(),
        }
    }

    /// Waits for a frame in which this stands.
    pub(super) fn hear(self, until: &'static str) -> Self {
        self.say(String::new(), until)
    }

    pub(super) fn say(mut self, say: impl Into<String>, until: &'static str) -> Self {
        let say = say.into();
        self.steps.push(Step { say, until });
        self
    }
}

/// Bytes of what a message carries.
const BYTES: usize = 128;

/// A text that ends with a number.
pub(super) fn text(number: u64) -> String {
    format!("{number:0>BYTES$}")
}
