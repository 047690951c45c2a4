//! The accept loop of an edge: TLS, the request, the handshake, then the connection.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};
use xp_protocol::CloseCode;

use crate::arrivals::Arrival;
use crate::backlog::Closing;
use crate::connection::{self, Connection};
use crate::handshake::{self, Admitted, Handshake};
use crate::http::{self, Asked, HttpError, Probe};
use crate::jwt::KEY_WITHDRAWN;
use crate::limits::Counted;
use crate::network::Network;
use crate::node::Node;
use crate::refusals::{REST_TOLD_EVERY, Refused};
use crate::{files, proxy};

/// The certificate in use, whichever that is when a socket needs it; `None` without TLS.
type Tls = Option<watch::Receiver<TlsAcceptor>>;

/// How often it is said that files run out.
const SCARCE_SAID_EVERY: Duration = Duration::from_secs(10);

/// Sockets that were closed because files run out, and when that was said last.
#[derive(Default)]
struct Scarce {
    closed: u64,
    said: Option<Instant>,
}

impl Scarce {
    fn warn(&mut self) {
        self.closed += 1;
        let now = Instant::now();
        if self.said.is_none_or(|said| now - said >= SCARCE_SAID_EVERY) {
            warn!(target: "xp_edge::accept", closed = self.closed, "closing new sockets: the process has nearly as many files open as it may, and the rest is kept for the log; raise `ulimit -n` or lower edge.limits.connections.max");
            *self = Self {
                closed: 0,
                said: Some(now),
            };
        }
    }
}

/// Accepts for as long as the edge lives: one that drains answers probes, and clients that they go elsewhere.
/// Dropping it drops every connection.
pub(crate) async fn run(node: Arc<Node>, listener: TcpListener, tls: Tls) {
    let mut sockets = JoinSet::new();
    let mut scarce = Scarce::default();
    let mut rest = tokio::time::interval(REST_TOLD_EVERY);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if !node.limits.files.take(&stream) => scarce.warn(),
                Ok((stream, peer)) => {
                    sockets.spawn(serve(Arc::clone(&node), stream, peer, tls.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: existing sockets go on, new ones wait.
                    warn!(target: "xp_edge::accept", %error, "a socket cannot be accepted: raise `ulimit -n` if files ran out");
                    tokio::time::sleep(node.config.timing.retry.0).await;
                }
            },
            Some(_) = sockets.join_next() => {}
            _ = rest.tick() => node.refusals.tell_rest(),
        }
    }
}

/// The connection of a client that is in, to its end. It is made anew for that, so that an idle one keeps no room for
/// its handshake, which takes several times as much.
type Life = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A socket on its way in.
struct Entrance {
    peer: SocketAddr,
    /// Its number among the files of the process.
    file: Option<u64>,
    arrival: Arrival,
    /// For all that it must do before it is a client.
    deadline: Instant,
}

async fn serve(node: Arc<Node>, stream: TcpStream, peer: SocketAddr, tls: Tls) {
    // Without it, small frames would wait for the peer's acknowledgements.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(target: "xp_edge::accept", %peer, %error, "no delay is not to be had");
    }
    let is_proxy = node.config.proxies.trusts(peer.ip());
    let network = (!is_proxy).then(|| Network::of(peer.ip()));
    let entrance = Entrance {
        peer,
        file: files::number(&stream),
        arrival: node.limits.arrivals.come(network),
        deadline: Instant::now() + node.config.timing.handshake.0,
    };
    match Box::pin(secure(node, stream, entrance, tls)).await {
        Ok(Some(life)) => life.await,
        Ok(None) => {}
        Err(error) => debug!(target: "xp_edge::accept", %peer, %error, "no websocket"),
    }
}

/// What lies under the request: a proxy's first words, and TLS. `None` if the client was turned away.
async fn secure(
    node: Arc<Node>,
    mut stream: TcpStream,
    mut entrance: Entrance,
    tls: Tls,
) -> Result<Option<Life>, HttpError> {
    if node.config.proxies.speaks_first(entrance.peer) {
        let said = proxy::read_v2(&mut stream);
        let client = entrance.arrival.within(entrance.deadline, said).await?;
        let client = client.inspect_err(|error| {
            node.refusals
                .tell_of_proxy(entrance.peer, error, node.clock.now());
        })?;
        entrance.peer = client.unwrap_or(entrance.peer);
    }
    match tls {
        None => enter(node, stream, entrance, TcpStream::into_split).await,
        Some(tls) => {
            let acceptor = tls.borrow().clone();
            let accepted = acceptor.accept(stream);
            let stream = entrance
                .arrival
                .within(entrance.deadline, accepted)
                .await??;
            enter(node, stream, entrance, tokio::io::split).await
        }
    }
}

