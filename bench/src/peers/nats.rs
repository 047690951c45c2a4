//! The dialect of NATS: its text protocol inside websocket frames, each of which may hold several messages. JetStream
//! answers what it has stored at the subject that a message names.

use anyhow::{Context, Result, bail};
use bytes::Bytes;

use super::speech::{Greeting, Speech, text};
use crate::dialect::{Dialect, Role};
use crate::frames::number;
use crate::wire;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nats {
    /// A caller hears what it says, for it has subscribed to that.
    Core,
    /// A caller hears that its message is stored.
    JetStream,
}

const CONNECT: &str = r#"CONNECT {"verbose":false,"pedantic":false}"#;
const END: &[u8] = b"\r\n";

impl Nats {
    fn subscription(self, role: Role) -> Option<String> {
        match (role, self) {
            (Role::Publisher, _) => None,
            (Role::Subscriber, _) => Some("hot".to_owned()),
            (Role::Caller(caller), Self::Core) => Some(format!("call.{caller}")),
            (Role::Caller(caller), Self::JetStream) => Some(format!("stored.{caller}.*")),
        }
    }

    /// The errand that makes the stream which callers write to.
    pub(super) fn stream() -> Greeting {
        let stream = r#"{"name":"CALLS","subjects":["call.*"],"storage":"file","num_replicas":1}"#;
        let bytes = stream.len();
        let create =
            format!("SUB made 1\r\nPUB $JS.API.STREAM.CREATE.CALLS made {bytes}\r\n{stream}\r\n");
        greeting("").say(create, r#""config":{"#)
    }
}

/// It is served when its first ping is answered.
fn greeting(subscribe: &str) -> Greeting {
    Greeting::at("/")
        .hear("INFO ")
        .say(format!("{CONNECT}\r\n{subscribe}PING\r\n"), "PONG")
}

impl Dialect for Nats {
    fn say(&self, role: Role, number: u64) -> Vec<u8> {
        let text = text(number);
        let bytes = text.len();
        let subject = match (role, self) {
            (Role::Publisher | Role::Subscriber, _) => "hot".to_owned(),
            (Role::Caller(caller), Self::Core) => format!("call.{caller}"),
            // The answer carries no number of ours; the subject at which it comes does.
            (Role::Caller(caller), Self::JetStream) => {
                format!("call.{caller} stored.{caller}.{number:0>10}")
            }
        };
        wire::text(format!("PUB {subject} {bytes}\r\n{text}\r\n").as_bytes()).to_vec()
    }

    fn hear(&self, role: Role, payload: &[u8], on: &mut dyn FnMut(u64)) -> Result<Option<Bytes>> {
        let (mut rest, mut answer) = (payload, None);
        while let Some((line, behind)) = split(rest) {
            rest = behind;
            if let Some(message) = line.strip_prefix(b"MSG ") {
                let message = Message::of(message, &mut rest)?;
                on(message.number(*self, role)?);
            } else if line == b"PING" {
                answer = Some(wire::text(b"PONG\r\n"));
            } else if line != b"PONG" && !line.starts_with(b"INFO ") {
                bail!("it said {}", String::from_utf8_lossy(line));
            }
        }
        anyhow::ensure!(rest.is_empty(), "a message went over the end of its frame");
        Ok(answer)
    }
}

/// A line, and what comes behind it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\r')?;
    let behind = bytes[end..].strip_prefix(END)?;
    Some((&bytes[..end], behind))
}

struct Message<'a> {
    subject: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// What stands behind `MSG `: subject, id of the subscription, perhaps where to answer, and how many bytes follow.
    fn of(words: &'a [u8], rest: &mut &'a [u8]) -> Result<Self> {
        let said = || format!("a message of {}", String::from_utf8_lossy(words));
        let mut words = words.split(|byte| *byte == b' ');
        let (subject, bytes) = (words.next(), words.next_back());
        let bytes = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse::<usize>().ok());
        let (subject, bytes) = (subject.with_context(said)?, bytes.with_context(said)?);
        let whole = rest.split_at_checked(bytes);
        let (payload, behind) = whole.context("a message went over the end of its frame")?;
        *rest = behind.strip_prefix(END).with_context(said)?;
        Ok(Self { subject, payload })
    }

    fn number(&self, nats: Nats, role: Role) -> Result<u64> {
        let said = || format!("no number: {}", String::from_utf8_lossy(self.payload));
        if nats == Nats::Core || role == Role::Subscriber {
            return number(self.payload, 0).with_context(said);
        }
        let is_stored = self.payload.starts_with(br#"{"stream":"#);
        number(self.subject, 0)
            .filter(|_| is_stored)
            .with_context(said)
    }
}

impl Speech for Nats {
    fn greeting(&self, role: Role) -> Greeting {
        let subject = self.subscription(role);
        let subscribe = subject.map(|subject| format!("SUB {subject} 1\r\n"));
        greeting(&subscribe.unwrap_or_default())
    }
}
