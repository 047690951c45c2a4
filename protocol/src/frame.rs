//! `xp.v1`: one websocket message is one frame, a verb with its arguments and the payload, separated by
//! single spaces. The payload is the rest of the frame, passed on unread.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::codes::FaultCode;
use crate::ids::{MessageNumber, Revision, TimeMs};

/// The websocket subprotocol of this version.
pub const SUBPROTOCOL: &str = "xp.v1";
/// The subprotocol prefix by which browsers carry their token: `xp.bearer.<jwt>`.
pub const BEARER_PREFIX: &str = "xp.bearer.";
/// The longest tag of a query, in bytes.
pub const TAG_BYTES_MAX: usize = 64;
/// The longest text of a `ping`, in bytes.
pub const PING_BYTES_MAX: usize = 64;
/// The longest `traceparent`, in bytes (W3C Trace Context gives 55 for version 00).
pub const TRACE_BYTES_MAX: usize = 128;

/// A query's tag, chosen by the client; without spaces, 1 to 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(pub Box<str>);

/// What an answer answers: a command's number, or a query's tag. Number 0 is the connection itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RequestId {
    /// `send <n>`.
    Number(MessageNumber),
    /// `ask ?<tag>`.
    Tag(Tag),
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => n.fmt(f),
            Self::Tag(tag) => write!(f, "?{}", tag.0),
        }
    }
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame<'a> {
    /// `send <n> …`: a command.
    Send {
        /// Its number: 1, 2, 3 … without holes.
        n: MessageNumber,
        /// The command, as the domain's codec reads it.
        payload: &'a [u8],
    },
    /// `ask ?<tag> …`: a query.
    Ask {
        /// Names the answer.
        tag: Tag,
        /// The query, as the domain's codec reads it.
        payload: &'a [u8],
    },
    /// `ephemeral …`: a command that may be dropped.
    Ephemeral {
        /// The command, as the domain's codec reads it.
        payload: &'a [u8],
    },
    /// `token …`: a fresh JWT.
    Token(&'a str),
    /// `trace <traceparent>`: the W3C context of the next `send` or `ask`.
    Trace(&'a str),
    /// `ping <anything>`.
    Ping(&'a str),
}

/// What the server says. Payloads are passed on as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFrame<'a> {
    /// `welcome <revision> <n> fresh …` or `welcome <since> <n> resumed`.
    Welcome {
        /// The revision shown, or the echoed `since`.
        revision: Revision,
        /// The last `send` taken.
        n: MessageNumber,
        /// What the entity shows this client; `None` when its session is resumed.
        fresh: Option<&'a [u8]>,
    },
    /// `event <revision> …`: what one commit shows this session.
    Event {
        /// The commit's revision.
        revision: Revision,
        /// A sequence of outputs.
        payload: &'a [u8],
    },
    /// `ephemeral …`: a volatile output.
    Ephemeral {
        /// One output, as the domain's codec wrote it.
        payload: &'a [u8],
    },
    /// `reply <id> <revision> …`.
    Reply {
        /// What is answered.
        id: RequestId,
        /// The revision of the answering commit, or for a query the revision it saw.
        revision: Revision,
        /// The domain's reply.
        payload: &'a [u8],
    },
    /// `reject <id> <revision> …`: the domain's typed no.
    Reject {
        /// What is refused.
        id: RequestId,
        /// As for a reply.
        revision: Revision,
        /// The domain's rejection.
        payload: &'a [u8],
    },
    /// `fault <id> <revision> <code> #<reference> …`: taken, without effect.
    Fault {
        /// The command or query that failed.
        id: RequestId,
        /// As for a reply.
        revision: Revision,
        /// The kind of failure, as in `docs/codes/`.
        code: FaultCode,
        /// For people: the reference by which the server's log knows it, and in development the reason. May be empty.
        said: &'a str,
    },
    /// `busy <id> <retry_ms>`: not taken; send the same again.
    Busy {
        /// What was not taken.
        id: RequestId,
        /// When to try again, in milliseconds.
        retry_ms: u64,
    },
    /// `pong <anything> <edge_time_ms>`.
    Pong {
        /// The ping's text.
        echo: &'a str,
        /// The edge's clock.
        time: TimeMs,
    },
}

/// Why bytes are no frame. The text reaches the client as the reason of a `protocol-error` close.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The first word is no verb of `xp.v1`.
    #[error("unknown verb {0:?}")]
    Verb(String),
    /// An argument is missing or is not what the verb takes.
    #[error("{verb} takes {takes}")]
    Argument {
        /// The verb as it was sent.
        verb: &'static str,
        /// What it takes, as in the documentation.
        takes: &'static str,
    },
}

