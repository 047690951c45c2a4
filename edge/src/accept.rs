//! Takes sockets: TLS, the request, the handshake, then the connection.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};
use xp_protocol::CloseCode;

use crate::connection::{self, Connection};
use crate::handshake::{self, Admitted, Wish};
use crate::http::{self, Asked, HttpError};
use crate::limits::Counted;
use crate::node::Node;
use crate::outlet::Closing;

/// Accepts until the edge drains. Dropping it drops every connection.
pub(crate) async fn run(node: Arc<Node>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let mut sockets = JoinSet::new();
    while !node.state.is_draining() {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    sockets.spawn(serve(Arc::clone(&node), stream, peer, tls.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: existing sockets go on, new ones wait.
                    warn!(target: "xp_edge::accept", %error, "a socket cannot be accepted");
                    tokio::time::sleep(node.config.timing.retry.0).await;
                }
            },
            Some(_) = sockets.join_next() => {}
            () = node.state.wait_until(|state| state.is_draining()) => {}
        }
    }
    drop(listener);
    while sockets.join_next().await.is_some() {}
}

async fn serve(node: Arc<Node>, stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>) {
    let Some(place) = node.limits.sockets.take(()) else {
        return warn!(target: "xp_edge::accept", %peer, "more sockets than the limit allows");
    };
    // Without it, small frames would wait for the peer's acknowledgements.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(target: "xp_edge::accept", %peer, %error, "no delay is not to be had");
    }
    match tls {
        None => enter(node, stream, peer, place, TcpStream::into_split).await,
        Some(tls) => {
            let patience = node.config.timing.handshake.0;
            match tokio::time::timeout(patience, tls.accept(stream)).await {
                Ok(Ok(stream)) => enter(node, stream, peer, place, tokio::io::split).await,
                Ok(Err(error)) => debug!(target: "xp_edge::accept", %peer, %error, "no TLS"),
                Err(_) => debug!(target: "xp_edge::accept", %peer, "TLS took too long"),
            }
        }
    }
}

/// From the request to the end of the connection.
async fn enter<S, R, W>(
    node: Arc<Node>,
    mut stream: S,
    peer: SocketAddr,
    _place: Counted<()>,
    split: fn(S) -> (R, W),
) where
    S: AsyncRead + AsyncWrite + Unpin,
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let patience = node.config.timing.handshake.0;
    // Boxed: an idle connection need not keep room for its handshake.
    let asked = Box::pin(ask(&node, &mut stream, peer));
    let (asked, judged) = match tokio::time::timeout(patience, asked).await {
        Ok(Ok(asked)) => asked,
        Ok(Err(error)) => return debug!(target: "xp_edge::accept", %peer, %error, "no websocket"),
        Err(_) => return debug!(target: "xp_edge::accept", %peer, "the handshake took too long"),
    };
    let (read, write) = split(stream);
    let joined = judged.and_then(|admitted| join(&node, admitted));
    match joined {
        Ok(admitted) => live(node, admitted, (read, write), asked.behind).await,
        Err(refused) => {
            report(peer, &asked, &refused);
            connection::turn_away(&node, read, write, &refused).await;
        }
    }
}

type Judged = (Asked, Result<Admitted, Closing>);

async fn ask<S>(node: &Node, stream: &mut S, peer: SocketAddr) -> Result<Judged, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let asked = http::read(stream).await?;
    if !http::upgrades(&asked.request) {
        return Err(http::plain(stream, &asked.request, node.readiness()).await);
    }
    http::upgrade(stream, &asked.request).await?;
    let judged = match Wish::read(&asked.request) {
        Ok(wish) => handshake::admit(node, wish, peer).await,
        Err(refused) => Err(refused),
    };
    Ok((asked, judged))
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
    let partition = node.partition(&admitted.outlet.address);
    if partition.is_some_and(|partition| partition.is_full()) {
        return Err(closing(
            CloseCode::LaneLost,
            "too much waits to be appended already",
        ));
    }
    match node.registry.join(&admitted.outlet) {
        Ok(replaced) => {
            if let Some(replaced) = replaced {
                replaced.close(CloseCode::Replaced, "a newer socket took over");
            }
            Ok(admitted)
        }
        Err(_) => Err(closing(
            CloseCode::Replaced,
            "a socket of a later attempt is already here",
        )),
    }
}

async fn live<R, W>(node: Arc<Node>, admitted: Admitted, halves: (R, W), behind: Vec<u8>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let partition = node.partition(&admitted.outlet.address);
    let partition = Arc::clone(partition.expect("the handshake found the category's lane"));
    let claims = admitted.verified.claims.clone();
    let since = admitted.since;
    node.state.connected();
    let connection = Connection::new(node, partition, admitted, halves, behind).await;
    connection.run(claims, since).await;
}

fn report(peer: SocketAddr, asked: &Asked, refused: &Closing) {
    info!(
        target: "xp_edge::handshake",
        code = refused.code.name(),
        %peer,
        path = asked.request.uri().path(),
        detail = refused.detail,
        "turned a client away",
    );
}
