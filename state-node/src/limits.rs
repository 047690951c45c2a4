//! Every bound and time of a partition, by name.

use crate::pace::Pace;

/// Bounds and times of a partition. Each field says what happens when it is hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whether a client hears why its message faulted; else it hears a reference that the line of the log has too.
    pub explains: bool,
    /// B: answers kept per session, and how far a client may be ahead of its oldest unanswered command (R30).
    pub answers_per_session: usize,
    /// How long a session without a socket may come back, in milliseconds; then it is over (R26).
    pub grace_ms: u64,
    /// How long the memory of an ended session outlives it, in milliseconds; later resumes are refused
    /// `session-expired` (R26).
    pub memory_ms: u64,
    /// Sessions of one subject that an entity remembers, ended ones included; one more is closed
    /// `too-many-connections` until some are forgotten.
    pub sessions_per_subject: usize,
    /// Sessions that an entity remembers, ended ones included; one more is closed `too-many-connections` until some
    /// are forgotten. Each takes room in the entity's snapshot.
    pub sessions_per_entity: usize,
    /// Entities of one partition that one subject may be the first to enter within a minute; beyond it is closed
    /// `too-fast`.
    pub entities_per_subject: usize,
    /// How long a ticket may stay open, in milliseconds; then its awaiter gets `fault unanswered`.
    pub ticket_ms: u64,
    /// The largest encoded record, in bytes, its header counted as text; a larger decision is a `fault too-large` (R9).
    pub record_bytes_max: usize,
    /// A record outside the chain with more bytes goes out in pieces of this size (R41); see [`Limits::piece_bytes`].
    pub piece_bytes_max: usize,
    /// The largest welcome and the largest answer to a query, in bytes; a larger one is a `fault too-large`.
    pub whole_bytes_max: usize,
    /// Bytes of what goes out in pieces that wait per partition; beyond, welcomes and resumes wait before they are made,
    /// and answers to queries are dropped.
    pub large_bytes_max: usize,
    /// Bytes of it under way at once per partition, and within [`PACE_MS`](crate::large::PACE_MS); the rest waits.
    pub large_flight_bytes_max: usize,
    /// Bytes of it that wait for one subject; beyond, its further welcomes and resumes wait.
    pub subject_bytes_max: usize,
    /// Welcomes and resumes that wait to be made; beyond, the socket is closed `come-back`.
    pub waiting_max: usize,
    /// Records appended and not yet committed; at the bound reading inbound pauses (R9).
    pub uncommitted_max: usize,
    /// Records of `outbound` under way at once; at the bound what is committed is held back, and reading inbound pauses
    /// until some arrive. After a failure few leave at first, so that little is sent twice.
    pub outbound_records_max: usize,
    /// The same in bytes; one record may be larger.
    pub outbound_bytes_max: usize,
    /// Commits kept in memory per watched entity for exact resume; older ones come from the log.
    pub recent_commits_max: usize,
    /// Bytes of outputs kept in memory per watched entity for exact resume; older ones come from the log.
    pub recent_bytes_max: usize,
    /// Bytes of `inbound` that a mirror keeps beyond the last message it knows as taken, so that it can go on with
    /// them at once; beyond it the oldest are dropped, and a takeover reads them anew.
    pub ahead_bytes_max: usize,
    /// How much of the log one resume may read, in bytes; beyond it the client starts over.
    pub resume_scan_bytes_max: usize,
    /// Tells that wait for one that is in quarantine. At the bound the next one is not taken: it waits at
    /// its source, and with it everything that the source's partition tells this partition (R34, R44).
    pub parked_max: usize,
    /// The bytes of these tells; as for their count.
    pub parked_bytes_max: usize,
    /// Bytes of events that are kept for an entity that cannot be read. Beyond it nothing more is kept of it and no
    /// snapshot of its partition is cut on this node, so that the log has what is missing here.
    pub unapplied_bytes_max: usize,
    /// How often positions are recorded when nothing else was, in milliseconds (R15).
    pub checkpoint_ms: u64,
    /// How often they are recorded and stored although nothing happens, in milliseconds: well below the retention of
    /// `events`, which would overtake the snapshot of a quiet partition otherwise (R36).
    pub quiet_ms: u64,
    /// How long the oldest tell for a partition may wait to be confirmed, in milliseconds; then it and those behind it
    /// are repeated, a few at first (R34).
    pub tell_retry_ms: u64,
    /// Tells on their way to one partition whose appends are not answered; more wait for an answer.
    pub tell_portion_max: u64,
    /// Their bytes; beyond it more wait for an answer.
    pub tell_portion_bytes_max: usize,
    /// Tells for one partition that it has not confirmed. At the bound a command that tells it is not taken, so that
    /// its client sends it again, and a timer that tells it fires later; at four times the bound a tell that tells it
    /// is not taken, so that its source repeats it.
    pub tells_outstanding_max: usize,
    /// How far a message's time may differ from the owner's clock, in milliseconds; beyond it is clamped.
    pub clock_skew_ms: u64,
    /// How far the machine's clock may be set at once, in milliseconds; beyond it is doubted (R48).
    pub clock_step_ms: u64,
    /// For how long a clock that was set is doubted, in milliseconds; then it is believed, loudly (R48).
    pub clock_doubt_ms: u64,
    /// How far an entity's time may be ahead of the owner's clock, in milliseconds: so long it stands still, as it never
    /// runs backwards. Beyond it is set back to the clock, loudly (R48).
    pub entity_ahead_ms: u64,
    /// Idle time after which an unwatched entity leaves memory, in milliseconds; it goes within twice this time.
    pub passivate_ms: u64,
    /// Entities kept in memory at the least before any is passivated.
    pub resident_min: usize,
    /// How often and how much is published for nodes that have nothing, and read by them.
    pub publishing: Pace,
}

impl Limits {
    /// The most bytes of one piece: well below the largest record.
    #[must_use]
    pub fn piece_bytes(&self) -> usize {
        self.piece_bytes_max.min(self.record_bytes_max / 2).max(1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            explains: false,
            answers_per_session: 64,
            grace_ms: 30_000,
            memory_ms: 600_000,
            sessions_per_subject: 2_000,
            sessions_per_entity: 100_000,
            entities_per_subject: 2_000,
            ticket_ms: 30_000,
            record_bytes_max: 1 << 20,
            piece_bytes_max: 256 << 10,
            whole_bytes_max: 32 << 20,
            large_bytes_max: 16 << 20,
            large_flight_bytes_max: 4 << 20,
            subject_bytes_max: 8 << 20,
            waiting_max: 4096,
            uncommitted_max: 4096,
            outbound_records_max: 4096,
            outbound_bytes_max: 16 << 20,
            recent_commits_max: 1024,
            recent_bytes_max: 1 << 20,
            ahead_bytes_max: 8 << 20,
            resume_scan_bytes_max: 64 << 20,
            parked_max: 4096,
            parked_bytes_max: 4 << 20,
            unapplied_bytes_max: 16 << 20,
            checkpoint_ms: 1000,
            quiet_ms: 600_000,
            tell_retry_ms: 2000,
            tell_portion_max: 1024,
            tell_portion_bytes_max: 4 << 20,
            tells_outstanding_max: 16_384,
            clock_skew_ms: 1000,
            clock_step_ms: 1000,
            clock_doubt_ms: 10_000,
            entity_ahead_ms: 30_000,
            passivate_ms: 60_000,
            resident_min: 10_000,
            publishing: Pace::default(),
        }
    }
}
