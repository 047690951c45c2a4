//! Lines of a log that outsiders cause: so many a second are told, and the others are counted.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How many of one kind are told in a second. The others are counted, and the next line says how many they were.
pub const TOLD_PER_SECOND: u32 = 5;

/// Lines of one kind.
#[derive(Debug, Default)]
pub struct Sample {
    second: AtomicU64,
    told: AtomicU32,
    untold: AtomicU64,
}

impl Sample {
    /// Nothing told yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            second: AtomicU64::new(0),
            told: AtomicU32::new(0),
            untold: AtomicU64::new(0),
        }
    }

    /// Whether a line at `now_ms` is told; if so, how many before it were not. Several at the same time may tell one or
    /// two more.
    pub fn take(&self, now_ms: u64) -> Option<u64> {
        let second = now_ms / 1000;
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.told.store(0, Ordering::Relaxed);
        }
        if self.told.fetch_add(1, Ordering::Relaxed) < TOLD_PER_SECOND {
            return Some(self.untold());
        }
        self.told.store(TOLD_PER_SECOND, Ordering::Relaxed);
        self.untold.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// How many were not told since that was last asked.
    pub fn untold(&self) -> u64 {
        self.untold.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_a_second_are_told_and_the_others_counted() {
        let sample = Sample::new();
        let told = (0..1000).filter(|_| sample.take(7_000).is_some()).count();
        assert_eq!(told, 5);
        assert_eq!(sample.take(8_000), Some(995));
        assert_eq!(sample.take(8_001), Some(0));
    }

    #[test]
    fn the_rest_is_told_when_nothing_more_comes() {
        let sample = Sample::new();
        let told = (0..7).filter(|_| sample.take(1).is_some()).count();
        assert_eq!(told, 5);
        assert_eq!((sample.untold(), sample.untold()), (2, 0));
    }
}
