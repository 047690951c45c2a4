//! One socket after the other, seen as one source of events.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream, StreamExt as _};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};
use xp_protocol::CloseCode;

use crate::dial::{Dialled, Socket};
use crate::item::Lost;

/// A peer that does not answer a close frame within this time is left without.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Opens a socket with the token it gives back.
pub(crate) type Dialling = Pin<Box<dyn Future<Output = Dialled> + Send>>;

/// What happens on the link.
pub(crate) enum Happening {
    /// A socket is open, with this token.
    Opened(String),
    /// One websocket message.
    Frame { frame: Bytes, text: bool },
    /// The socket is gone, or could not be opened.
    Gone(Lost),
}

/// The socket there is, if any. All methods may be cancelled at any `await` without loss.
pub(crate) enum Link {
    Down,
    Dialling(Dialling),
    Open {
        socket: Box<Socket>,
        outbox: VecDeque<Message>,
    },
}

impl Link {
    /// Waits for the next thing to happen; for ever while the link is down. With `read` false, only the
    /// socket's own writing goes on.
    pub(crate) async fn next(&mut self, read: bool) -> Happening {
        let happening = poll_fn(|cx| self.poll_next(cx, read)).await;
        if matches!(happening, Happening::Gone(_)) {
            *self = Self::Down;
        }
        happening
    }

    pub(crate) fn write(&mut self, frame: Bytes, text: bool) {
        if let Self::Open { outbox, .. } = self {
            outbox.push_back(message(frame, text));
        }
    }

    /// Whether `outbox_max` messages wait for the network.
    pub(crate) fn is_full(&self, outbox_max: usize) -> bool {
        matches!(self, Self::Open { outbox, .. } if outbox.len() >= outbox_max)
    }

    /// Takes the socket out, to be closed with `code` after what was written before.
    pub(crate) fn hang_up(&mut self, code: u16) -> impl Future<Output = ()> + Send + use<> {
        let link = std::mem::replace(self, Self::Down);
        async move {
            if let Self::Open { socket, outbox } = link {
                // A peer that cannot be told has gone anyway.
                let _ = tokio::time::timeout(CLOSE_WITHIN, say_goodbye(socket, outbox, code)).await;
            }
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Happening> {
        match self {
            Self::Down => Poll::Pending,
            Self::Dialling(dialling) => {
                let happening = match ready!(dialling.as_mut().poll(cx)) {
                    Err(why) => Happening::Gone(Lost::Transport(why)),
                    Ok((socket, token)) => {
                        *self = Self::Open {
                            socket: Box::new(socket),
                            outbox: VecDeque::new(),
                        };
                        Happening::Opened(token)
                    }
                };
                Poll::Ready(happening)
            }
            Self::Open { socket, outbox } => {
                if let Poll::Ready(Err(error)) = poll_write(socket, outbox, cx) {
                    return Poll::Ready(gone(&error));
                }
                if read {
                    poll_read(socket, cx)
                } else {
                    Poll::Pending
                }
            }
        }
    }
}

fn poll_write(
    socket: &mut Socket,
    outbox: &mut VecDeque<Message>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), WsError>> {
    let mut socket = Pin::new(socket);
    while !outbox.is_empty() {
        ready!(socket.as_mut().poll_ready(cx))?;
        if let Some(message) = outbox.pop_front() {
            socket.as_mut().start_send(message)?;
        }
    }
    socket.poll_flush(cx)
}

fn poll_read(socket: &mut Socket, cx: &mut Context<'_>) -> Poll<Happening> {
    loop {
        let next = ready!(Pin::new(&mut *socket).poll_next(cx));
        return Poll::Ready(match next {
            None => Happening::Gone(Lost::Transport("the network ended the connection".into())),
            Some(Err(error)) => gone(&error),
            Some(Ok(Message::Text(text))) => Happening::Frame {
                frame: text.into(),
                text: true,
            },
            Some(Ok(Message::Binary(frame))) => Happening::Frame { frame, text: false },
            Some(Ok(Message::Close(frame))) => Happening::Gone(match frame {
                Some(frame) => closed(&frame),
                None => Lost::Transport("closed without a code".into()),
            }),
            Some(Ok(_)) => continue,
        });
    }
}

/// What the server says by its close frame. The reason begins with the code's name.
fn closed(frame: &CloseFrame) -> Lost {
    let number = frame.code.into();
    let name = CloseCode::from_number(number).map_or("", CloseCode::name);
    let reason = frame.reason.as_str();
    let said = reason.strip_prefix(name).unwrap_or(reason);
    Lost::Code(number, said.trim_start_matches([':', ' ']).into())
}

fn gone(error: &WsError) -> Happening {
    Happening::Gone(Lost::Transport(error.to_string()))
}

fn message(frame: Bytes, text: bool) -> Message {
    match Utf8Bytes::try_from(frame.clone()) {
        Ok(utf8) if text => Message::Text(utf8),
        _ => Message::Binary(frame),
    }
}

async fn say_goodbye(
    mut socket: Box<Socket>,
    mut outbox: VecDeque<Message>,
    code: u16,
) -> Result<(), WsError> {
    poll_fn(|cx| poll_write(&mut socket, &mut outbox, cx)).await?;
    let frame = CloseFrame {
        code: code.into(),
        reason: Utf8Bytes::default(),
    };
    socket.close(Some(frame)).await?;
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}
