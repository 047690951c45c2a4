//! Bounds of an edge: what clients and lanes may take up, and what happens beyond.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xp_settings::{Size, Span, settings};

settings! {
    /// What a client may take up, and what happens beyond.
    pub struct Limits {
        /// The largest frame a client may send. A larger one is closed `frame-too-large`.
        frame_bytes_max: Size = Size::from_kib(64),
        /// How far a client's numbers may run ahead of its oldest unanswered one (B of R30). Beyond:
        /// closed `protocol-error`. Must not exceed what the state node stores per session.
        window: u32 = 64,
        /// Queries of one connection without an answer. Beyond: `busy`.
        asks_max: u32 = 64,
        /// The most that is put together for one client from what is too large for one record of the log: its welcome, or
        /// an answer (R41). Beyond it is given up, and the client comes back or asks again. Must not be below the state
        /// nodes' `limits.large.whole-bytes-max`, which refuses what is larger by name.
        whole_bytes_max: Size = Size::from_mib(64),
        /// Sessions for which the owners are asked at once, each half of `resume`, to send what they may have missed when
        /// `outbound` dropped records before this edge read them. The others wait for the next time.
        repairs_max: u32 = 1_000,
        /// What `busy` tells the client to wait. Clients repeat their whole window then, for as long as an outage of
        /// the log takes: twice the window in this time must stay below `rates.frames-per-second`, or they are closed
        /// `too-fast` for doing as they were told.
        busy_retry: Span = Span::from_secs(1),
        /// Frames and bytes per second.
        rates: RateLimits = RateLimits::default(),
        /// Handshakes per second.
        handshakes: HandshakeLimits = HandshakeLimits::default(),
        /// Sockets at once.
        connections: ConnectionLimits = ConnectionLimits::default(),
        /// What waits for one client.
        queue: QueueLimits = QueueLimits::default(),
        /// What waits for one partition of a lane.
        partition: PartitionLimits = PartitionLimits::default(),
    }
}

settings! {
    /// Frames and bytes per second.
    pub struct RateLimits {
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
        bytes_per_second: Size = Size::from_mib(8),
        /// Bytes of one connection at once, above the average.
        bytes_burst: Size = Size::from_mib(32),
        /// Bytes per second of all connections of one subject. Beyond the burst: closed `too-fast`.
        subject_bytes_per_second: Size = Size::from_mib(32),
        /// Bytes of one subject at once, above the average.
        subject_bytes_burst: Size = Size::from_mib(128),
    }
}

settings! {
    /// Handshakes per second.
    pub struct HandshakeLimits {
        /// Handshakes with a good token per second from one network: an IPv4 address, or an IPv6 network of 64 bits.
        /// Beyond the burst: closed `too-fast`.
        per_second: u32 = 200,
        /// Handshakes with a good token from one network at once, above the average.
        burst: u32 = 20_000,
        /// Handshakes with a bad token per second from one network. Beyond the burst: closed `too-fast`, which costs
        /// the good ones of that network nothing.
        bad_tokens_per_second: u32 = 20,
        /// Handshakes with a bad token from one network at once, above the average.
        bad_tokens_burst: u32 = 1_000,
        /// Handshakes with a good token per second of one subject. Beyond the burst: closed `too-fast`.
        subject_per_second: u32 = 100,
        /// Handshakes of one subject at once, above the average.
        subject_burst: u32 = 10_000,
    }
}

settings! {
    /// Sockets at once.
    pub struct ConnectionLimits {
        /// Connections of this edge. Beyond: answered 503 before the websocket, and `/ready` is 503.
        max: u32 = 200_000,
        /// Connections of one subject. Beyond: closed `too-many-connections`.
        per_subject: u32 = 1_000,
        /// Connections from one network. Beyond: closed `too-many-connections`.
        per_address: u32 = 50_000,
        /// Sockets of this edge that have not shown a good token yet. One more, and the oldest of them is closed.
        arrivals_max: u32 = 10_000,
        /// Such sockets from one network. One more, and the oldest of that network is closed. Not counted for trusted
        /// proxies before they have said for whom they speak.
        arrivals_per_network: u32 = 1_000,
        /// Open files of the process that sockets leave to the log. Beyond: the socket is closed when it is accepted, a
        /// few before that are answered 503.
        files_kept: u32 = 32,
    }
}

settings! {
    /// What waits for one client.
    pub struct QueueLimits {
        /// Bytes that wait for one client. Beyond: closed `slow`. A welcome and what a resume repeats do
        /// not count, or a client that was away could never catch up; the record limit bounds those.
        bytes_max: Size = Size::from_mib(1),
        /// Frames that wait for one client. Beyond: closed `slow`. Counted like the bytes.
        frames_max: u32 = 8_192,
    }
}

settings! {
    /// What waits for one partition of a lane.
    pub struct PartitionLimits {
        /// Commands and queries without an answer per lane partition. Beyond: `busy`, and ephemeral
        /// commands are dropped.
        unanswered_max: u32 = 10_000,
        /// Bytes that wait to be appended per lane partition. Beyond: as above, and new sockets are closed `lane-lost`.
        bytes_max: Size = Size::from_mib(16),
        /// Bytes per lane partition that its owner has not taken yet, of all edges together; each message counts 1 KiB
        /// more. From a half of it on ephemeral commands are dropped, from three quarters on queries are answered
        /// `busy` and `/ready` is 503, then commands, and first those of the subjects with the most. Where `inbound`
        /// is kept in memory it must keep well more than this, or messages are lost there and sent again.
        behind_max: Size = Size::from_mib(32),
    }
}
