//! The part of a handshake that is plain HTTP.

use http::header::{
    AUTHORIZATION, HOST, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{StatusCode, Uri};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::handshake::server::{Request, create_response, write_response};
use xp_protocol::frame::SUBPROTOCOL;

use crate::arrivals::Gone;
use crate::node::Readiness;

/// The longest request head, in bytes. A longer one is answered 431.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What is said at the address of a websocket to a request for something else.
const NO_UPGRADE: &str = "A websocket connects here, and this request asks for none: it takes HTTP/1.1 with \
                          `Connection: Upgrade` and `Upgrade: websocket`. A proxy in between must pass these on.\n";

/// What went wrong before there was a websocket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("the socket broke")]
    Io(#[from] std::io::Error),
    #[error("the peer closed before its request was complete")]
    Closed,
    #[error("answered {0}: {1}")]
    Answered(StatusCode, String),
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// A request, and what the peer sent behind it.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) behind: Vec<u8>,
}

/// Reads a request head. A probe that could never become a websocket is answered here.
pub(crate) async fn read<S>(
    stream: &mut S,
    readiness: impl Fn() -> Readiness,
) -> Result<Asked, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(HttpError::Closed);
        }
        match Request::try_parse(&head) {
            Ok(Some((size, request))) => {
                let behind = head.split_off(size);
                return Ok(Asked { request, behind });
            }
            Ok(None) if head.len() < HEAD_BYTES_MAX => {}
            Ok(None) => {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                let reason = format!("a request head has at most {HEAD_BYTES_MAX} bytes\n");
                return Err(answer(stream, status, reason).await);
            }
            Err(error) => {
                // Load balancers probe in a version of HTTP that websockets do not know.
                if let Some(probe) = Probe::read(&head) {
                    return Err(plain(stream, &probe, readiness()).await);
                }
                let reason = format!("this is no websocket handshake: {error}\n");
                return Err(answer(stream, StatusCode::BAD_REQUEST, reason).await);
            }
        }
    }
}

/// A request that becomes no websocket.
pub(crate) struct Probe<'a> {
    pub(crate) path: &'a str,
    pub(crate) host: Option<&'a str>,
    /// Whether it wants to hear the status alone, as HEAD does.
    pub(crate) is_bare: bool,
}

impl<'a> Probe<'a> {
    /// One that is no GET of HTTP/1.1: HAProxy asks by OPTIONS and in HTTP/1.0 unless told otherwise, others by HEAD.
    fn read(head: &'a [u8]) -> Option<Self> {
        let line = head.split(|byte| *byte == b'\n').next()?;
        let line = std::str::from_utf8(line).ok()?.trim_end();
        let (method, rest) = line.split_once(' ')?;
        let (target, version) = rest.split_once(' ')?;
        let is_probe = ["GET", "HEAD", "OPTIONS"].contains(&method)
            && ["HTTP/1.0", "HTTP/1.1"].contains(&version);
        is_probe.then_some(Self {
            path: target.split('?').next()?,
            host: None,
            is_bare: method == "HEAD",
        })
    }
}

/// Whether the request wants to become a websocket.
pub(crate) fn upgrades(request: &Request) -> bool {
    let wanted = request.headers().get(UPGRADE);
    wanted.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Answers what is no websocket.
pub(crate) async fn plain<S>(stream: &mut S, probe: &Probe<'_>, readiness: Readiness) -> HttpError
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (status, text) = match probe.path {
        // State nodes call it `/live`.
        "/health" | "/live" => (StatusCode::OK, "live\n".to_owned()),
        "/ready" => (status(readiness), format!("{readiness}\n")),
        path if path.starts_with("/v1/") => (StatusCode::UPGRADE_REQUIRED, NO_UPGRADE.to_owned()),
        _ => (StatusCode::NOT_FOUND, lost(probe.host)),
    };
    match probe.is_bare {
        true => say(stream, status, text, "").await,
        false => answer(stream, status, text).await,
    }
}

/// What is said to a client for whom there is no room.
pub(crate) const FULL: &str = "this edge has as many connections as it may\n";
/// What is said to a client that comes while the edge leaves.
pub(crate) const LEAVING: &str = "this edge is leaving, and others take clients\n";

/// Answers a client that another edge may take, so that a proxy in between can ask that one at once.
pub(crate) async fn elsewhere<S>(stream: &mut S, why: &str) -> HttpError
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    answer(stream, StatusCode::SERVICE_UNAVAILABLE, why.to_owned()).await
}

