//! Bounds and times of a partition: what a configuration says of them, and what holds where it says nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xp_settings::{Size, Span, settings};

use crate::pace::Pace;

settings! {
    /// Bounds and times of partitions, and what happens at each.
    pub struct Limits {
        /// How long a deferred answer may stay open. Then who waits for it gets `fault unanswered`.
        ticket: Span = Span::from_secs(30),
        /// Bytes of `inbound` that a mirror keeps of each partition beyond the last message that it knows as taken, so
        /// that it can go on with them at once. Beyond, the oldest are dropped, and a takeover reads them anew.
        ahead_bytes_max: Size = Size::from_mib(8),
        /// Sessions of clients, and what an entity remembers of them.
        sessions: SessionLimits = SessionLimits::default(),
        /// What a partition writes to `events`.
        records: RecordLimits = RecordLimits::default(),
        /// What is on its way to `outbound`.
        outbound: OutboundLimits = OutboundLimits::default(),
        /// What is too large for one record.
        large: LargeLimits = LargeLimits::default(),
        /// What clients resume from.
        recent: RecentLimits = RecentLimits::default(),
        /// Which entities stay in memory.
        residents: ResidentLimits = ResidentLimits::default(),
        /// What is kept for entities that this build cannot read.
        quarantine: QuarantineLimits = QuarantineLimits::default(),
        /// What entities tell each other.
        tells: TellLimits = TellLimits::default(),
        /// How far clocks are believed.
        clock: ClockLimits = ClockLimits::default(),
        /// State for nodes that have none.
        publishing: Pace = Pace::default(),
    }
}

settings! {
    /// Sessions of clients, and what an entity remembers of them.
    pub struct SessionLimits {
        /// Answers kept per session, and how far a client may run ahead of its oldest unanswered command (B of
        /// R30). At least `edge.limits.window`.
        answers: usize = 64,
        /// How long a session without a socket may come back. Then it is over, and the entity is told (R26).
        grace: Span = Span::from_secs(30),
        /// How long an ended session is remembered. Later resumes are closed `session-expired` (R26).
        memory: Span = Span::from_secs(600),
        /// Sessions of one subject that an entity remembers, ended ones included. One more is closed
        /// `too-many-connections` until some are forgotten.
        per_subject: usize = 2_000,
        /// Sessions that an entity remembers, ended ones included. One more is closed `too-many-connections` until some
        /// are forgotten. Each takes room in the entity's snapshot.
        per_entity: usize = 100_000,
        /// Entities of one partition that one subject may be the first to enter within a minute. Beyond: closed
        /// `too-fast`.
        entities_per_subject: usize = 2_000,
    }
}

settings! {
    /// What a partition writes to `events`.
    pub struct RecordLimits {
        /// The largest record, its header counted as the text that it is on Kafka: three bytes take four. A decision that
        /// needs a larger one is a `fault too-large` (R9). The edge's largest frame must fit into it.
        bytes_max: Size = Size::from_mib(1),
        /// Records that were appended and are not yet committed. At the bound the partition reads no further (R9).
        uncommitted_max: usize = 4_096,
        /// How often a partition's positions are recorded when nothing else was (R15).
        checkpoint: Span = Span::from_secs(1),
        /// How often they are recorded and stored although nothing happens. Well below `kafka.retention.events`, which would
        /// overtake the snapshot of a quiet partition otherwise (R36).
        quiet: Span = Span::from_secs(600),
    }
}

settings! {
    /// What is on its way to `outbound`.
    pub struct OutboundLimits {
        /// Records of a partition that are under way. At the bound what is committed is held back, and the partition
        /// reads no further until some have arrived; after a failure few leave at first, so that little is sent twice.
        records_max: usize = 4_096,
        /// The same in bytes. One record may be larger.
        bytes_max: Size = Size::from_mib(16),
    }
}

