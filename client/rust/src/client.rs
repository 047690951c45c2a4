//! The client as applications hold it: its handle for calls, and the items that it receives. It decides nothing itself.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::Stream;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;
use xp_protocol::ConnectionId;

use crate::dial::Target;
use crate::driver::{Driver, Inlets, Notice, Request};
use crate::item::{Answer, End, Error, Item, Payload};
use crate::options::Options;

/// How many ephemeral commands wait for the client's task. At the bound the newest are dropped.
const NOTICES_MAX: usize = 64;

/// One logical connection to one entity: a [`Handle`] for calls and the [`Items`] that happen.
///
/// Dropped without [`Handle::close`], it leaves its session behind, which the entity keeps for its grace.
#[derive(Debug)]
pub struct Client {
    handle: Handle,
    items: Items,
}

impl Client {
    /// Starts to connect. The first item is a [`Item::Welcome`], or says why there is none.
    ///
    /// # Errors
    /// [`Error::Options`] when the URL is none, or there are no TLS roots for a `wss://` one.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect(options: Options) -> Result<Self, Error> {
        let target = Target::new(&options)?;
        let connection = options.connection.unwrap_or_else(random_connection);
        let (commands, commands_in) = mpsc::channel(1);
        let (queries, queries_in) = mpsc::channel(1);
        let (notices, notices_in) = mpsc::channel(NOTICES_MAX);
        let (items_out, items) = mpsc::channel(options.items_max.max(1));
        let over = Arc::new(OnceLock::new());
        let inlets = Inlets {
            commands: commands_in,
            queries: queries_in,
            notices: notices_in,
            items: items_out,
            over: over.clone(),
        };
        tokio::spawn(Driver::new(options, target, connection).run(inlets));
        let handle = Handle {
            connection,
            commands,
            queries,
            notices,
            over,
        };
        let items = Items(items);
        Ok(Self { handle, items })
    }

    /// The next thing that happened; `None` after [`Item::Closed`].
    pub async fn next(&mut self) -> Option<Item> {
        self.items.next().await
    }

    /// A handle for calls that can be cloned.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Calls and items apart. Without items, drop them: the client then goes on without showing any.
    #[must_use]
    pub fn split(self) -> (Handle, Items) {
        (self.handle, self.items)
    }
}

impl Deref for Client {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

/// What happens, in order.
#[derive(Debug)]
pub struct Items(mpsc::Receiver<Item>);

impl Items {
    /// The next thing that happened; `None` after [`Item::Closed`].
    pub async fn next(&mut self) -> Option<Item> {
        self.0.recv().await
    }
}

impl Stream for Items {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.0.poll_recv(cx)
    }
}

/// Calls to the entity. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    connection: ConnectionId,
    commands: mpsc::Sender<Request>,
    queries: mpsc::Sender<Request>,
    notices: mpsc::Sender<Notice>,
    over: Arc<OnceLock<End>>,
}

impl Handle {
    /// The session's name; keep it to continue the session in another process.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// A command in JSON, and its answer.
    ///
    /// # Errors
    /// [`Error::Encode`], or [`Error::Ended`] when the client ended before the answer.
    pub async fn command<T: Serialize + ?Sized>(&self, command: &T) -> Result<Answer, Error> {
        self.command_payload(Payload::json(command)?).await
    }

    /// A command in any form, and its answer.
    ///
    /// # Errors
    /// [`Error::Ended`] when the client ended before the answer.
    pub async fn command_payload(&self, payload: Payload) -> Result<Answer, Error> {
        self.submit(payload).await?.await
    }

    /// Gives a command its place in the order, and returns its answer to come: so one task can have many
    /// on the way. Waits while the oldest unanswered command is [`crate::options::Settings::window`] behind (R30).
    ///
    /// # Errors
    /// [`Error::Ended`] when the client is over.
    pub async fn submit(&self, payload: Payload) -> Result<Pending, Error> {
        self.request(&self.commands, payload).await
    }

    /// A query in JSON, and its answer. It changes nothing and stands in no order with commands.
    ///
    /// # Errors
    /// [`Error::Encode`], or [`Error::Ended`] when the client ended before the answer.
    pub async fn query<T: Serialize + ?Sized>(&self, query: &T) -> Result<Answer, Error> {
        self.query_payload(Payload::json(query)?).await
    }

    /// A query in any form, and its answer.
    ///
    /// # Errors
    /// [`Error::Ended`] when the client ended before the answer.
    pub async fn query_payload(&self, payload: Payload) -> Result<Answer, Error> {
        self.request(&self.queries, payload).await?.await
    }

    /// A command in JSON that has no answer and may be dropped, as it is without an open socket.
    ///
    /// # Errors
    /// [`Error::Encode`], or [`Error::Ended`] when the client is over.
    pub fn ephemeral<T: Serialize + ?Sized>(&self, command: &T) -> Result<(), Error> {
        self.ephemeral_payload(Payload::json(command)?)
    }

    /// The same in any form.
    ///
    /// # Errors
    /// [`Error::Ended`] when the client is over.
    pub fn ephemeral_payload(&self, payload: Payload) -> Result<(), Error> {
        match self.notices.try_send(Notice::Ephemeral(payload)) {
            Err(mpsc::error::TrySendError::Closed(_)) => Err(self.ended()),
            _ => Ok(()),
        }
    }

    /// Asks the token provider for a fresh token and sends it on the open socket. Happens by itself before
    /// a token expires; call it when claims changed.
    ///
    /// # Errors
    /// [`Error::Ended`] when the client is over.
    pub async fn refresh_token(&self) -> Result<(), Error> {
        let sent = self.notices.send(Notice::Refresh).await;
        sent.map_err(|_| self.ended())
    }

    /// Leaves for good: the session ends without a grace. Unanswered calls give [`Error::Ended`]; whether
    /// they took effect is unknown.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.notices.send(Notice::Close(done)).await.is_ok() {
            // Dropped or sent, it says that the socket is closed.
            let _ = closed.await;
        }
    }

    async fn request(
        &self,
        to: &mpsc::Sender<Request>,
        payload: Payload,
    ) -> Result<Pending, Error> {
        let (answer, coming) = oneshot::channel();
        let request = Request { payload, answer };
        to.send(request).await.map_err(|_| self.ended())?;
        Ok(Pending {
            coming,
            over: self.over.clone(),
        })
    }

    fn ended(&self) -> Error {
        ended(&self.over)
    }
}

fn ended(over: &OnceLock<End>) -> Error {
    Error::Ended(over.get().cloned().unwrap_or(End::Left))
}

/// An answer to come.
#[derive(Debug)]
pub struct Pending {
    coming: oneshot::Receiver<Result<Answer, Error>>,
    over: Arc<OnceLock<End>>,
}

impl Future for Pending {
    type Output = Result<Answer, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.coming).poll(cx);
        answer.map(|answer| answer.unwrap_or_else(|_| Err(ended(&self.over))))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the shell draws the session's name"
)]
fn random_connection() -> ConnectionId {
    ConnectionId(Uuid::new_v4())
}
