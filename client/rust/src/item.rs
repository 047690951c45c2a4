//! Items that a client receives, as they happen, and the answers to its calls.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use xp_protocol::frame::RequestId;
use xp_protocol::{CloseCode, FaultCode, MessageNumber, Revision};

/// The domain's bytes, and whether they travel in a text message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The bytes, unread by the platform.
    pub bytes: Bytes,
    /// Text messages carry UTF-8; anything else must be binary.
    pub text: bool,
}

impl Payload {
    /// A text payload.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            bytes: Bytes::from(text.into()),
            text: true,
        }
    }

    /// A binary payload.
    #[must_use]
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            text: false,
        }
    }

    /// `value` as JSON.
    ///
    /// # Errors
    /// [`Error::Encode`] when `value` has no JSON form, such as a map whose keys are no strings.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        serde_json::to_string(value)
            .map(Self::text)
            .map_err(|error| Error::Encode(error.to_string()))
    }

    /// Reads the payload as JSON.
    ///
    /// # Errors
    /// [`Error::Decode`] says where the bytes differ from what `T` takes.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes).map_err(|error| Error::Decode(error.to_string()))
    }
}

/// One thing that happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The entity accepted this client for the first time; `shown` is what it shows first.
    Welcome {
        /// The revision shown.
        revision: Revision,
        /// What the entity shows.
        shown: Payload,
    },
    /// What was missed while away is too old to be repeated: forget the view and begin with `shown`.
    StartedOver {
        /// The revision shown.
        revision: Revision,
        /// What the entity shows.
        shown: Payload,
    },
    /// A socket is open again; the missed events follow and nothing else was missed.
    Resumed {
        /// The last revision seen before.
        since: Revision,
    },
    /// What one commit shows this client. Revisions rise, strictly.
    Event {
        /// The commit's revision.
        revision: Revision,
        /// A sequence of outputs.
        payload: Payload,
    },
    /// A volatile output.
    Ephemeral {
        /// One output, encoded by the entity's codec.
        payload: Payload,
    },
    /// The socket is gone; the client dials again by itself.
    Lost {
        /// The close code, or what broke the connection.
        why: Lost,
        /// When it dials again, in milliseconds.
        retry_ms: u64,
    },
    /// It is over; nothing follows.
    Closed(End),
}

/// Why a socket is gone for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// A close frame with this code, and what its reason says behind the code's name, for people: the reference by which
    /// the server's log knows it, or why. May be empty.
    Code(u16, Box<str>),
    /// No close frame: the dial failed, the network broke, or nothing was heard for too long.
    Transport(String),
}

impl Lost {
    /// The code of the close frame, if there was one.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Code(number, _) => Some(*number),
            Self::Transport(_) => None,
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(number, said) => f.write_str(&named(*number, said)),
            Self::Transport(reason) => f.write_str(reason),
        }
    }
}

/// Why a client is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The application closed it.
    #[error("this client has left")]
    Left,
    /// The entity refused the connection.
    #[error("the entity refused the connection{}", .0.as_ref().map(reason).unwrap_or_default())]
    Refused(Option<Payload>),
    /// The server closed with a code of 4000–4399; docs/codes/ has a page for each. Behind it, as in [`Lost::Code`].
    #[error("closed with {}", named(*.0, .1))]
    Code(u16, Box<str>),
    /// The server said what `xp.v1` does not allow.
    #[error("the server does not speak xp.v1: {0}")]
    Protocol(String),
    /// Server and client disagree on which commands were taken: the connection id is used twice, or the
    /// server lost what it had acknowledged.
    #[error("the server took commands up to {taken}, and this client sent {first} to {last}")]
    Diverged {
        /// The last number the server says it took.
        taken: MessageNumber,
        /// The oldest number this client may be asked for.
        first: MessageNumber,
        /// The newest number this client has sent.
        last: MessageNumber,
    },
}

fn named(number: u16, said: &str) -> String {
    let name = CloseCode::from_number(number).map_or("of another version", CloseCode::name);
    match said {
        "" => format!("{number} {name}"),
        said => format!("{number} {name} ({said})"),
    }
}

fn reason(payload: &Payload) -> String {
    format!(": {}", String::from_utf8_lossy(&payload.bytes))
}

/// The answer to a command or a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The domain's yes.
    Reply {
        /// The revision of the answering commit, or for a query the revision it saw.
        revision: Revision,
        /// The domain's reply.
        payload: Payload,
    },
    /// The domain's no.
    Reject {
        /// As for a reply.
        revision: Revision,
        /// The domain's rejection.
        payload: Payload,
    },
    /// Taken, without effect.
    Fault {
        /// As for a reply.
        revision: Revision,
        /// The kind of failure; its page in docs/codes says what to do.
        code: FaultCode,
        /// For people: the reference by which the server's log knows it, and in development the reason. May be empty.
        said: Box<str>,
    },
}

impl Answer {
    /// The revision of the answering commit, or for a query the revision it saw.
    #[must_use]
    pub fn revision(&self) -> Revision {
        match self {
            Self::Reply { revision, .. }
            | Self::Reject { revision, .. }
            | Self::Fault { revision, .. } => *revision,
        }
    }

    /// The reply read as JSON.
    ///
    /// # Errors
    /// [`Error::Rejected`] and [`Error::Fault`] when it is none, [`Error::Decode`] when `T` does not take it.
    pub fn reply<T: DeserializeOwned>(self) -> Result<T, Error> {
        match self {
            Self::Reply { payload, .. } => payload.read(),
            Self::Reject { payload, .. } => Err(Error::Rejected(payload)),
            Self::Fault { code, .. } => Err(Error::Fault(code)),
        }
    }
}

/// An answer with the name of what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The number or tag under which it was answered.
    pub id: RequestId,
    /// The reply, rejection or fault for that call.
    pub answer: Answer,
}

/// Why a call gives no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The client is over. Whether an unanswered command took effect is unknown.
    #[error("{0}")]
    Ended(End),
    /// The domain said no.
    #[error("rejected{}", reason(.0))]
    Rejected(Payload),
    /// The message was taken without effect.
    #[error("fault {}", .0.name())]
    Fault(FaultCode),
    /// The value has no JSON form.
    #[error("cannot be written as JSON: {0}")]
    Encode(String),
    /// The payload is not what was asked for.
    #[error("cannot be read: {0}")]
    Decode(String),
    /// The options are wrong.
    #[error("{0}")]
    Options(String),
}