settings! {
    /// What is too large for one record: it goes out in pieces (R41).
    pub struct LargeLimits {
        /// A welcome, an answer or a portion of a resume that is larger goes out in pieces of this size. Half of
        /// `records.bytes-max` if that is less.
        piece_bytes_max: Size = Size::from_kib(256),
        /// The largest welcome, and the largest answer to a query. What is larger is a `fault too-large`: such an entity
        /// cannot be entered. No more than `edge.limits.whole-bytes-max`.
        whole_bytes_max: Size = Size::from_mib(32),
        /// Bytes of what goes out in pieces that wait per partition. Beyond, welcomes and resumes wait before they are made,
        /// and answers to queries are dropped: the client asks again.
        bytes_max: Size = Size::from_mib(16),
        /// Bytes of it under way at once per partition, and within 20 ms. The rest waits.
        flight_bytes_max: Size = Size::from_mib(4),
        /// Bytes of it that wait for one subject. Beyond, its further welcomes and resumes wait.
        subject_bytes_max: Size = Size::from_mib(8),
        /// Welcomes and resumes of a partition that wait to be made. Beyond, the socket is closed `come-back`.
        waiting_max: usize = 4_096,
    }
}

settings! {
    /// What clients resume from.
    pub struct RecentLimits {
        /// Commits kept in memory per watched entity, so that clients resume at once. Older ones are read from
        /// the log.
        commits_max: usize = 1_024,
        /// Bytes of outputs kept in memory per watched entity. Older ones are read from the log.
        bytes_max: Size = Size::from_mib(1),
        /// How much of the log one resume may read. Beyond, the client starts over.
        scan_bytes_max: Size = Size::from_mib(64),
    }
}

settings! {
    /// Which entities stay in memory.
    pub struct ResidentLimits {
        /// How long an unwatched entity stays without being used. It goes within twice this time.
        passivate: Span = Span::from_secs(60),
        /// Entities of a partition that stay in any case.
        min: usize = 10_000,
    }
}

settings! {
    /// What is kept for entities that this build cannot read (R44).
    pub struct QuarantineLimits {
        /// What other entities tell such a one, by number. At the bound the next one waits at its source, with all that
        /// its partition tells this partition.
        parked_max: usize = 4_096,
        /// The bytes of that. As for their number.
        parked_bytes_max: Size = Size::from_mib(4),
        /// Bytes of events of such an entity. Beyond, the log alone has them, and no snapshot of the entity's partition
        /// is cut on this node.
        unapplied_bytes_max: Size = Size::from_mib(16),
    }
}

settings! {
    /// What entities tell each other.
    pub struct TellLimits {
        /// After how long what was told to another partition and not confirmed is repeated, a few at first (R34).
        retry: Span = Span::from_secs(2),
        /// Tells on their way to one partition whose appends are not answered. More wait for an answer.
        portion_max: u64 = 1_024,
        /// Their bytes. As for their number.
        portion_bytes_max: Size = Size::from_mib(4),
        /// Tells for one partition that it has not confirmed. At the bound a command that tells it is not taken, so that
        /// its client sends it again, and a timer that tells it fires later; at four times the bound a tell that leads
        /// to another for it is not taken, so that its source repeats it.
        outstanding_max: usize = 16_384,
    }
}

settings! {
    /// How far clocks are believed.
    pub struct ClockLimits {
        /// How far a message's time may differ from this node's clock. Beyond, it is moved to this distance.
        skew: Span = Span::from_secs(1),
        /// How far this machine's clock may be set at once and be believed. Beyond, it is doubted (R48).
        step: Span = Span::from_secs(1),
        /// For how long a clock that was set is doubted. Then it is believed, and a log line says so (R48).
        doubt: Span = Span::from_secs(10),
        /// How far an entity's time may be ahead of this node's clock. So long it stands still, as it never runs
        /// backwards; beyond, it is set back, and a log line says so (R48).
        entity_ahead: Span = Span::from_secs(30),
    }
}

impl Limits {
    /// The most bytes of one piece: well below the largest record.
    #[must_use]
    pub fn piece_bytes(&self) -> usize {
        self.in_a_record(self.large.piece_bytes_max)
    }

    /// How often and how much is published, where a piece of an entity and what is around it must be a record.
    #[must_use]
    pub fn pace(&self) -> Pace {
        Pace {
            piece_bytes_max: Size(self.in_a_record(self.publishing.piece_bytes_max)),
            ..self.publishing.clone()
        }
    }

    fn in_a_record(&self, piece: Size) -> usize {
        piece.bytes().min(self.records.bytes_max.bytes() / 2).max(1)
    }
}
