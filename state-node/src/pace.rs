//! The pace of publishing and restoring snapshots: how often, and how much at once.

/// Bounds and times of published snapshots. Each field says what happens when it is hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How often what changed is published, in milliseconds. A node that has nothing is behind by so much, and reads
    /// the rest from `events`.
    pub interval_ms: u64,
    /// How long a node must have been a partition's publisher before it begins, in milliseconds: it publishes all of it
    /// anew, which a restart that passes over all nodes should not cause.
    pub settle_ms: u64,
    /// The longest wait after publishing failed, in milliseconds; it begins with `interval_ms` and doubles.
    pub again_ms_max: u64,
    /// Entities of more bytes are written in pieces; below the largest record that the log takes.
    pub piece_bytes: usize,
    /// Entities changed within an interval; beyond it all are published anew, which costs no more.
    pub changes_max: usize,
    /// Entities and bytes that are read from the snapshot store at once. Saving waits meanwhile.
    pub page_entities: usize,
    /// Bytes that are read from the snapshot store at once, beside `page_entities`.
    pub page_bytes: usize,
    /// Bytes of pieces that wait for their entity while a snapshot is read; beyond it the snapshot is damaged.
    pub pieces_bytes_max: usize,
    /// How long the log may take to bring what it has acknowledged, in milliseconds; then the reading has failed.
    pub read_ms: u64,
    /// How often a snapshot that is not whole is read on, and waited for between, before it is refused.
    pub read_on_max: u32,
    /// From so many records of `events` on a node takes the published snapshot although it could replay them.
    pub replay_max: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval_ms: 10_000,
            settle_ms: 30_000,
            again_ms_max: 300_000,
            piece_bytes: 512 << 10,
            changes_max: 100_000,
            page_entities: 256,
            page_bytes: 1 << 20,
            pieces_bytes_max: 256 << 20,
            read_ms: 30_000,
            read_on_max: 10,
            replay_max: 1_000_000,
        }
    }
}
