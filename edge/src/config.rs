//! The configuration of one edge, apart from what is measured or decided while it runs.

mod judged;
mod key;
mod origins;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::network::Range;
use xp_settings::{Size, Span, settings};

pub use judged::Unusable;
pub use key::{Key, Source};

/// One edge.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// PEM file with the certificate, then its issuers.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// How tokens are checked.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
        trusted: Vec<Range> = Vec::new(),
        /// How they say it. Only this is believed: a proxy that sets one header may pass on another that the client
        /// made up.
        told_by: ToldBy = ToldBy::XForwardedFor,
    }
}

/// How a trusted proxy says whom it speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToldBy {
    /// The header `X-Forwarded-For`, which the proxy appends to.
    XForwardedFor,
    /// The header `Forwarded` (RFC 7239), which the proxy appends to.
    Forwarded,
    /// The PROXY protocol, version 2, before TLS: every socket of a trusted proxy must begin with it.
    ProxyV2,
}

settings! {
    /// What a client may take up, and what happens beyond.
    pub struct Limits {
        /// The largest frame a client may send. A larger one is closed `frame-too-large`.
        frame_bytes_max: Size = Size(64 << 10),
        /// How far a client's numbers may run ahead of its oldest unanswered one (B of R30). Beyond:
        /// closed `protocol-error`. Must not exceed what the state node stores per session.
        window: u32 = 64,
        /// Queries of one connection without an answer. Beyond: `busy`.
        asks_max: u32 = 64,
        /// Frames per second of one connection, on average. Beyond the burst: closed `too-fast`.
        frames_per_second: u32 = 200,
        /// Frames of one connection at once, above the average.
        frames_burst: u32 = 1_000,
        /// Frames per second of all connections of one subject. Beyond the burst: closed `too-fast`.
        subject_frames_per_second: u32 = 2_000,
        /// Frames of one subject at once, above the average.
        subject_frames_burst: u32 = 10_000,
        /// Bytes per second of one connection's frames of 1 KiB and more, on average. Beyond the burst: closed
        /// `too-fast`. A client repeats its window after each `busy-retry`, so that twice the window of its largest
        /// frames in this time must pass.
        bytes_per_second: Size = Size(8 << 20),
        /// Bytes of one connection at once, above the average.
        bytes_burst: Size = Size(32 << 20),
        /// Bytes per second of all connections of one subject. Beyond the burst: closed `too-fast`.
        subject_bytes_per_second: Size = Size(32 << 20),
        /// Bytes of one subject at once, above the average.
        subject_bytes_burst: Size = Size(128 << 20),
        /// Handshakes with a good token per second from one network: an IPv4 address, or an IPv6 network of 64 bits.
        /// Beyond the burst: closed `too-fast`.
        handshakes_per_second: u32 = 200,
        /// Handshakes with a good token from one network at once, above the average.
        handshakes_burst: u32 = 20_000,
        /// Handshakes with a bad token per second from one network. Beyond the burst: closed `too-fast`, which costs
        /// the good ones of that network nothing.
        bad_tokens_per_second: u32 = 20,
        /// Handshakes with a bad token from one network at once, above the average.
        bad_tokens_burst: u32 = 1_000,
        /// Handshakes with a good token per second of one subject. Beyond the burst: closed `too-fast`.
        subject_handshakes_per_second: u32 = 100,
        /// Handshakes of one subject at once, above the average.
        subject_handshakes_burst: u32 = 10_000,
        /// Sockets of this edge that have not shown a good token yet. One more, and the oldest of them is closed.
        arrivals_max: u32 = 10_000,
        /// Such sockets from one network. One more, and the oldest of that network is closed. Not counted for trusted
        /// proxies before they have said for whom they speak.
        arrivals_per_network: u32 = 1_000,
        /// Connections of this edge. Beyond: answered 503 before the websocket, and `/ready` is 503.
        connections_max: u32 = 200_000,
        /// Open files of the process that sockets leave to the log. Beyond: the socket is closed when it is accepted, a
        /// few before that are answered 503.
        files_kept: u32 = 32,
        /// Connections of one subject. Beyond: closed `too-many-connections`.
        connections_per_subject: u32 = 1_000,
        /// Connections from one network. Beyond: closed `too-many-connections`.
        connections_per_address: u32 = 50_000,
        /// Bytes that wait for one client. Beyond: closed `slow`. A welcome and what a resume repeats do
        /// not count, or a client that was away could never catch up; the record limit bounds those.
        queue_bytes_max: Size = Size(1 << 20),
        /// Frames that wait for one client. Beyond: closed `slow`. Counted like the bytes.
        queue_frames_max: u32 = 8_192,
        /// The most that is put together for one client from what is too large for one record of the log: its welcome, or
        /// an answer (R41). Beyond it is given up, and the client comes back or asks again. Must not be below the state
        /// nodes' `whole-bytes-max`, which refuses what is larger by name.
        whole_bytes_max: Size = Size(64 << 20),
        /// Sessions for which the owners are asked at once, each half of `resume`, to send what they may have missed when
        /// `outbound` dropped records before this edge read them. The others wait for the next time.
        repairs_max: u32 = 1_000,
        /// Commands and queries without an answer per lane partition. Beyond: `busy`, and ephemeral
        /// commands are dropped.
        partition_unanswered_max: u32 = 10_000,
        /// Bytes that wait to be appended per lane partition. Beyond: as above, and new sockets are closed `lane-lost`.
        partition_bytes_max: Size = Size(16 << 20),
        /// Bytes per lane partition that its owner has not taken yet, of all edges together; each message counts 1 KiB
        /// more. From a half of it on ephemeral commands are dropped, from three quarters on queries are answered
        /// `busy` and `/ready` is 503, then commands, and first those of the subjects with the most. Where `inbound`
        /// is kept in memory it must keep well more than this, or messages are lost there and sent again.
        partition_behind_max: Size = Size(32 << 20),
        /// What `busy` tells the client to wait. Clients repeat their whole window then, for as long as an outage of
        /// the log takes: twice the window in this time must stay below `frames-per-second`, or they are closed
        /// `too-fast` for doing as they were told.
        busy_retry: Span = Span::from_secs(1),
    }
}

