//! An audience without sockets: what is fanned out to it is written to nowhere.

mod guards;
mod allocations;

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWrite;
use uuid::Uuid;
use xp_protocol::outbound::{Link, Socket};
use xp_protocol::{
    ConnectionId, DialAttempt, Incarnation, MessageNumber, Offset, Revision, TimeMs,
};
use xp_transport::Record;

use super::*;
use crate::backlog::Bounds;
use crate::jwt::KeyId;
use crate::registry::Registry;
use crate::send_queue::{ReadyList, Writer};

const EDGE: Incarnation = Incarnation(Uuid::from_u128(1));
const NOW: TimeMs = TimeMs(1_000);
const EVENT: &[u8] =
    br#"[{"type":"BidPlaced","data":{"amount":1250,"bidder":"ana","left_ms":30000,"lot":"maps"}}]"#;

/// Takes all that is written, and keeps only how much it was.
#[derive(Clone, Default)]
struct Nowhere(Arc<AtomicUsize>);

impl AsyncWrite for Nowhere {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Poll::Ready(Ok(bytes))
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

fn send_queue(connection: u128, list: &Arc<ReadyList>, written: &Nowhere) -> Arc<SendQueue> {
    let socket = Socket {
        connection: ConnectionId(Uuid::from_u128(connection)),
        attempt: DialAttempt(1),
    };
    let bounds = Bounds {
        bytes_max: 1 << 20,
        frames_max: 1_000,
    };
    let send_queue = Arc::new(SendQueue::new(
        "board/1".parse().unwrap(),
        socket,
        "ana".into(),
        "127.0.0.1:1".parse().unwrap(),
        KeyId(1),
        bounds,
        Arc::clone(list),
    ));
    send_queue.park(Box::new(Writer::new(written.clone())));
    send_queue
}

/// An outbound record of `board/1` with one delivery.
fn stored(link: Option<Link>, to: Recipients, item: Item) -> Stored {
    let (mut outbound, mut value) = (Outbound::default(), BytesMut::new());
    outbound.link = link;
    outbound.deliver(&mut value, to, item, EVENT);
    let record = Record {
        key: Bytes::from_static(b"board/1"),
        header: codec::encode(&outbound).into(),
        value: value.freeze(),
        ..Record::default()
    };
    Stored {
        offset: Offset(0),
        time: NOW,
        record,
    }
}

/// The accepted sessions of one entity, that have been shown some events.
struct Audience {
    registry: Registry,
    send_queues: Vec<Arc<SendQueue>>,
    list: Arc<ReadyList>,
    /// What the flusher takes from the list.
    listed: Vec<Arc<SendQueue>>,
    written: Nowhere,
    revision: u64,
}

impl Audience {
    fn of(count: u128) -> Self {
        let (list, written) = (Arc::default(), Nowhere::default());
        let connections = 1..=count;
        let send_queues: Vec<_> = connections
            .map(|connection| send_queue(connection, &list, &written))
            .collect();
        let registry = Registry::new(EDGE, 500, 1 << 20);
        for send_queue in &send_queues {
            assert!(registry.join(send_queue).unwrap().is_none());
        }
        let mut audience = Self {
            registry,
            send_queues,
            list,
            listed: Vec::new(),
            written,
            revision: 0,
        };
        audience.welcome();
        for _ in 0..10 {
            let event = audience.event();
            audience.hear(&event);
            audience.flush();
        }
        audience
    }

    fn welcome(&mut self) {
        let to = self.send_queues.iter().map(|send_queue| send_queue.socket);
        let item = Item::Welcome {
            edge: EDGE,
            revision: Revision(0),
            n: MessageNumber(0),
            text: true,
        };
        self.hear(&stored(None, Recipients::Only(to.collect()), item));
        // As its connection does with what leaves at once.
        for send_queue in &self.send_queues {
            let (taken, writer) = send_queue.take().expect("it is welcomed");
            assert_eq!(taken.items.len(), 1);
            send_queue.park(writer.expect("it was parked"));
        }
    }

    /// The next event, for everybody.
    fn event(&mut self) -> Stored {
        let prev = Revision(self.revision);
        self.revision += 1;
        let revision = Revision(self.revision);
        let item = Item::Event {
            revision,
            text: true,
        };
        stored(Some(Link { revision, prev }), Recipients::Everybody, item)
    }

    /// A record is heard, as the reader of the outbound partition does it.
    fn hear(&self, stored: &Stored) {
        let (address, outbound) = decode(stored).unwrap();
        let parts = outbound.split(&stored.record.value).unwrap();
        let judge = |watch: &mut crate::watch::Watch<Arc<SendQueue>>| {
            watch.on_record(NOW, outbound.link, &parts)
        };
        for effect in self.registry.on_record(&address, judge).unwrap() {
            match effect {
                Effect::Show { to, shown, kind } => show(&to, &shown, &kind),
                _ => panic!("more than frames for its sockets"),
            }
        }
    }

    /// What is listed is written, as the flusher does it.
    fn flush(&mut self) {
        self.list.take(&mut self.listed);
        for send_queue in self.listed.drain(..) {
            send_queue.flush(self.revision);
        }
    }

    /// How many bytes were written since the last call.
    fn written(&self) -> usize {
        self.written.0.swap(0, Ordering::Relaxed)
    }
}

/// The bytes of an event on the wire: head of the websocket frame, verb, revision, payload.
fn frame_bytes(revision: u64) -> usize {
    2 + format!("event {revision} ").len() + EVENT.len()
}
