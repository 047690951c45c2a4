//! The dialect of socket.io: events as arrays of JSON behind two digits, one for a message of Engine.IO and one for an event.

use anyhow::{Context, Result, bail};
use bytes::Bytes;

use super::speech::{Greeting, Speech, text};
use crate::dialect::{Dialect, Role};
use crate::frames::number;
use crate::wire;

pub(super) struct SocketIo;

/// Bytes behind the text in an event: `"]`.
const BEHIND: usize = 2;

impl Dialect for SocketIo {
    fn say(&self, role: Role, number: u64) -> Vec<u8> {
        let event = match role {
            Role::Caller(_) => "echo",
            Role::Publisher | Role::Subscriber => "publish",
        };
        let text = text(number);
        wire::text(format!(r#"42["{event}","{text}"]"#).as_bytes()).to_vec()
    }

    fn hear(&self, _: Role, payload: &[u8], on: &mut dyn FnMut(u64)) -> Result<Option<Bytes>> {
        let said = || String::from_utf8_lossy(payload);
        match payload {
            [b'4', b'2', ..] => {
                on(number(payload, BEHIND).with_context(|| format!("no number: {}", said()))?);
            }
            b"2" => return Ok(Some(wire::text(b"3"))),
            _ => bail!("it said {}", said()),
        }
        Ok(None)
    }
}

impl Speech for SocketIo {
    fn greeting(&self, role: Role) -> Greeting {
        let role = match role {
            Role::Subscriber => "subscribe",
            Role::Publisher => "publish",
            Role::Caller(_) => "echo",
        };
        let path = format!("/socket.io/?EIO=4&transport=websocket&role={role}");
        Greeting::at(path).hear("0{").say("40", "40{")
    }
}
