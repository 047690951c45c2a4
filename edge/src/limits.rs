//! What one subject or one network address may take up.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use dashmap::DashMap;
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::config::Limits;

/// Frames of one connection.
pub(crate) type Rate = RateLimiter<NotKeyed, InMemoryState, DefaultClock>;
type Rates<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock>;

/// Counts how many of each there are, up to a bound.
pub(crate) struct Counts<K: Eq + Hash> {
    max: u32,
    counts: Arc<DashMap<K, u32>>,
}

/// One counted thing. Dropping it takes it off the count.
pub(crate) struct Counted<K: Eq + Hash> {
    key: K,
    counts: Arc<DashMap<K, u32>>,
}

impl<K: Eq + Hash + Clone> Counts<K> {
    pub(crate) fn new(max: u32) -> Self {
        Self {
            max,
            counts: Arc::default(),
        }
    }

    /// Counts one more, or `None` at the bound.
    pub(crate) fn take(&self, key: K) -> Option<Counted<K>> {
        let mut count = self.counts.entry(key.clone()).or_insert(0);
        if *count >= self.max {
            return None;
        }
        *count += 1;
        drop(count);
        Some(Counted {
            key,
            counts: Arc::clone(&self.counts),
        })
    }
}

impl<K: Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        if let Some(mut count) = self.counts.get_mut(&self.key) {
            *count -= 1;
        }
        self.counts.remove_if(&self.key, |_, count| *count == 0);
    }
}

/// Average and burst as the limiter wants them; a limit of 0 would let nothing through, so it is 1.
fn quota(per_second: u32, burst: u32) -> Quota {
    let positive = |number: u32| NonZeroU32::new(number.max(1)).expect("the larger of it and 1");
    Quota::per_second(positive(per_second)).allow_burst(positive(burst))
}

/// The limits that several connections share.
pub(crate) struct Shared {
    pub(crate) sockets: Counts<()>,
    pub(crate) subjects: Counts<Box<str>>,
    pub(crate) addresses: Counts<IpAddr>,
    handshakes: Rates<IpAddr>,
    subject_frames: Rates<Box<str>>,
    frames: Quota,
}

impl Shared {
    pub(crate) fn new(limits: &Limits) -> Self {
        let handshakes = quota(limits.handshakes_per_second, limits.handshakes_burst);
        let subject = quota(
            limits.subject_frames_per_second,
            limits.subject_frames_burst,
        );
        Self {
            sockets: Counts::new(limits.connections_max),
            subjects: Counts::new(limits.connections_per_subject),
            addresses: Counts::new(limits.connections_per_address),
            handshakes: RateLimiter::hashmap(handshakes),
            subject_frames: RateLimiter::hashmap(subject),
            frames: quota(limits.frames_per_second, limits.frames_burst),
        }
    }

    pub(crate) fn rate(&self) -> Rate {
        RateLimiter::direct(self.frames)
    }

    pub(crate) fn handshake_passes(&self, from: IpAddr) -> bool {
        self.handshakes.check_key(&from).is_ok()
    }

    #[expect(clippy::borrowed_box, reason = "the limiter is keyed by boxes")]
    pub(crate) fn frame_passes(&self, rate: &Rate, subject: &Box<str>) -> bool {
        rate.check().is_ok() && self.subject_frames.check_key(subject).is_ok()
    }

    /// Forgets who has been quiet for long enough to have his whole burst again.
    pub(crate) fn forget_the_quiet(&self) {
        self.handshakes.retain_recent();
        self.subject_frames.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_ends_at_its_bound_and_goes_down_with_each_drop() {
        let counts = Counts::new(2);
        let first = counts.take("ana").unwrap();
        let _second = counts.take("ana").unwrap();
        assert!(counts.take("ana").is_none());
        assert!(counts.take("ben").is_some());
        drop(first);
        assert!(counts.take("ana").is_some());
    }

    #[test]
    fn nobody_is_remembered_who_is_gone() {
        let counts = Counts::new(1);
        drop(counts.take("ana"));
        assert!(counts.counts.is_empty());
    }
}
