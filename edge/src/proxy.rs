//! The address of a client behind a proxy: what the proxy says it is, believed only of proxies that the configuration
//! trusts.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::header::{FORWARDED, HeaderName};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_tungstenite::tungstenite::handshake::server::Request;

use crate::config::{Proxies, ToldBy};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The first bytes of the PROXY protocol, version 2 (haproxy.org, proxy-protocol.txt, 2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What may follow its fixed part, in bytes: addresses and a few remarks. A longer one is refused.
const REMARKS_BYTES_MAX: usize = 1024;
const LOCAL: u8 = 0x20;
const PROXIED: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

impl Proxies {
    pub(crate) fn trusts(&self, addr: IpAddr) -> bool {
        self.trusted.iter().any(|range| range.contains(addr))
    }

    /// Whether a socket from `peer` must begin with the PROXY protocol.
    pub(crate) fn speaks_first(&self, peer: SocketAddr) -> bool {
        self.told_by == ToldBy::ProxyV2 && self.trusts(peer.ip())
    }

    /// The client of a request that came from `peer`: the last address of the chain that no trusted proxy vouches for
    /// any further. What stands before it, anybody may have written.
    pub(crate) fn client(&self, request: &Request, peer: SocketAddr) -> SocketAddr {
        let chain = match self.told_by {
            ToldBy::XForwardedFor => values(request, X_FORWARDED_FOR).map(address).collect(),
            ToldBy::Forwarded => values(request, FORWARDED).map(forwarded_for).collect(),
            ToldBy::ProxyV2 => Vec::new(),
        };
        let mut client = peer;
        for before in chain.into_iter().rev() {
            match before {
                Some(addr) if self.trusts(client.ip()) => client = SocketAddr::new(addr, 0),
                _ => break,
            }
        }
        client
    }
}

/// The elements of a header that is a list, over all headers of the name.
fn values(request: &Request, name: HeaderName) -> impl Iterator<Item = &str> {
    let headers = request.headers().get_all(name);
    // One that is no text says nothing, and what stands before it is not believed.
    let texts = headers.iter().map(|value| value.to_str().unwrap_or(""));
    texts.flat_map(|text| text.split(','))
}

/// An address, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let addr = bare.unwrap_or(text).parse().ok();
    addr.or_else(|| text.parse().ok().map(|addr: SocketAddr| addr.ip()))
}

/// The `for` of one element of `Forwarded` (RFC 7239).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    named.next().and_then(|(_, value)| address(value))
}

/// Reads the beginning of a proxied socket: the client, or `None` where the proxy speaks for itself.
pub(crate) async fn read_v2<S>(stream: &mut S) -> io::Result<Option<SocketAddr>>
where
    S: AsyncRead + Unpin,
{
    let mut head = [0; 16];
    stream.read_exact(&mut head).await?;
    let [.., kind, family, high, low] = head;
    let size = usize::from(u16::from_be_bytes([high, low]));
    if head[..12] != SIGNATURE || size > REMARKS_BYTES_MAX {
        return Err(invalid(
            "it does not begin with the PROXY protocol, version 2",
        ));
    }
    let mut rest = vec![0; size];
    stream.read_exact(&mut rest).await?;
    match (kind, family) {
        (PROXIED, TCP4) => source::<4>(&rest).map(|(ip, port)| (Ipv4Addr::from(ip).into(), port)),
        (PROXIED, TCP6) => source::<16>(&rest).map(|(ip, port)| (Ipv6Addr::from(ip).into(), port)),
        (LOCAL | PROXIED, _) => return Ok(None),
        _ => None,
    }
    .map(|client: (IpAddr, u16)| Some(client.into()))
    .ok_or_else(|| invalid("what it says of its client cannot be read"))
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// The source of source and destination address and their ports.
fn source<const N: usize>(bytes: &[u8]) -> Option<([u8; N], u16)> {
    let addr = bytes.first_chunk::<N>()?;
    let port = bytes.get(2 * N..)?.first_chunk::<2>()?;
    Some((*addr, u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests;
