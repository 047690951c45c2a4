//! A socket between a client and an edge: two queues in order, until it is cut.

use std::collections::VecDeque;

use bytes::Bytes;
use xp_client::Lost;
use xp_protocol::{Address, ConnectionId, DialAttempt, Revision, TimeMs};

use super::names::{ClientId, EdgeId};

/// What a client says to an edge.
#[derive(Clone, Debug)]
pub(super) enum ToEdge {
    Open(Hello),
    Frame(Bytes, bool),
    Closed(Option<u16>),
}

/// A socket's URL and token.
#[derive(Clone, Debug)]
pub(super) struct Hello {
    pub(super) address: Address,
    pub(super) subject: String,
    pub(super) connection: ConnectionId,
    pub(super) attempt: DialAttempt,
    pub(super) since: Option<Revision>,
    /// When its token ends.
    pub(super) expires: TimeMs,
}

/// What an edge says to a client.
#[derive(Clone, Debug)]
pub(super) enum ToClient {
    Opened,
    Frame(Bytes, bool),
    Closed(Lost),
}

/// One socket between a client and an edge, with what is on its way in each direction.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: ClientId,
    pub(super) edge: EdgeId,
    pub(super) attempt: DialAttempt,
    pub(super) to_edge: VecDeque<ToEdge>,
    pub(super) to_client: VecDeque<ToClient>,
    /// When a client that does not listen hears the next thing; `None` for one that does.
    pub(super) listens: Option<TimeMs>,
    /// Nothing passes any more, but what each side finds out by itself.
    pub(super) cut: bool,
}