/// The bytes up to the next space, and those behind it.
fn word(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|b| *b == b' ') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A decimal number without sign, leading zeros or anything else.
fn number(bytes: &[u8]) -> Option<u64> {
    let text = text(bytes)?;
    let value: u64 = text.parse().ok()?;
    (text.len() == 1 || !text.starts_with(['0', '+']))
        .then_some(value)
        .filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

fn short(bytes: &[u8], bytes_max: usize) -> Option<&str> {
    let text = text(bytes)?;
    let fits = (1..=bytes_max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then_some(text)
}

fn tag(bytes: &[u8]) -> Option<Tag> {
    let text = short(bytes.strip_prefix(b"?")?, TAG_BYTES_MAX)?;
    Some(Tag(text.into()))
}

fn request(bytes: &[u8]) -> Option<RequestId> {
    if bytes.starts_with(b"?") {
        return tag(bytes).map(RequestId::Tag);
    }
    number(bytes).map(|n| RequestId::Number(MessageNumber(n)))
}

impl<'a> ClientFrame<'a> {
    /// Reads one frame.
    ///
    /// # Errors
    /// [`FrameError`] names the verb and what it takes.
    pub fn parse(frame: &'a [u8]) -> Result<Self, FrameError> {
        let (verb, rest) = word(frame);
        let wrong = |verb, takes| FrameError::Argument { verb, takes };
        match verb {
            b"send" => {
                let (n, payload) = word(rest);
                let n = number(n).filter(|n| *n > 0);
                let n = n.ok_or(wrong("send", "<n> counted from 1, and a payload"))?;
                Ok(Self::Send {
                    n: MessageNumber(n),
                    payload,
                })
            }
            b"ask" => {
                let (name, payload) = word(rest);
                let tag = tag(name).ok_or(wrong(
                    "ask",
                    "?<tag> of at most 64 characters, and a payload",
                ))?;
                Ok(Self::Ask { tag, payload })
            }
            b"ephemeral" => Ok(Self::Ephemeral { payload: rest }),
            b"token" => text(rest)
                .map(Self::Token)
                .ok_or(wrong("token", "a JSON web token")),
            b"trace" => short(rest, TRACE_BYTES_MAX)
                .map(Self::Trace)
                .ok_or(wrong("trace", "a W3C traceparent")),
            b"ping" => short(rest, PING_BYTES_MAX)
                .map(Self::Ping)
                .ok_or(wrong("ping", "one word of at most 64 characters")),
            other => Err(FrameError::Verb(
                String::from_utf8_lossy(&other[..other.len().min(32)]).into_owned(),
            )),
        }
    }

    /// The frame's bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Send { n, payload } => frame(format_args!("send {n} "), payload),
            Self::Ask { tag, payload } => frame(format_args!("ask ?{} ", tag.0), payload),
            Self::Ephemeral { payload } => frame(format_args!("ephemeral "), payload),
            Self::Token(token) => frame(format_args!("token {token}"), &[]),
            Self::Trace(trace) => frame(format_args!("trace {trace}"), &[]),
            Self::Ping(text) => frame(format_args!("ping {text}"), &[]),
        }
    }
}

fn frame(head: fmt::Arguments<'_>, payload: &[u8]) -> Bytes {
    use fmt::Write as _;
    let mut out = BytesMut::with_capacity(48 + payload.len());
    write!(out, "{head}").expect("a byte buffer takes every text");
    out.put_slice(payload);
    out.freeze()
}

