//! The configuration of one edge, apart from what is measured or decided while it runs.

mod judged;
mod key;
mod origins;
mod limits;
mod timing;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::network::Range;
use xp_settings::{Span, settings};

pub use judged::Unusable;
pub use key::{Key, Source};
pub use limits::{
    ConnectionLimits, HandshakeLimits, Limits, PartitionLimits, QueueLimits, RateLimits,
};
pub use timing::{DrainTiming, KeyTiming, LaneTiming, Timing};

/// One edge.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The edge's stable name. A second process of the same name replaces the first.
    pub name: String,
    /// Where it listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The outbound partition it reads, for its whole incarnation. Left out: the one that the fewest other
    /// edges read when it starts.
    #[serde(default)]
    pub outbound_partition: Option<u32>,
    /// TLS. Left out: plain TCP, for development and behind a proxy that terminates TLS.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Whose tokens are accepted.
    pub tokens: Tokens,
    /// Web pages whose scripts may connect, as in `https://example.org`, letter by letter as browsers send them (no slash
    /// at the end, no port that goes without saying); `*` is any. A handshake with
    /// another `Origin` is closed `foreign-origin`; one without an `Origin` comes from no page and passes.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Whether clients hear why they are turned away, beside the code; `xp dev` always tells. Elsewhere they hear a
    /// reference, which the log line has too.
    #[serde(default)]
    pub explains: bool,
    /// Who is believed about where a client comes from.
    #[serde(default)]
    pub proxies: Proxies,
    /// What a client may take up.
    #[serde(default)]
    pub limits: Limits,
    /// How long things may take.
    #[serde(default)]
    pub timing: Timing,
}

/// The certificate that clients see.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// PEM file with the certificate, then its issuers.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// How tokens are checked.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tokens {
    /// The keys whose signatures count, as in `keys = [{ jwks-url = "https://…" }]`. A key fixes its algorithm; a
    /// token's header cannot choose another.
    pub keys: Vec<Key>,
    /// Accepted `iss`. Empty: not checked. Otherwise a token without `iss` is refused. With several, each key names the
    /// one whose tokens it signs, and a subject is called `{iss}#{sub}`: one issuer's `ana` is not another's.
    #[serde(default)]
    pub issuers: Vec<String>,
    /// Accepted `aud`. Empty: not checked. Otherwise a token without `aud` is refused.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Claims a token must have besides `exp` and `sub`; one that lacks them is closed `bad-token`.
    #[serde(default)]
    pub required: Vec<String>,
    /// How far the issuer's clock may be off when `exp` and `nbf` are judged.
    #[serde(default = "leeway")]
    pub leeway: Span,
}

fn leeway() -> Span {
    Span::from_secs(5)
}

settings! {
    /// The proxies in front of an edge: limits per network are counted for the clients behind them.
    pub struct Proxies {
        /// Their addresses, as in `["10.0.0.0/8", "2001:db8::7"]`. What anybody else says of where a client comes from
        /// is ignored. Empty: the peer of a socket is the client.
        #[schemars(with = "Vec<String>")]
        trusted: Vec<Range> = Vec::new(),
        /// How they say it. Only this is believed: a proxy that sets one header may pass on another that the client
        /// made up.
        told_by: ToldBy = ToldBy::XForwardedFor,
    }
}

/// How a trusted proxy says whom it speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ToldBy {
    /// The header `X-Forwarded-For`, which the proxy appends to.
    XForwardedFor,
    /// The header `Forwarded` (RFC 7239), which the proxy appends to.
    Forwarded,
    /// The PROXY protocol, version 2, before TLS: every socket of a trusted proxy must begin with it.
    ProxyV2,
}

/// Which lane serves a category.
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    /// From category to lane.
    pub by_category: BTreeMap<String, Lane>,
    /// From category to the claims of a token that its entities are told. All others go no further than this edge.
    pub claims: BTreeMap<String, Vec<String>>,
}

/// One lane, as an edge sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// Its name; the topics are `{name}.inbound` and `{name}.outbound`.
    pub name: String,
    /// How many partitions `inbound` has.
    pub partitions: u32,
    /// How many partitions `outbound` has.
    pub outbound_partitions: u32,
}

impl Lanes {
    /// All categories on one lane.
    pub fn one<C: Into<String>>(lane: &Lane, categories: impl IntoIterator<Item = C>) -> Self {
        let by_category = categories
            .into_iter()
            .map(|category| (category.into(), lane.clone()))
            .collect();
        let claims = BTreeMap::new();
        Self {
            by_category,
            claims,
        }
    }

    /// These claims of a token are told to the entities of `category`.
    #[must_use]
    pub fn telling(mut self, category: &str, claims: &[&str]) -> Self {
        let claims = claims.iter().map(|claim| (*claim).to_owned());
        self.claims.insert(category.to_owned(), claims.collect());
        self
    }
}
