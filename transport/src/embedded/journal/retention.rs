//! Retention of a durable topic: whole sealed segments go, the oldest first, and none that somebody may need (R36).

use std::io;

use xp_protocol::{Offset, TimeMs};

use super::super::segment::remove_segment;
use super::Journal;

/// For so long a release may be awaited without a sign of it: a partition in which nothing happens is published every ten
/// minutes.
const PATIENCE_MS: u64 = 15 * 60_000;
/// Then somebody is told so often.
const TOLD_MS: u64 = 60 * 60_000;

/// Retention that waits for a release.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    since: TimeMs,
    told: Option<TimeMs>,
}

impl Held {
    fn is_due(&self, now: TimeMs) -> bool {
        match self.told {
            None => now.since_ms(self.since) >= PATIENCE_MS,
            Some(told) => now.since_ms(told) >= TOLD_MS,
        }
    }
}

impl Journal {
    /// Removes whole sealed segments that retention lets go of, the oldest first.
    pub(super) fn retain(&mut self) {
        let now = self.topic.machine.now();
        while let Some(first) = self.expendable(now) {
            if let Err(error) = self.remove_oldest(&first) {
                tracing::warn!(topic = %self.topic.config.name, %error, "cannot remove an old segment; it is tried again later");
                return;
            }
        }
    }

    /// The offsets at which the log begins once the oldest segment is gone, if it may go.
    fn expendable(&mut self, now: TimeMs) -> Option<Vec<Offset>> {
        let firsts = self.due(now)?;
        self.is_released(&firsts, now).then_some(firsts)
    }

    /// The same, whoever may need it.
    fn due(&self, now: TimeMs) -> Option<Vec<Offset>> {
        let segments = self.segments(|segments| segments.clone());
        let second = segments.get(1)?.head().ok()?;
        let retention = self.topic.config.cleanup.retention();
        let is_old = retention
            .age_ms
            .is_some_and(|age_ms| now.since_ms(second.created) > age_ms);
        let is_too_much = retention.bytes.is_some_and(|bytes| {
            let sizes = segments.iter().map(|segment| segment.bytes());
            sizes.sum::<u64>() > bytes.saturating_mul(self.nexts.len() as u64)
        });
        (is_old || is_too_much).then(|| second.bases.clone())
    }

    /// R36: what no published snapshot covers stays, whatever its age and size. The disk may fill up then, so a person
    /// is told.
    fn is_released(&mut self, firsts: &[Offset], now: TimeMs) -> bool {
        let Some((partition, released)) = self.topic.unreleased(firsts) else {
            self.held = None;
            return true;
        };
        let held = self.held.get_or_insert(Held {
            since: now,
            told: None,
        });
        if held.is_due(now) {
            held.told = Some(now);
            let (topic, wanted) = (&self.topic.config.name, firsts[partition.0 as usize]);
            tracing::error!(%topic, %partition, %released, %wanted, "old records are kept although retention would delete them, and the disk fills up: no published snapshot of this partition covers them. Look for why publishing fails: a log line says so, or an entity in quarantine");
        }
        false
    }

    fn remove_oldest(&self, first: &[Offset]) -> io::Result<()> {
        for (partition, first) in self.topic.partitions.iter().zip(first) {
            partition.forget_before(*first);
        }
        let oldest = self.segments(|segments| segments.remove(0));
        remove_segment(&oldest.path)
    }
}
