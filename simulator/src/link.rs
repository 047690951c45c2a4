//! A socket between a client and an edge: two queues in order, until it is cut.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use xp_client::Lost;
use xp_protocol::{Address, ConnectionId, DialAttempt, Revision, TimeMs};

use super::names::{ClientId, EdgeId, SocketId};

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

/// All sockets of a run.
#[derive(Default)]
pub(super) struct Links {
    links: BTreeMap<SocketId, Link>,
    waited_max: usize,
}

impl Links {
    pub(super) fn insert(&mut self, socket: SocketId, link: Link) {
        self.links.insert(socket, link);
    }

    pub(super) fn get(&self, socket: SocketId) -> Option<&Link> {
        self.links.get(&socket)
    }

    pub(super) fn get_mut(&mut self, socket: SocketId) -> Option<&mut Link> {
        self.links.get_mut(&socket)
    }

    /// So many frames wait for a client.
    pub(super) fn wait(&mut self, frames: usize) {
        self.waited_max = self.waited_max.max(frames);
    }

    /// The most frames that waited for a client.
    pub(super) fn waited_max(&self) -> usize {
        self.waited_max
    }
}
