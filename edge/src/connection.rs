//! The connection of one socket: it reads frames, asks the session machine, and writes what leaves at once. What may
//! wait is written by the flusher.

mod goodbye;
mod inlet;

pub(crate) use goodbye::turn_away;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, error::ProtocolError};
use tracing::info;
use xp_protocol::inbound::ClientAction;
use xp_protocol::plain::brief;
use xp_protocol::{CloseCode, Revision};

use crate::backlog::Closing;
use crate::flow::Share;
use crate::handshake::{Admitted, Permits};
use crate::jwt::KEY_WITHDRAWN;
use crate::lane::{Fate, Partition};
use crate::limits::Rate;
use crate::node::Node;
use crate::send_queue::{Item, SendQueue, Writer, Wrote};
use crate::session::{Due, Limits, Session, Step};
use crate::watch::FrameKind;
use crate::wire;
use goodbye::{close_frame, part};
use inlet::Inlet;

/// An idle connection keeps this much for reading; a longer frame takes several reads.
const READ_BUFFER_BYTES: usize = 1024;
/// The close code of a goodbye for good (RFC 6455, 7.4.1).
const NORMAL: u16 = 1000;

/// Why a connection ends.
enum End {
    /// This side closes it.
    Closing(Closing),
    /// The client said goodbye.
    Goodbye(Option<u16>),
    /// The socket broke.
    Broken,
}

fn closing(code: CloseCode, detail: impl Into<String>) -> End {
    let detail = detail.into();
    End::Closing(Closing { code, detail })
}

pub(crate) struct Connection<R> {
    node: Arc<Node>,
    send_queue: Arc<SendQueue>,
    partition: Arc<Partition>,
    /// What its subject has waiting in the partition.
    share: Arc<Share>,
    session: Session,
    rate: Rate,
    inlet: WebSocketStream<Inlet<R>>,
    /// The sending half, while there is something to write; else the send queue has it.
    writer: Option<Box<Writer>>,
    /// A frame that waits for the welcome; nothing is read behind it.
    held: Option<Message>,
    _permits: Permits,
}

/// The websocket side of a socket whose upgrade is accepted.
async fn websocket<R>(node: &Node, read: R, behind: Vec<u8>) -> WebSocketStream<Inlet<R>>
where
    R: AsyncRead + Unpin,
{
    let frame_bytes_max = Some(node.config.limits.frame_bytes_max.0);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(frame_bytes_max)
        .max_frame_size(frame_bytes_max);
    let inlet = Inlet::new(read);
    WebSocketStream::from_partially_read(inlet, behind, Role::Server, Some(config)).await
}

