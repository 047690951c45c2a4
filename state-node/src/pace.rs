//! The pace of publishing and restoring snapshots: how often, and how much at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xp_settings::{Size, Span, settings};

settings! {
    /// What a mirror publishes of each partition on the lane's topic `snapshots`, so that a node with an empty disk need
    /// not replay all of `events`.
    pub struct Pace {
        /// How often what changed is published. A node that has nothing is behind by so much, and reads the rest from
        /// `events`.
        interval: Span = Span::from_secs(10),
        /// How long a node must have been a partition's publisher before it begins: it publishes all of it anew, which
        /// a restart that passes over all nodes should not cause.
        settle: Span = Span::from_secs(30),
        /// The longest wait after publishing failed; it begins with `interval` and doubles.
        again_max: Span = Span::from_secs(300),
        /// Entities of more bytes are written in pieces of this size. Half of `records.bytes-max` if that is less.
        piece_bytes_max: Size = Size::from_kib(512),
        /// Entities changed within an interval. Beyond it all are published anew, which costs no more.
        changes_max: usize = 100_000,
        /// Entities that are read from the snapshot store at once. Saving waits meanwhile.
        page_entities: usize = 256,
        /// Their bytes. As for their number.
        page_bytes: Size = Size::from_mib(1),
        /// Bytes of pieces that wait for their entity while a snapshot is read. Beyond it the snapshot is damaged.
        pieces_bytes_max: Size = Size::from_mib(256),
        /// How long the log may take to bring what it has acknowledged. Then the reading has failed.
        read: Span = Span::from_secs(30),
        /// How often a snapshot that is not whole is read on, and waited for between, before it is refused.
        read_on_max: u32 = 10,
        /// From so many records of `events` on a node takes the published snapshot although it could replay them.
        replay_max: u64 = 1_000_000,
    }
}
