//! The checks of a handshake: the address, the token, the origin, the limits. Reading HTTP is not done here.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, ORIGIN};
use percent_encoding::percent_decode_str;
use tokio_tungstenite::tungstenite::handshake::server::Request;
use xp_protocol::frame::BEARER_PREFIX;
use xp_protocol::outbound::Socket;
use xp_protocol::{Address, CloseCode, ConnectionId, DialAttempt, Revision};

use crate::backlog::{Bounds, Closing};
use crate::jwt::{TokenError, Verified};
use crate::limits::Counted;
use crate::network::Network;
use crate::node::Node;
use crate::send_queue::SendQueue;

/// What the URL and the headers ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Handshake {
    pub(crate) address: Address,
    pub(crate) connection: ConnectionId,
    pub(crate) attempt: Option<DialAttempt>,
    pub(crate) since: Option<Revision>,
    pub(crate) token: Option<String>,
    pub(crate) origin: Option<String>,
}

/// Who came in.
pub(crate) struct Admitted {
    pub(crate) send_queue: Arc<SendQueue>,
    pub(crate) verified: Verified,
    pub(crate) since: Option<Revision>,
    pub(crate) permits: Permits,
}

/// The places a connection takes up, until it is dropped.
pub(crate) struct Permits {
    _subject: Counted<Box<str>>,
    _network: Counted<Network>,
    /// Among all sockets of the edge.
    pub(crate) socket: Option<Counted<()>>,
}

fn refuse(code: CloseCode, detail: impl Into<String>) -> Closing {
    let detail = detail.into();
    Closing { code, detail }
}

impl Handshake {
    /// Reads `/v1/{category}/{id}?connection=&attempt=&since=` and the headers.
    pub(crate) fn read(request: &Request) -> Result<Self, Closing> {
        let address = address(request.uri().path())?;
        let query = Query(request.uri().query().unwrap_or(""));
        let connection = query
            .get("connection")
            .ok_or_else(|| refuse(CloseCode::ProtocolError, "the URL lacks ?connection={uuid}"))?;
        Ok(Self {
            address,
            connection: connection
                .parse()
                .map(ConnectionId)
                .map_err(|_| refuse(CloseCode::ProtocolError, "connection takes a UUID"))?,
            attempt: query.number("attempt")?.map(DialAttempt),
            since: query.number("since")?.map(Revision),
            token: token(request),
            origin: origin(request),
        })
    }
}

fn address(path: &str) -> Result<Address, Closing> {
    let unknown = |reason: String| refuse(CloseCode::UnknownAddress, reason);
    let rest = path
        .strip_prefix("/v1/")
        .ok_or_else(|| unknown("the path is /v1/{category}/{id}".to_owned()))?;
    let (category, id) = rest
        .split_once('/')
        .ok_or_else(|| unknown("the path is /v1/{category}/{id}".to_owned()))?;
    let id = percent_decode_str(id).decode_utf8();
    let id = id.map_err(|_| unknown("the id is not UTF-8".to_owned()))?;
    Address::new(category, &id).map_err(|error| unknown(error.to_string()))
}

/// A query string.
struct Query<'a>(&'a str);

impl Query<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(key, _)| *key == name);
        values.next().map(|(_, value)| value)
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Closing> {
        let value = self.get(name).map(str::parse).transpose();
        value.map_err(|_| refuse(CloseCode::ProtocolError, format!("{name} takes a number")))
    }
}

/// From `Authorization: Bearer`, or for browsers from the subprotocol list. Never from the URL, which
/// ends up in logs.
fn token(request: &Request) -> Option<String> {
    let bearer = crate::http::header(request, AUTHORIZATION)
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let offered = || crate::http::protocols(request).find_map(|p| p.strip_prefix(BEARER_PREFIX));
    bearer.or_else(offered).map(str::to_owned)
}

/// The page that dials. One whose name is no ASCII is a page all the same, and none that is allowed.
fn origin(request: &Request) -> Option<String> {
    let origin = request.headers().get(ORIGIN)?;
    Some(String::from_utf8_lossy(origin.as_bytes()).into_owned())
}