impl<'a> ServerFrame<'a> {
    /// Reads one frame.
    ///
    /// # Errors
    /// [`FrameError`] names the verb and what it takes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let (verb, rest) = word(bytes);
        match verb {
            b"welcome" => welcome(rest).ok_or(FrameError::Argument {
                verb: "welcome",
                takes: "<revision> <n> fresh|resumed",
            }),
            b"event" => {
                let (revision, payload) = word(rest);
                let revision = number(revision).map(Revision);
                revision
                    .map(|revision| Self::Event { revision, payload })
                    .ok_or(FrameError::Argument {
                        verb: "event",
                        takes: "<revision> and a payload",
                    })
            }
            b"ephemeral" => Ok(Self::Ephemeral { payload: rest }),
            b"reply" => answer(rest)
                .map(|(id, revision, payload)| Self::Reply {
                    id,
                    revision,
                    payload,
                })
                .ok_or(FrameError::Argument {
                    verb: "reply",
                    takes: "<id> <revision> and a payload",
                }),
            b"reject" => answer(rest)
                .map(|(id, revision, payload)| Self::Reject {
                    id,
                    revision,
                    payload,
                })
                .ok_or(FrameError::Argument {
                    verb: "reject",
                    takes: "<id> <revision> and a payload",
                }),
            b"fault" => answer(rest)
                .and_then(|(id, revision, rest)| {
                    let (code, said) = word(rest);
                    Some(Self::Fault {
                        id,
                        revision,
                        code: FaultCode::from_name(text(code)?)?,
                        said: text(said)?,
                    })
                })
                .ok_or(FrameError::Argument {
                    verb: "fault",
                    takes: "<id> <revision> <code>, and words for people",
                }),
            b"busy" => {
                let (id, retry) = word(rest);
                request(id)
                    .zip(number(retry))
                    .map(|(id, retry_ms)| Self::Busy { id, retry_ms })
                    .ok_or(FrameError::Argument {
                        verb: "busy",
                        takes: "<id> <retry_ms>",
                    })
            }
            b"pong" => {
                let (echo, time) = word(rest);
                text(echo)
                    .zip(number(time))
                    .map(|(echo, time)| Self::Pong {
                        echo,
                        time: TimeMs(time),
                    })
                    .ok_or(FrameError::Argument {
                        verb: "pong",
                        takes: "<anything> <edge_time_ms>",
                    })
            }
            other => Err(FrameError::Verb(
                String::from_utf8_lossy(&other[..other.len().min(32)]).into_owned(),
            )),
        }
    }

    /// The frame's bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Welcome {
                revision,
                n,
                fresh: Some(shown),
            } => frame(format_args!("welcome {revision} {n} fresh "), shown),
            Self::Welcome {
                revision,
                n,
                fresh: None,
            } => frame(format_args!("welcome {revision} {n} resumed"), &[]),
            Self::Event { revision, payload } => frame(format_args!("event {revision} "), payload),
            Self::Ephemeral { payload } => frame(format_args!("ephemeral "), payload),
            Self::Reply {
                id,
                revision,
                payload,
            } => frame(format_args!("reply {id} {revision} "), payload),
            Self::Reject {
                id,
                revision,
                payload,
            } => frame(format_args!("reject {id} {revision} "), payload),
            Self::Fault {
                id,
                revision,
                code,
                said: "",
            } => frame(format_args!("fault {id} {revision} {}", code.name()), &[]),
            Self::Fault {
                id,
                revision,
                code,
                said,
            } => frame(
                format_args!("fault {id} {revision} {} {said}", code.name()),
                &[],
            ),
            Self::Busy { id, retry_ms } => frame(format_args!("busy {id} {retry_ms}"), &[]),
            Self::Pong { echo, time } => frame(format_args!("pong {echo} {time}"), &[]),
        }
    }
}

fn answer(bytes: &[u8]) -> Option<(RequestId, Revision, &[u8])> {
    let (id, rest) = word(bytes);
    let (revision, payload) = word(rest);
    Some((request(id)?, Revision(number(revision)?), payload))
}

fn welcome(bytes: &[u8]) -> Option<ServerFrame<'_>> {
    let (revision, rest) = word(bytes);
    let (n, rest) = word(rest);
    let (kind, payload) = word(rest);
    let fresh = match kind {
        b"fresh" => Some(payload),
        b"resumed" if payload.is_empty() => None,
        _ => return None,
    };
    Some(ServerFrame::Welcome {
        revision: Revision(number(revision)?),
        n: MessageNumber(number(n)?),
        fresh,
    })
}

impl FromStr for Tag {
    type Err = FrameError;

    fn from_str(text: &str) -> Result<Self, FrameError> {
        short(text.as_bytes(), TAG_BYTES_MAX)
            .map(|text| Self(text.into()))
            .ok_or(FrameError::Argument {
                verb: "ask",
                takes: "?<tag> of at most 64 characters, and a payload",
            })
    }
}
