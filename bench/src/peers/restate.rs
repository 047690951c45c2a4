//! The dialect of Restate: each call is a request of HTTP to a virtual object of the caller's own, answered when it is
//! done.

use anyhow::{Context, Result, bail};
use bytes::Bytes;

use super::speech::{Greeting, Speech, text};
use crate::dialect::{Dialect, Role};
use crate::frames::number;
use crate::http::post;
use crate::sockets::Framing;

pub(super) struct Restate;

/// Bytes behind the text in an answer: `"`.
const BEHIND: usize = 1;

impl Dialect for Restate {
    fn say(&self, role: Role, number: u64) -> Vec<u8> {
        let key = match role {
            Role::Caller(caller) => caller,
            Role::Publisher | Role::Subscriber => 0,
        };
        let text = text(number);
        post(
            &format!("/Cell/{key}/put"),
            "localhost",
            &format!(r#""{text}""#),
        )
    }

    fn hear(&self, _: Role, answer: &[u8], on: &mut dyn FnMut(u64)) -> Result<Option<Bytes>> {
        let said = || format!("it said {}", String::from_utf8_lossy(answer));
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            bail!(said());
        }
        on(number(answer, BEHIND).with_context(said)?);
        Ok(None)
    }

    fn framing(&self) -> Framing {
        Framing::Http
    }
}

impl Speech for Restate {
    fn greeting(&self, _: Role) -> Greeting {
        Greeting::default()
    }
}