settings! {
    /// How long things may take, and what happens then.
    pub struct Timing {
        /// From accepting a socket to the end of its handshake: TLS, the request and the token together. Then it is
        /// closed.
        handshake: Span = Span::from_secs(5),
        /// From the handshake to the entity's welcome. Then the socket is closed `come-back` (R28).
        pending: Span = Span::from_secs(2),
        /// A client not heard of for so long gets a websocket ping.
        ping: Span = Span::from_secs(20),
        /// A client not heard of for so long is closed `silent`.
        silent: Span = Span::from_secs(45),
        /// How long news for a socket that was just written to is collected, at the most; then it leaves in one write.
        /// What comes after a pause leaves at once, and answers never wait. At least 1 ms.
        flush: Span = Span::from_millis(20),
        /// How long a closing socket may take to read what was sent to it. Then it is dropped.
        close: Span = Span::from_secs(2),
        /// How often an unanswered resume is asked for again (R20).
        resume: Span = Span::from_millis(500),
        /// How long to wait before an append or a read that failed is tried again.
        retry: Span = Span::from_millis(200),
        /// How long the log may take to answer when the edge starts. Then it does not start.
        start: Span = Span::from_secs(30),
        /// An append without an acknowledgement for so long stalls its lane partition, as one that failed does, until
        /// the log takes one again: commands and queries are answered `busy`, ephemeral commands are dropped, and
        /// `/ready` is 503.
        lane_stall: Span = Span::from_secs(1),
        /// For how long a stalled partition keeps its sockets. Then they are closed `lane-lost`, and what was not
        /// appended for them is dropped; the clients come back, perhaps elsewhere.
        lane_patience: Span = Span::from_secs(30),
        /// Over how long a drain spreads the closing of its sockets, so that clients do not return all at once. Fewer than
        /// 100 sockets a second are not spread further.
        drain_spread: Span = Span::from_secs(5),
        /// How long a drain waits for sockets to close and for their disconnects to be acknowledged. Then the
        /// edge leaves all the same, and the state nodes detach what is left.
        drain_wait: Span = Span::from_secs(10),
        /// How old a JSON Web Key Set fetched by URL may get: for so long, and as long as it takes to fetch, a key that
        /// was withdrawn still counts. Then the sockets that came in with it are closed `token-expired`.
        jwks_refresh: Span = Span::from_secs(30),
        /// The shortest time between two fetches of a JSON Web Key Set, however many unknown keys are named; one that
        /// cannot be had is asked for so often.
        jwks_retry: Span = Span::from_secs(5),
        /// How often the files of certificate and keys (`edge.tls`, `edge.tokens.keys`) are looked at. What has changed is in
        /// use from then on; what cannot be used changes nothing, and is said. SIGHUP looks at once.
        reread: Span = Span::from_secs(5),
    }
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
