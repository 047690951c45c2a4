//! A send queue and a socket without I/O, for the tests of those that write.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use xp_protocol::outbound::Socket;
use xp_protocol::{ConnectionId, DialAttempt};

use super::super::{ReadyList, SendQueue};
use crate::backlog::Bounds;

/// What a socket was given, write by write, and how many bytes it still takes.
#[derive(Default)]
pub(crate) struct Taken {
    writes: Vec<Vec<u8>>,
    pub(crate) room: usize,
    pub(crate) is_broken: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Peer(pub(crate) Arc<Mutex<Taken>>);

impl Peer {
    pub(crate) fn with_room(room: usize) -> Self {
        let peer = Self::default();
        peer.0.lock().unwrap().room = room;
        peer
    }

    pub(crate) fn writes(&self) -> Vec<String> {
        let taken = self.0.lock().unwrap();
        let text = |write: &Vec<u8>| String::from_utf8(write.clone()).unwrap();
        taken.writes.iter().map(text).collect()
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut taken = self.0.lock().unwrap();
        if taken.is_broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(taken.room);
        if count == 0 {
            return Poll::Pending;
        }
        taken.room -= count;
        taken.writes.push(bytes[..count].to_vec());
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        self.poll_write(cx, &bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(crate) fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

pub(crate) fn send_queue(frames_max: usize) -> Arc<SendQueue> {
    within(Bounds {
        bytes_max: 10,
        frames_max,
    })
}

pub(crate) fn within(bounds: Bounds) -> Arc<SendQueue> {
    listed_in(bounds, Arc::default())
}

/// One that is listed there.
pub(crate) fn with_list(list: &Arc<ReadyList>) -> Arc<SendQueue> {
    let bounds = Bounds {
        bytes_max: 1_000,
        frames_max: 100,
    };
    listed_in(bounds, Arc::clone(list))
}

fn listed_in(bounds: Bounds, list: Arc<ReadyList>) -> Arc<SendQueue> {
    let socket = Socket {
        connection: ConnectionId(uuid::Uuid::from_u128(1)),
        attempt: DialAttempt(1),
    };
    let address = "board/1".parse().unwrap();
    let peer = "127.0.0.1:1".parse().unwrap();
    Arc::new(SendQueue::new(
        address,
        socket,
        "ana".into(),
        peer,
        crate::jwt::KeyId(1),
        bounds,
        list,
    ))
}
