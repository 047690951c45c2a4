//! Limits that connections share: what one subject or one network may take up.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;

use dashmap::DashMap;
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::arrivals::Arrivals;
use crate::config::Limits;
use crate::files::Files;
use crate::network::Network;
use xp_settings::Size;

type Alone = RateLimiter<NotKeyed, InMemoryState, DefaultClock>;
type Rates<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock>;

/// Frames and bytes of one connection.
pub(crate) struct Rate {
    frames: Alone,
    /// Counted in KiB.
    bytes: Alone,
}

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

    /// Whether one more of it would be refused.
    pub(crate) fn is_full(&self, key: &K) -> bool {
        self.counts.get(key).map_or(0, |count| *count) >= self.max
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

fn bytes_quota(per_second: Size, burst: Size) -> Quota {
    quota(kib(per_second.0), kib(burst.0))
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes >> 10).unwrap_or(u32::MAX)
}

/// The limits that several connections share.
pub(crate) struct Shared {
    pub(crate) sockets: Counts<()>,
    pub(crate) subjects: Counts<Box<str>>,
    pub(crate) networks: Counts<Network>,
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) files: Files,
    handshakes: Rates<Network>,
    bad_tokens: Rates<Network>,
    subject_handshakes: Rates<Box<str>>,
    subject_frames: Rates<Box<str>>,
    subject_bytes: Rates<Box<str>>,
    alone: Allowance,
}

/// What each connection may send, by itself.
struct Allowance {
    frames: Quota,
    bytes: Quota,
    /// One for all: making a clock asks the processor what it is, which a virtual machine answers in some 15 µs.
    clock: DefaultClock,
}

impl Allowance {
    fn begin(&self) -> Rate {
        let begin = |quota| RateLimiter::direct_with_clock(quota, self.clock.clone());
        Rate {
            frames: begin(self.frames),
            bytes: begin(self.bytes),
        }
    }
}

impl Shared {
    pub(crate) fn new(limits: &Limits) -> Self {
        let handshakes = quota(limits.handshakes.per_second, limits.handshakes.burst);
        let bad_tokens = quota(
            limits.handshakes.bad_tokens_per_second,
            limits.handshakes.bad_tokens_burst,
        );
        let dials = quota(
            limits.handshakes.subject_per_second,
            limits.handshakes.subject_burst,
        );
        let subject = quota(
            limits.rates.subject_frames_per_second,
            limits.rates.subject_frames_burst,
        );
        Self {
            sockets: Counts::new(limits.connections.max),
            subjects: Counts::new(limits.connections.per_subject),
            networks: Counts::new(limits.connections.per_address),
            arrivals: Arrivals::new(limits),
            files: Files::of_process(limits.connections.files_kept),
            handshakes: RateLimiter::hashmap(handshakes),
            bad_tokens: RateLimiter::hashmap(bad_tokens),
            subject_handshakes: RateLimiter::hashmap(dials),
            subject_frames: RateLimiter::hashmap(subject),
            subject_bytes: RateLimiter::hashmap(bytes_quota(
                limits.rates.subject_bytes_per_second,
                limits.rates.subject_bytes_burst,
            )),
            alone: Allowance {
                frames: quota(limits.rates.frames_per_second, limits.rates.frames_burst),
                bytes: bytes_quota(limits.rates.bytes_per_second, limits.rates.bytes_burst),
                clock: DefaultClock::default(),
            },
        }
    }

    pub(crate) fn rate(&self) -> Rate {
        self.alone.begin()
    }

    /// Whether a handshake with a good token may go on.
    pub(crate) fn handshake_passes(&self, from: Network) -> bool {
        self.handshakes.check_key(&from).is_ok()
    }

    /// Whether a subject may come in once more now.
    #[expect(clippy::borrowed_box, reason = "the limiter is keyed by boxes")]
    pub(crate) fn subject_passes(&self, subject: &Box<str>) -> bool {
        self.subject_handshakes.check_key(subject).is_ok()
    }

    /// Whether a bad token is still answered as one. They have a budget of their own, or whoever sends them would
    /// shut out the good clients behind the same address.
    pub(crate) fn bad_token_passes(&self, from: Network) -> bool {
        self.bad_tokens.check_key(&from).is_ok()
    }

    #[expect(clippy::borrowed_box, reason = "the limiter is keyed by boxes")]
    pub(crate) fn frame_passes(&self, rate: &Rate, subject: &Box<str>, bytes: usize) -> bool {
        rate.frames.check().is_ok()
            && self.subject_frames.check_key(subject).is_ok()
            && self.bytes_pass(rate, subject, bytes)
    }

    /// Frames of less than 1 KiB are bounded by their number alone.
    #[expect(clippy::borrowed_box, reason = "the limiter is keyed by boxes")]
    fn bytes_pass(&self, rate: &Rate, subject: &Box<str>, bytes: usize) -> bool {
        let Some(kib) = NonZeroU32::new(kib(bytes)) else {
            return true;
        };
        let alone = rate.bytes.check_n(kib);
        let together = || self.subject_bytes.check_key_n(subject, kib);
        matches!(alone, Ok(Ok(()))) && matches!(together(), Ok(Ok(())))
    }

    /// Forgets who has been quiet for long enough to have his whole burst again.
    pub(crate) fn forget_the_quiet(&self) {
        self.handshakes.retain_recent();
        self.bad_tokens.retain_recent();
        self.subject_handshakes.retain_recent();
        self.subject_frames.retain_recent();
        self.subject_bytes.retain_recent();
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

    #[test]
    fn bytes_are_limited_like_frames_alone_and_together() {
        let mut limits = Limits::default();
        limits.rates.bytes_per_second = Size::from_kib(1);
        limits.rates.bytes_burst = Size::from_kib(64);
        limits.rates.subject_bytes_per_second = Size::from_kib(1);
        limits.rates.subject_bytes_burst = Size::from_kib(96);
        let shared = Shared::new(&limits);
        let (first, second) = (shared.rate(), shared.rate());
        let ana = "ana".into();
        assert!(shared.frame_passes(&first, &ana, 60 << 10));
        assert!(!shared.frame_passes(&first, &ana, 60 << 10));
        assert!(shared.frame_passes(&first, &ana, 900), "a small one");
        assert!(
            !shared.frame_passes(&second, &ana, 60 << 10),
            "ana's other socket"
        );
        assert!(shared.frame_passes(&shared.rate(), &"ben".into(), 60 << 10));
    }
}
