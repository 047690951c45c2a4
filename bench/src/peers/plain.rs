//! The plain dialect: a frame is a text and nothing else. Servers that have no protocol of their own are scripts of ours
//! that speak it.

use anyhow::{Context, Result};
use bytes::Bytes;

use super::speech::{Greeting, Speech, text};
use crate::dialect::{Dialect, Role};
use crate::frames::number;
use crate::wire;

pub(super) struct Plain {
    /// Where callers go; their number is appended if it ends with a slash.
    pub(super) callers: &'static str,
}

impl Dialect for Plain {
    fn say(&self, _: Role, number: u64) -> Vec<u8> {
        wire::text(text(number).as_bytes()).to_vec()
    }

    fn hear(&self, _: Role, payload: &[u8], on: &mut dyn FnMut(u64)) -> Result<Option<Bytes>> {
        let number = number(payload, 0);
        on(number.with_context(|| format!("no number: {}", String::from_utf8_lossy(payload)))?);
        Ok(None)
    }
}

impl Speech for Plain {
    fn greeting(&self, role: Role) -> Greeting {
        let path = match role {
            Role::Publisher => "/publish".to_owned(),
            Role::Subscriber => "/subscribe".to_owned(),
            Role::Caller(caller) if self.callers.ends_with('/') => {
                format!("{}{caller}", self.callers)
            }
            Role::Caller(_) => self.callers.to_owned(),
        };
        Greeting::at(path).hear("welcome")
    }
}
