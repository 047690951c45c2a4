//! The dialect of Centrifuge: its JSON protocol, in which a frame may hold several replies and pushes, one a line.

use anyhow::{Result, bail};
use bytes::Bytes;

use super::speech::{Greeting, Speech, text};
use crate::dialect::{Dialect, Role};
use crate::frames::number;
use crate::wire;

pub(super) struct Centrifuge;

/// Bytes behind the text in a push: `"}}}`.
const BEHIND: usize = 4;

fn channel(role: Role) -> String {
    match role {
        Role::Publisher | Role::Subscriber => "hot".to_owned(),
        Role::Caller(caller) => format!("call-{caller}"),
    }
}

impl Dialect for Centrifuge {
    fn say(&self, role: Role, number: u64) -> Vec<u8> {
        let (channel, text) = (channel(role), text(number));
        // The greeting has taken the first ids.
        let id = number + 10;
        let publish =
            format!(r#"{{"id":{id},"publish":{{"channel":"{channel}","data":"{text}"}}}}"#);
        wire::text(publish.as_bytes()).to_vec()
    }

    fn hear(&self, _: Role, payload: &[u8], on: &mut dyn FnMut(u64)) -> Result<Option<Bytes>> {
        let mut answer = None;
        for line in payload.split(|byte| *byte == b'\n') {
            match number(line, BEHIND).filter(|_| line.starts_with(br#"{"push""#)) {
                Some(number) => on(number),
                None if line == b"{}" => answer = Some(wire::text(b"{}")),
                None if line.ends_with(br#""publish":{}}"#) => {}
                None => bail!("it said {}", String::from_utf8_lossy(line)),
            }
        }
        Ok(answer)
    }
}

impl Speech for Centrifuge {
    fn greeting(&self, role: Role) -> Greeting {
        let greeting =
            Greeting::at("/connection/websocket").say(r#"{"id":1,"connect":{}}"#, r#""connect":{"#);
        let channel = channel(role);
        let subscribe = format!(r#"{{"id":2,"subscribe":{{"channel":"{channel}"}}}}"#);
        match role {
            Role::Publisher => greeting,
            _ => greeting.say(subscribe, r#""subscribe":{"#),
        }
    }
}
