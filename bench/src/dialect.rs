//! The dialects of servers under load: the bytes of a numbered message to a server, and the numbers in what comes back.
//! The platform's own and those of bare servers are here.

use anyhow::{Result, bail};
use bytes::Bytes;

use crate::client::head;
use crate::frames::{append, number};
use crate::sockets::Framing;
use crate::wire;

/// The purpose of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Says updates, numbered from 0.
    Publisher,
    /// Gets each of them.
    Subscriber,
    /// Says messages numbered from 1, and gets an answer to each; the sockets of this kind are numbered too.
    Caller(usize),
}

/// A server's way to speak. All methods are pure.
pub(crate) trait Dialect {
    /// A message in the bytes that go over the socket.
    fn say(&self, role: Role, number: u64) -> Vec<u8>;

    /// Shows the number of each update in a frame to a subscriber, and of each answer in one to somebody else. What it
    /// returns must be sent at once.
    fn hear(&self, role: Role, payload: &[u8], on: &mut dyn FnMut(u64)) -> Result<Option<Bytes>>;

    /// Whether each update is answered to its publisher.
    fn answers_publishers(&self) -> bool {
        false
    }

    fn framing(&self) -> Framing {
        Framing::Websocket
    }
}

/// Updates of one entity of the platform, with texts of so many bytes that end with the number.
pub(crate) struct Updates(pub(crate) usize);

/// The same to a bare server, which passes on what it gets and answers nothing.
pub(crate) struct Preframed(pub(crate) usize);

/// The same command again and again, to the platform or to a bare server that answers with the command itself.
pub(crate) struct Commands(pub(crate) String);

/// Bytes behind the text in an event: `"}}]`.
const BEHIND: usize = 4;

fn put(update: u64, bytes: usize) -> String {
    format!(r#"{{"type":"Put","data":{{"text":"{update:0>bytes$}"}}}}"#)
}

/// The number of an event.
fn shown(payload: &[u8]) -> Result<u64> {
    let Some(update) = number(payload, BEHIND) else {
        bail!("no update: {}", String::from_utf8_lossy(payload));
    };
    Ok(update)
}

impl Dialect for Updates {
    fn say(&self, _: Role, update: u64) -> Vec<u8> {
        let put = put(update, self.0);
        wire::text(format!("send {} {put}", update + 1).as_bytes()).to_vec()
    }

    fn hear(&self, role: Role, payload: &[u8], on: &mut dyn FnMut(u64)) -> Result<Option<Bytes>> {
        if role == Role::Subscriber {
            on(shown(payload)?);
        } else if let (b"reply", number) = head(payload)? {
            on(number);
        }
        Ok(None)
    }

    fn answers_publishers(&self) -> bool {
        true
    }
}

impl Dialect for Preframed {
    fn say(&self, _: Role, update: u64) -> Vec<u8> {
        let (put, mut out) = (put(update, self.0), Vec::new());
        append(&mut out, format!("event 100000 [{put}]").as_bytes());
        out
    }

    fn hear(&self, _: Role, payload: &[u8], on: &mut dyn FnMut(u64)) -> Result<Option<Bytes>> {
        on(shown(payload)?);
        Ok(None)
    }
}

impl Dialect for Commands {
    fn say(&self, _: Role, number: u64) -> Vec<u8> {
        let Self(payload) = self;
        wire::text(format!("send {number} {payload}").as_bytes()).to_vec()
    }

    fn hear(&self, _: Role, payload: &[u8], on: &mut dyn FnMut(u64)) -> Result<Option<Bytes>> {
        match head(payload)? {
            (b"reply" | b"send", number) => on(number),
            (b"event", _) => {}
            (verb, number) => bail!(
                "command {number} was answered {}",
                String::from_utf8_lossy(verb)
            ),
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::scan;

    fn payload(dialect: &dyn Dialect, update: u64) -> Vec<u8> {
        let frame = dialect.say(Role::Publisher, update);
        let mut payload = Vec::new();
        assert_eq!(scan(&frame, |_, all| payload = all.to_vec()), frame.len());
        payload
    }

    fn heard(dialect: &dyn Dialect, role: Role, payload: &[u8]) -> Vec<u64> {
        let mut numbers = Vec::new();
        let answer = dialect.hear(role, payload, &mut |number| numbers.push(number));
        assert!(answer.unwrap().is_none());
        numbers
    }

    #[test]
    fn an_update_has_its_number_at_the_same_place_for_either_server() {
        let (ours, bare) = (payload(&Updates(64), 420), payload(&Preframed(64), 420));
        assert!(ours.starts_with(b"send 421 "), "{ours:?}");
        assert_eq!(number(&ours, BEHIND - 1), Some(420));
        assert_eq!(heard(&Preframed(64), Role::Subscriber, &bare), [420]);
        assert_eq!(heard(&Updates(64), Role::Subscriber, &bare), [420]);
        assert_eq!(
            payload(&Preframed(64), 0).len(),
            payload(&Preframed(64), 1 << 33).len()
        );
    }

    #[test]
    fn an_event_that_a_publisher_sees_is_no_answer() {
        let event = payload(&Preframed(64), 420);
        assert!(heard(&Updates(64), Role::Publisher, &event).is_empty());
        assert_eq!(heard(&Updates(64), Role::Publisher, b"reply 7 9 []"), [7]);
        let commands = Commands("x".to_owned());
        assert!(heard(&commands, Role::Caller(0), &event).is_empty());
        assert_eq!(heard(&commands, Role::Caller(0), b"send 3 x"), [3]);
        let shed = commands.hear(Role::Caller(0), b"busy 3 5", &mut |_| {});
        assert!(shed.is_err());
    }
}
