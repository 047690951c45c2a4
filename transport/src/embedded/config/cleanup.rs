//! The cleanup of a topic: which of its records go, and when.

use super::Durability;

/// What may go. A reader below what is left gets `OutOfRange`. `None` keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Bytes per partition. Over it the oldest records go: from memory one batch after the other, on
    /// disk in whole segment files once the topic is over `bytes` × partitions, because all its
    /// partitions share them.
    pub bytes: Option<u64>,
    /// Milliseconds. Older records go: from memory at the next append, on disk in whole segment files.
    pub age_ms: Option<u64>,
}

/// How a topic that keeps the newest record of each key is compacted: sealed segments become one, without the records
/// that later sealed ones have replaced. Offsets stay; readers find holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Milliseconds for which a record without a value is kept, so that whoever is reading learns what was removed.
    pub tombstones_ms: u64,
}

/// Everything stays, unless something is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleanup {
    retention: Retention,
    waits_for_release: bool,
    goes_once_read: bool,
    compaction: Option<Compaction>,
}

impl Cleanup {
    /// The same, with another retention.
    #[must_use]
    pub fn keeping(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// The same, and nothing goes before it is released.
    #[must_use]
    pub fn once_released(self) -> Self {
        Self {
            waits_for_release: true,
            ..self
        }
    }

    /// The same, and what all readers have had goes at once; where nobody reads, the retention alone says what goes.
    #[must_use]
    pub fn once_read(self) -> Self {
        Self {
            goes_once_read: true,
            ..self
        }
    }

    /// The same, compacted.
    #[must_use]
    pub fn compacted(self, compaction: Compaction) -> Self {
        Self {
            compaction: Some(compaction),
            ..self
        }
    }

    /// What may go.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// Whether what may go stays until [`Log::release`](crate::Log::release) says that nobody needs it.
    #[must_use]
    pub fn waits_for_release(&self) -> bool {
        self.waits_for_release
    }

    /// Whether what all readers have had goes at once.
    #[must_use]
    pub fn goes_once_read(&self) -> bool {
        self.goes_once_read
    }

    /// Whether only the newest record of each key is kept. Not together with a retention.
    #[must_use]
    pub fn compaction(&self) -> Option<Compaction> {
        self.compaction
    }

    /// Why there can be no such topic, if there cannot.
    pub(super) fn problem(&self, durability: Durability) -> Option<&'static str> {
        let needs_disk = self.waits_for_release || self.compaction.is_some();
        if durability == Durability::Memory && needs_disk {
            return Some(
                "is in memory, where nothing waits for a release and nothing is compacted: make it durable",
            );
        }
        if durability == Durability::Fsync && self.goes_once_read {
            return Some(
                "is durable, where readers come back for what they have read: make it one in memory, or let nothing go once it is read",
            );
        }
        let deletes = self.retention != Retention::default();
        (self.compaction.is_some() && deletes).then_some(
            "is compacted and has a retention, which would delete the newest record of a key: choose one",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_disk_waits_and_compacts_and_it_does_not_delete_what_it_compacts() {
        use Durability::{Fsync, Memory};
        let retention = Retention {
            bytes: Some(1),
            age_ms: None,
        };
        let compaction = Compaction { tombstones_ms: 1 };
        let all = Cleanup::default();
        for (cleanup, durability, is_fit) in [
            (all, Memory, true),
            (all.keeping(retention), Memory, true),
            (all.once_released(), Memory, false),
            (all.compacted(compaction), Memory, false),
            (all.once_read(), Memory, true),
            (all.once_read(), Fsync, false),
            (all.keeping(retention).once_released(), Fsync, true),
            (all.compacted(compaction), Fsync, true),
            (all.compacted(compaction).keeping(retention), Fsync, false),
        ] {
            let problem = cleanup.problem(durability);
            assert_eq!(problem.is_none(), is_fit, "{cleanup:?}: {problem:?}");
        }
    }
}
