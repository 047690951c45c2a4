//! Options of a client: the server, the entity, the tokens, and times and bounds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::ClientConfig;
use xp_protocol::{Address, ConnectionId, DialAttempt};

pub use crate::machine::Settings;
pub use crate::token::{TokenError, Tokens};

/// What a client needs to know. [`Options::new`] fills in all but the first three.
#[derive(Clone)]
pub struct Options {
    /// `ws://` or `wss://` with host, port, and the path before `/v1` if there is one.
    pub url: String,
    /// The entity to talk to; one client talks to one.
    pub address: Address,
    /// Where tokens come from: asked before each dial and before the last one expires.
    pub tokens: Tokens,
    /// Names the session. A new random one unless an earlier session is to be continued.
    pub connection: Option<ConnectionId>,
    /// The last attempt made with this connection id; the clock in milliseconds when not known.
    pub attempt: Option<DialAttempt>,
    /// The TLS configuration for `wss://`; `None` trusts the roots of the operating system.
    pub tls: Option<Arc<ClientConfig>>,
    /// How long before its expiry a token is refreshed on the open socket.
    pub refresh_before: Duration,
    /// How many items wait for the application. At the bound the socket is not read, and answers wait as
    /// well; drop [`crate::Items`] if they are not wanted.
    pub items_max: usize,
    /// How many frames wait for the network. At the bound ephemeral commands are dropped, and
    /// when anything else is to be written the socket is given up and dialled again.
    pub outbox_max: usize,
    /// The largest message that is read. At the bound the socket is lost.
    pub message_bytes_max: usize,
    /// The bounds and times of the machine.
    pub settings: Settings,
}

impl Options {
    /// The options for one entity behind `url`. `tokens` may be a plain token.
    pub fn new(url: impl Into<String>, address: Address, tokens: impl Into<Tokens>) -> Self {
        Self {
            url: url.into(),
            address,
            tokens: tokens.into(),
            connection: None,
            attempt: None,
            tls: None,
            refresh_before: Duration::from_secs(30),
            items_max: 1024,
            outbox_max: 1024,
            message_bytes_max: 64 << 20,
            settings: Settings::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("url", &self.url)
            .field("address", &self.address)
            .field("connection", &self.connection)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