fn status(readiness: Readiness) -> StatusCode {
    match readiness {
        Readiness::Ready => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn lost(host: Option<&str>) -> String {
    let host = host.unwrap_or("this-host");
    format!(
        "Nothing is here. Connect a websocket to \
         ws://{host}/v1/{{category}}/{{id}}?connection={{uuid}} with a token, \
         or ask /health and /ready.\n"
    )
}

async fn answer<S>(stream: &mut S, status: StatusCode, text: String) -> HttpError
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let body = text.clone();
    say(stream, status, text, &body).await
}

/// Answers with the head that goes with `text`, and `body`.
async fn say<S>(stream: &mut S, status: StatusCode, text: String, body: &str) -> HttpError
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // RFC 9110, 15.5.22: what it takes is named.
    let upgrade = match status {
        StatusCode::UPGRADE_REQUIRED => "upgrade: websocket\r\n",
        _ => "",
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n{upgrade}\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        text.len()
    );
    let wrote = match stream.write_all(head.as_bytes()).await {
        Ok(()) => stream.shutdown().await,
        failed => failed,
    };
    match wrote {
        Ok(()) => HttpError::Answered(status, text.trim_end().to_owned()),
        Err(error) => error.into(),
    }
}

/// What no client and no proxy that keeps to the rules sends, so that who is in between may have read it otherwise.
fn malformed(request: &Request) -> Option<&'static str> {
    let headers = request.headers();
    let count = |name: HeaderName| headers.get_all(name).iter().count();
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    if count(HOST) != 1 {
        Some("it takes exactly one Host (RFC 9112, 3.2)")
    } else if count(SEC_WEBSOCKET_KEY) != 1 || !key.is_some_and(is_nonce) {
        Some("it takes exactly one Sec-WebSocket-Key, 16 bytes in base64 (RFC 6455, 4.2.1)")
    } else if [SEC_WEBSOCKET_VERSION, ORIGIN, AUTHORIZATION]
        .into_iter()
        .any(|name| count(name) > 1)
    {
        Some("Sec-WebSocket-Version, Origin and Authorization come once at most")
    } else if !has_whole_escapes(request.uri()) {
        Some("a '%' in the URL is followed by two hexadecimal digits (RFC 3986, 2.1)")
    } else {
        None
    }
}

/// 16 bytes in base64 are 22 letters and two signs that fill up.
fn is_nonce(key: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let letters = key.strip_suffix(b"==");
    letters.is_some_and(|letters| letters.len() == 22 && letters.iter().all(is_letter))
}

fn has_whole_escapes(uri: &Uri) -> bool {
    let text = uri.path_and_query().map_or("", |all| all.as_str());
    let mut behind = text.split('%').skip(1);
    behind.all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Accepts the upgrade; `xp.v1` is selected when it was offered, and nothing else ever.
pub(crate) async fn upgrade<S>(stream: &mut S, request: &Request) -> Result<(), HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(reason) = malformed(request) {
        let reason = format!("this is no websocket handshake: {reason}\n");
        return Err(answer(stream, StatusCode::BAD_REQUEST, reason).await);
    }
    let mut response = match create_response(request) {
        Ok(response) => response,
        Err(error) => {
            let reason = format!("this is no websocket handshake: {error}\n");
            return Err(answer(stream, StatusCode::BAD_REQUEST, reason).await);
        }
    };
    if protocols(request).any(|offered| offered == SUBPROTOCOL) {
        let selected = HeaderValue::from_static(SUBPROTOCOL);
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, selected);
    }
    let mut head = Vec::new();
    write_response(&mut head, &response).map_err(unwritable)?;
    Ok(stream.write_all(&head).await?)
}

fn unwritable(error: tungstenite::Error) -> HttpError {
    HttpError::Io(std::io::Error::other(error))
}

/// The subprotocols a client offers, over all headers of the name.
pub(crate) fn protocols(request: &Request) -> impl Iterator<Item = &str> {
    let headers = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let texts = headers.iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim)
}

/// One header's text.
pub(crate) fn header(request: &Request, name: HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}
