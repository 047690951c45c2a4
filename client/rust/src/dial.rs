//! The dialling of one websocket: the URL, the handshake's headers, TCP, and TLS for `wss://`. When to dial is decided
//! elsewhere.

use std::pin::Pin;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Uri, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use xp_protocol::frame::SUBPROTOCOL;
use xp_protocol::plain::brief;
use xp_protocol::{ConnectionId, DialAttempt, Revision};

use crate::item::Error;
use crate::options::{Options, Tokens};

/// What may stand unescaped in a path segment (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

pub(crate) trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

pub(crate) type Socket = WebSocketStream<Box<dyn Pipe>>;

/// Where to dial; checked once, so that dialling later fails only for reasons that may pass.
#[derive(Clone)]
pub(crate) struct Target {
    base: String,
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    path: String,
    message_bytes_max: usize,
}

/// Dials for one connection, each time with a token that is fresh.
pub(crate) struct Dialler {
    target: Target,
    connection: ConnectionId,
    tokens: Tokens,
}

/// A socket, and the token with which it was opened; or why there is none.
pub(crate) type Dialled = Result<(Socket, String), String>;

impl Dialler {
    pub(crate) fn new(target: Target, connection: ConnectionId, tokens: Tokens) -> Self {
        Self {
            target,
            connection,
            tokens,
        }
    }

    pub(crate) fn dial(
        &self,
        attempt: DialAttempt,
        since: Option<Revision>,
    ) -> Pin<Box<dyn Future<Output = Dialled> + Send>> {
        let (target, connection) = (self.target.clone(), self.connection);
        let tokens = self.tokens.clone();
        Box::pin(async move {
            let token = tokens.give().await;
            let token = token.map_err(|error| format!("no token: {error}"))?;
            let socket = target.dial(connection, attempt, since, &token).await?;
            Ok((socket, token))
        })
    }
}

impl Target {
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        let base = options.url.trim_end_matches('/').to_owned();
        let wrong = || {
            let text = format!("{base:?} is no base of a websocket URL, such as wss://example.com");
            Error::Options(text)
        };
        let uri: Uri = base.parse().map_err(|_| wrong())?;
        let secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(wrong()),
        };
        let host = uri.host().ok_or_else(wrong)?;
        if uri.query().is_some() {
            return Err(wrong());
        }
        let id = utf8_percent_encode(options.address.id(), SEGMENT);
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            tls: secure.then(|| tls(options)).transpose()?,
            path: format!("/v1/{}/{id}", options.address.category()),
            message_bytes_max: options.message_bytes_max,
            base,
        })
    }

    /// Opens one socket. The error is a text for the log and for [`crate::Lost::Transport`].
    async fn dial(
        self,
        connection: ConnectionId,
        attempt: DialAttempt,
        since: Option<Revision>,
        token: &str,
    ) -> Result<Socket, String> {
        let request = self.request(connection, attempt, since, token)?;
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await;
        let tcp = tcp.map_err(|e| format!("cannot reach {}:{}: {e}", self.host, self.port))?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        let pipe = self.secured(tcp).await?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(self.message_bytes_max))
            .max_frame_size(Some(self.message_bytes_max));
        let opened = client_async_with_config(request, pipe, Some(config)).await;
        let (socket, _) = opened.map_err(|error| unopened(&error))?;
        Ok(socket)
    }

    fn request(
        &self,
        connection: ConnectionId,
        attempt: DialAttempt,
        since: Option<Revision>,
        token: &str,
    ) -> Result<Request, String> {
        let since = since.map_or(String::new(), |since| format!("&since={since}"));
        let url = format!(
            "{}{}?connection={connection}&attempt={attempt}{since}",
            self.base, self.path
        );
        let mut request = url
            .into_client_request()
            .map_err(|error| error.to_string())?;
        let bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| "the token has characters that no header takes".to_owned())?;
        let headers: [(HeaderName, HeaderValue); 2] = [
            (header::AUTHORIZATION, bearer),
            (
                header::SEC_WEBSOCKET_PROTOCOL,
                HeaderValue::from_static(SUBPROTOCOL),
            ),
        ];
        request.headers_mut().extend(headers);
        Ok(request)
    }

    async fn secured(&self, tcp: TcpStream) -> Result<Box<dyn Pipe>, String> {
        let Some(tls) = &self.tls else {
            return Ok(Box::new(tcp));
        };
        let name = ServerName::try_from(self.host.clone()).map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(tls.clone()).connect(name, tcp).await;
        let stream = stream.map_err(|error| format!("no TLS with {}: {error}", self.host))?;
        Ok(Box::new(stream))
    }
}

/// Why there is no websocket. A server that answers in HTTP says why in words, and so does a proxy in between.
fn unopened(error: &WsError) -> String {
    match error {
        WsError::Http(response) => {
            let body = response.body().as_deref().unwrap_or_default();
            let said = String::from_utf8_lossy(body);
            let said = said.lines().next().unwrap_or_default();
            format!("answered {} {}", response.status(), brief(said))
        }
        error => error.to_string(),
    }
}

fn tls(options: &Options) -> Result<Arc<ClientConfig>, Error> {
    match &options.tls {
        Some(config) => Ok(config.clone()),
        None => trusting_the_system(),
    }
}

fn trusting_the_system() -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let text =
            "the operating system has no root certificates; install them or give Options::tls";
        return Err(Error::Options(text.to_owned()));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Options(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn each_dial_asks_for_a_token_and_fails_without_one() {
        let asked = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&asked);
        let tokens = Tokens::from_fn(move || {
            let nth = counted.fetch_add(1, Ordering::Relaxed) + 1;
            std::future::ready(Err(format!("refused {nth}").into()))
        });
        let address = "board/1".parse().expect("a category and an id");
        let options = Options::new("ws://localhost", address, tokens.clone());
        let target = Target::new(&options).expect("the URL is one");
        let dialler = Dialler::new(target, ConnectionId(Uuid::from_u128(1)), tokens);
        for wanted in ["no token: refused 1", "no token: refused 2"] {
            let dialled = dialler.dial(DialAttempt(1), None).await;
            assert_eq!(dialled.map(drop), Err(wanted.to_owned()));
        }
    }
}