/// Judges a wish. What is refused is closed with the reason.
pub(crate) async fn admit(
    node: &Node,
    handshake: Handshake,
    peer: SocketAddr,
) -> Result<Admitted, Closing> {
    if node.routes.partition(&handshake.address).is_none() {
        let category = handshake.address.category();
        let detail = format!("nothing of category {category:?} is hosted");
        return Err(refuse(CloseCode::UnknownAddress, detail));
    }
    check_origin(node, handshake.origin.as_deref())?;
    let network = Network::of(peer.ip());
    let verified = verify(node, &handshake).await;
    let verified = verified.map_err(|refused| refused_token(node, network, refused))?;
    check_pace(node, network, &verified.identity.subject)?;
    let permits = permits(node, network, &verified.identity.subject)?;
    let attempt = attempt(node, &handshake, &verified.identity.subject)?;
    let socket = Socket {
        connection: handshake.connection,
        attempt,
    };
    let send_queue = send_queue(node, handshake.address, socket, &verified, peer);
    Ok(Admitted {
        send_queue: Arc::new(send_queue),
        verified,
        since: handshake.since,
        permits,
    })
}

fn check_origin(node: &Node, origin: Option<&str>) -> Result<(), Closing> {
    let allowed = &node.config.origins;
    match origin {
        Some(origin) if !allowed.iter().any(|a| a == "*" || a == origin) => {
            let detail = format!("scripts of {origin} may not connect");
            Err(refuse(CloseCode::ForeignOrigin, detail))
        }
        _ => Ok(()),
    }
}

async fn verify(node: &Node, handshake: &Handshake) -> Result<Verified, Closing> {
    let judged = match &handshake.token {
        Some(token) => node.vouch(&handshake.address, token).await,
        None => Err(TokenError::Missing),
    };
    judged.map_err(|error| refuse(error.code(), error.to_string()))
}

/// What a bad token is told: whoever sends many must slow down, and spends nothing of the good ones' budget.
fn refused_token(node: &Node, from: Network, refused: Closing) -> Closing {
    if node.limits.bad_token_passes(from) {
        return refused;
    }
    let detail = format!("too many bad tokens from {from}: {}", refused.detail);
    refuse(CloseCode::TooFast, detail)
}

#[expect(clippy::borrowed_box, reason = "the limiter is keyed by boxes")]
fn check_pace(node: &Node, from: Network, subject: &Box<str>) -> Result<(), Closing> {
    let too_many = |whose: String| {
        let detail = format!("too many handshakes {whose}");
        Err(refuse(CloseCode::TooFast, detail))
    };
    if !node.limits.handshake_passes(from) {
        return too_many(format!("from {from}"));
    }
    if !node.limits.subject_passes(subject) {
        return too_many(format!("of subject {subject:?}"));
    }
    Ok(())
}

fn permits(node: &Node, from: Network, subject: &str) -> Result<Permits, Closing> {
    let full = |whose: String| {
        let detail = format!("{whose} has as many connections as the limit allows");
        refuse(CloseCode::TooManyConnections, detail)
    };
    let network = node.limits.networks.take(from);
    let network = network.ok_or_else(|| full(from.to_string()))?;
    let counted = node.limits.subjects.take(subject.into());
    let counted = counted.ok_or_else(|| full(format!("subject {subject:?}")))?;
    Ok(Permits {
        _subject: counted,
        _network: network,
        socket: None,
    })
}

/// The attempt of the URL; left out, the edge's clock, which must still be later than the live socket.
fn attempt(node: &Node, handshake: &Handshake, subject: &str) -> Result<DialAttempt, Closing> {
    let holder = node
        .registry
        .holder(&handshake.address, handshake.connection);
    let clock = DialAttempt(node.clock.now().0);
    match (handshake.attempt, holder) {
        (_, Some(holder)) if *holder.subject != *subject => Err(refuse(
            CloseCode::ForeignConnection,
            format!("connection {} is of another subject", handshake.connection),
        )),
        (Some(attempt), _) => Ok(attempt),
        // No attempt is above the last one there is: while that one is here, nobody comes behind it.
        (None, Some(holder)) => Ok(clock.max(DialAttempt(holder.attempt.0.saturating_add(1)))),
        (None, None) => Ok(clock),
    }
}

fn send_queue(
    node: &Node,
    address: Address,
    socket: Socket,
    verified: &Verified,
    peer: SocketAddr,
) -> SendQueue {
    let limits = &node.config.limits;
    let bounds = Bounds {
        bytes_max: limits.queue.bytes_max.0,
        frames_max: limits.queue.frames_max as usize,
    };
    let subject = verified.identity.subject.clone();
    let ready = node.ready.of(socket.connection);
    SendQueue::new(address, socket, subject, peer, verified.key, bounds, ready)
}

#[cfg(test)]
mod tests;