impl<R: AsyncRead + Unpin> Connection<R> {
    pub(crate) async fn new(
        node: Arc<Node>,
        partition: Arc<Partition>,
        admitted: Admitted,
        (read, write): (R, impl AsyncWrite + Send + Unpin + 'static),
        behind: Vec<u8>,
    ) -> Self {
        let identity = admitted.verified.identity;
        let subject = identity.subject.clone();
        Self {
            session: Session::new(
                node.now(),
                Limits::of(&node.config.limits, &node.config.timing),
                identity,
            ),
            rate: node.limits.rate(),
            inlet: websocket(&node, read, behind).await,
            writer: Some(Box::new(Writer::new(write))),
            held: None,
            send_queue: admitted.send_queue,
            _permits: admitted.permits,
            share: partition.account.share(&subject),
            partition,
            node,
        }
    }

    /// From `Connect` to `Disconnect`. Boxed, as what a future is called with is kept twice in it.
    pub(crate) async fn run(mut self: Box<Self>, claims: Bytes, since: Option<Revision>) {
        self.connect(claims, since);
        let end = loop {
            if let Some(end) = self.turn().await {
                break end;
            }
        };
        self.disconnect(&end);
        Box::pin(self.say_goodbye(end)).await;
    }

    fn connect(&self, claims: Bytes, since: Option<Revision>) {
        let subject = self.send_queue.subject.clone();
        let action = self.node.identity.connect(subject, since);
        self.append(action, None, claims);
    }

    fn append(&self, action: ClientAction, trace: Option<Box<str>>, value: Bytes) {
        let fate = match action {
            ClientAction::Ephemeral { .. } => Fate::Loose,
            _ => Fate::With(Arc::clone(&self.send_queue)),
        };
        if action == ClientAction::Claims {
            self.send_queue.renew();
        }
        let header = self.node.says(self.send_queue.socket, trace, action);
        let address = &self.send_queue.address;
        self.partition
            .append(address, &header, value, fate, &self.share);
    }

    /// Waits for the next thing and does it.
    async fn turn(&mut self) -> Option<End> {
        let now = self.node.now();
        let due = Instant::now() + Duration::from_millis(self.session.due_in_ms(now));
        let has_room = self.writer.as_ref().is_none_or(|writer| writer.has_room());
        let reads = self.held.is_none() && has_room;
        if let Some(idle) = self.writer.take_if(|writer| !writer.has_more()) {
            self.send_queue.park(idle);
        }
        tokio::select! {
            message = self.inlet.next(), if reads => self.read(message).await,
            () = self.send_queue.woken() => self.collect().await,
            wrote = write_some(&mut self.writer), if self.writer.is_some() => self.wrote(wrote),
            () = tokio::time::sleep_until(due) => self.due().await,
        }
    }

    /// The sending half, from wherever it is.
    fn writer(&mut self) -> &mut Writer {
        let send_queue = &self.send_queue;
        self.writer.get_or_insert_with(|| {
            let parked = send_queue.unpark();
            parked.expect("the send queue has the sending half when the connection has not")
        })
    }

    fn push(&mut self, frame: Bytes) {
        self.writer().push(frame);
    }

    async fn read(&mut self, message: Option<Result<Message, Error>>) -> Option<End> {
        match message {
            Some(Ok(Message::Close(frame))) => {
                Some(End::Goodbye(frame.map(|frame| frame.code.into())))
            }
            Some(Ok(message)) => match self.too_fast(&message) {
                Some(end) => Some(end),
                None => self.message(message).await,
            },
            Some(Err(error)) => Some(ending(&error)),
            None => Some(End::Broken),
        }
    }

    fn too_fast(&self, message: &Message) -> Option<End> {
        let passes =
            self.node
                .limits
                .frame_passes(&self.rate, &self.send_queue.subject, message.len());
        let detail = "more frames or bytes than the limits allow";
        (!passes).then(|| closing(CloseCode::TooFast, detail))
    }

    async fn message(&mut self, message: Message) -> Option<End> {
        match &message {
            Message::Ping(payload) => {
                self.session.heard(self.node.now());
                self.push(wire::pong(payload));
                None
            }
            Message::Text(text) => self.frame(true, text.as_bytes(), &message).await,
            Message::Binary(bytes) => self.frame(false, bytes, &message).await,
            _ => {
                self.session.heard(self.node.now());
                None
            }
        }
    }

    async fn frame(&mut self, text: bool, frame: &[u8], message: &Message) -> Option<End> {
        let before = self.session.outstanding();
        let room = self.partition.room(&self.share);
        let step = self.session.on_frame(self.node.now(), room, text, frame);
        self.partition
            .outstanding(before, self.session.outstanding());
        match step {
            // Boxed: it is seldom, and takes more room than all the rest.
            Step::Verify(token) => return Box::pin(self.refresh(token)).await,
            Step::Hold => self.held = Some(message.clone()),
            step => return self.take(step),
        }
        None
    }

    fn take(&mut self, step: Step<'_>) -> Option<End> {
        match step {
            Step::Pass {
                action,
                trace,
                payload,
            } => self.append(action, trace, Bytes::copy_from_slice(payload)),
            Step::Answer(frame) => self.push(wire::message(true, &frame)),
            Step::Close(code, detail) => return Some(closing(code, detail)),
            Step::Verify(_) | Step::Hold | Step::Nothing => {}
        }
        None
    }

    async fn refresh(&mut self, token: &str) -> Option<End> {
        match self.node.vouch(&self.send_queue.address, token).await {
            Ok(fresh) => {
                self.send_queue.vouched_for_by(fresh.key);
                if !self.node.verifier.keys().contains(&fresh.key) {
                    return Some(closing(CloseCode::TokenExpired, KEY_WITHDRAWN));
                }
                let step = self.session.refreshed(fresh.identity, &fresh.claims);
                self.take(step)
            }
            Err(error) => Some(closing(error.code(), error.to_string())),
        }
    }

    /// Takes what the send queue holds, and lets the session know what it means.
    async fn collect(&mut self) -> Option<End> {
        let (taken, parked) = self.send_queue.take()?;
        self.writer = self.writer.take().or(parked);
        let before = self.session.outstanding();
        for item in taken.items {
            self.show(item);
        }
        self.partition
            .outstanding(before, self.session.outstanding());
        match taken.closing {
            Some(closing) => Some(End::Closing(closing)),
            None => self.offer_held().await,
        }
    }

    fn show(&mut self, item: Item) {
        match item {
            Item::Frame(frame) => self.writer().push_counted(frame),
            Item::Telling(frame, kind) => {
                match kind {
                    FrameKind::Accepted(n) => self.session.accepted(n),
                    FrameKind::Answer(id) => self.session.answered(&id),
                    FrameKind::Repeated | FrameKind::News => {}
                }
                self.push(frame);
            }
            Item::Coming => self.session.coming(self.node.now()),
        }
    }

    async fn offer_held(&mut self) -> Option<End> {
        if self.session.is_pending() {
            return None;
        }
        let held = self.held.take()?;
        self.message(held).await
    }

    fn wrote(&mut self, wrote: io::Result<Wrote>) -> Option<End> {
        let Ok(wrote) = wrote else {
            return Some(End::Broken);
        };
        self.send_queue.written(wrote);
        None
    }

    async fn due(&mut self) -> Option<End> {
        match self.session.on_time(self.node.now()) {
            Due::Nothing => {}
            Due::Ping => self.push(wire::ping()),
            Due::Close(code, detail) => return Some(closing(code, detail)),
        }
        None
    }

    /// R28, before the socket is closed, which may take a while.
    fn disconnect(&mut self, end: &End) {
        let send_queue = &self.send_queue;
        self.writer = self.writer.take().or(send_queue.end());
        self.partition.outstanding(self.session.outstanding(), 0);
        self.node
            .registry
            .leave(&send_queue.address, send_queue.socket);
        let left = matches!(end, End::Goodbye(Some(NORMAL)));
        self.node
            .disconnect(&send_queue.address, send_queue.socket, left);
        self.node.state.disconnected();
    }

    async fn say_goodbye(&mut self, end: End) {
        match &end {
            End::Closing(closing) => {
                self.report(closing);
                if closing.code == CloseCode::Slow {
                    self.writer().drop_unstarted();
                }
                let explains = self.node.config.explains;
                self.push(close_frame(closing, explains));
            }
            End::Goodbye(code) => {
                // 1005 stands for "no code" and is never sent.
                let code = code.filter(|code| *code != 1005).unwrap_or(NORMAL);
                self.push(wire::close(code, ""));
            }
            End::Broken => return,
        }
        let patience = self.node.config.timing.close.0;
        if let Some(writer) = &mut self.writer {
            part(writer, self.inlet.get_mut(), patience).await;
        }
    }

    fn report(&self, closing: &Closing) {
        info!(
            target: "xp_edge::connection",
            code = closing.code.name(),
            address = %self.send_queue.address,
            subject = %brief(&self.send_queue.subject),
            connection = %self.send_queue.socket.connection,
            peer = %self.send_queue.peer,
            detail = %brief(&closing.detail),
            "closed a connection",
        );
    }
}

/// Writes a part of what the sending half has; there is one.
async fn write_some(writer: &mut Option<Box<Writer>>) -> io::Result<Wrote> {
    match writer {
        Some(writer) => writer.write_some().await,
        None => Ok(Wrote::default()),
    }
}

fn ending(error: &Error) -> End {
    match error {
        Error::Capacity(error) => closing(CloseCode::FrameTooLarge, error.to_string()),
        Error::Utf8(_) => closing(CloseCode::BrokenUtf8, "a text frame is not UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Broken,
        Error::Protocol(error) => closing(CloseCode::ProtocolError, error.to_string()),
        _ => End::Broken,
    }
}