/// From the request to the connection.
async fn enter<S, R, W>(
    node: Arc<Node>,
    mut stream: S,
    entrance: Entrance,
    split: fn(S) -> (R, W),
) -> Result<Option<Life>, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let Entrance {
        arrival, deadline, ..
    } = &entrance;
    let asked = ask(&node, &mut stream, &entrance);
    let (asked, client, judged) = arrival.within(*deadline, asked).await??;
    let (read, write) = split(stream);
    let joined = judged.and_then(|admitted| Ok((join(&node, admitted.0)?, admitted.1)));
    match joined {
        Ok((mut admitted, permit)) => {
            admitted.permits.socket = Some(permit);
            let halves = (read, write);
            let connected = connected(node, admitted, halves, asked.behind);
            Ok(Some(Box::pin(connected.await)))
        }
        Err(refused) => {
            let told = Refused {
                closing: &refused,
                peer: client,
                path: asked.request.uri().path(),
            };
            let reference = node.refusals.tell(&told, node.clock.now());
            // It counts as one that has shown no good token until it is gone.
            let until = Instant::now() + 2 * node.config.timing.close.0;
            let parting = connection::turn_away(&node, read, write, (&refused, &reference));
            arrival.within(until, parting).await?;
            Ok(None)
        }
    }
}

/// What was asked, by which client, and whether it may come in.
type Judged = (Asked, SocketAddr, Result<(Admitted, Counted<()>), Closing>);

async fn ask<S>(node: &Node, stream: &mut S, entrance: &Entrance) -> Result<Judged, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let asked = http::read(stream, || node.readiness()).await?;
    let request = &asked.request;
    if !http::upgrades(request) {
        let probe = Probe {
            path: request.uri().path(),
            host: http::header(request, ::http::header::HOST),
            is_bare: false,
        };
        return Err(http::plain(stream, &probe, node.readiness()).await);
    }
    if node.state.is_draining() {
        return Err(http::elsewhere(stream, http::LEAVING).await);
    }
    let permit = node.limits.sockets.take(());
    let Some(permit) = permit.filter(|_| node.limits.files.keep(entrance.file)) else {
        return Err(http::elsewhere(stream, http::FULL).await);
    };
    http::upgrade(stream, request).await?;
    let client = node.config.proxies.client(request, entrance.peer);
    let judged = match Handshake::read(request) {
        Ok(handshake) => handshake::admit(node, handshake, client).await,
        Err(refused) => Err(refused),
    };
    Ok((asked, client, judged.map(|admitted| (admitted, permit))))
}

/// The socket is pending from here on, and what it replaces is closed.
fn join(node: &Node, admitted: Admitted) -> Result<Admitted, Closing> {
    let closing = |code, detail: &str| Closing {
        code,
        detail: detail.to_owned(),
    };
    if !node.state.is_open() {
        return Err(closing(
            CloseCode::Draining,
            "the edge takes no clients now",
        ));
    }
    let partition = node.routes.partition(&admitted.send_queue.address);
    if partition.is_some_and(|partition| partition.is_full()) {
        return Err(closing(
            CloseCode::LaneLost,
            "too much waits to be appended already",
        ));
    }
    match node.registry.join(&admitted.send_queue) {
        Ok(replaced) => {
            if let Some(replaced) = replaced {
                replaced.close(CloseCode::Replaced, "a newer socket took over");
            }
            // Its key may have been withdrawn before it could be found here.
            let send_queue = &admitted.send_queue;
            if !node.verifier.keys().contains(&send_queue.key()) {
                send_queue.close(CloseCode::TokenExpired, KEY_WITHDRAWN);
            }
            Ok(admitted)
        }
        // Late, or of a client whose clock was put right (R27): it comes in once the other one is gone.
        Err(_) => Err(closing(
            CloseCode::ComeBack,
            "a socket of a later attempt is still here",
        )),
    }
}

async fn connected<R, W>(
    node: Arc<Node>,
    admitted: Admitted,
    halves: (R, W),
    behind: Vec<u8>,
) -> impl Future<Output = ()> + Send + 'static
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let partition = node.routes.partition(&admitted.send_queue.address);
    let partition = Arc::clone(partition.expect("the handshake found the category's lane"));
    let claims = admitted.verified.claims.clone();
    let since = admitted.since;
    node.state.connected();
    let connection = Connection::new(node, partition, admitted, halves, behind).await;
    Box::new(connection).run(claims, since)
}
