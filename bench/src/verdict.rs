//! The verdict on a measurement: what makes it void, and what the platform did wrong.

use serde::{Deserialize, Serialize};

use crate::figures::median;

/// A generator that is busier than this measures itself.
const BUSY_MOST: f64 = 0.85;
/// Who sends less than this share of the rate measured something else.
const ACHIEVED_LEAST: f64 = 0.99;
/// How far one round's floor may be from their median.
const FLOOR_MOVED_MOST: f64 = 0.15;

/// What was seen in a round, or the worst of several.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    /// The share of time in which the generator's core did something.
    pub(crate) busy: f64,
    /// The share of the rate that was reached; 1 where there is no rate.
    pub(crate) achieved: f64,
    pub(crate) lost: u64,
    pub(crate) out_of_order: u64,
    /// Commands that were not taken, and sockets that were closed.
    pub(crate) failed: u64,
}

impl Seen {
    /// Nothing yet.
    pub(crate) const NOTHING: Self = Self {
        busy: 0.0,
        achieved: 1.0,
        lost: 0,
        out_of_order: 0,
        failed: 0,
    };

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            busy: self.busy.max(other.busy),
            achieved: self.achieved.min(other.achieved),
            lost: self.lost + other.lost,
            out_of_order: self.out_of_order + other.out_of_order,
            failed: self.failed + other.failed,
        }
    }

    /// Whether everything came, once and in order.
    pub(crate) fn is_whole(self) -> bool {
        self.lost + self.out_of_order + self.failed == 0
    }
}

/// How far the round that is farthest from the median is from it, as a share.
pub(crate) fn moved(rounds: &[f64]) -> f64 {
    let middle = median(rounds.to_vec());
    let far = rounds.iter().map(|round| (round - middle).abs() / middle);
    far.fold(0.0, f64::max)
}

/// Why the measurement does not count; nothing if it does. `floor` are its rounds, none if there is no floor.
pub(crate) fn void(seen: Seen, floor: &[f64]) -> Vec<String> {
    let mut reasons = Vec::new();
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    if seen.busy > BUSY_MOST {
        let busy = percent(seen.busy);
        reasons.push(format!("the generator's core was busy for {busy}"));
    }
    if seen.achieved < ACHIEVED_LEAST {
        let achieved = percent(seen.achieved);
        reasons.push(format!("only {achieved} of the rate was reached"));
    }
    if !floor.is_empty() && moved(floor) > FLOOR_MOVED_MOST {
        let moved = percent(moved(floor));
        reasons.push(format!("the floor moved by {moved}"));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(busy: f64, achieved: f64) -> Seen {
        Seen {
            busy,
            achieved,
            ..Seen::NOTHING
        }
    }

    #[test]
    fn a_measurement_at_its_bounds_counts() {
        assert!(void(seen(0.85, 0.99), &[100.0, 86.0, 114.0]).is_empty());
        assert!(void(Seen::NOTHING, &[]).is_empty());
    }

    #[test]
    fn each_bound_alone_makes_it_void() {
        for (seen, floor, reason) in [
            (seen(0.851, 1.0), [100.0; 3], "busy for 85.1 %"),
            (seen(0.5, 0.989), [100.0; 3], "only 98.9 %"),
            (seen(0.5, 1.0), [100.0, 84.0, 101.0], "moved by 16.0 %"),
            (seen(0.5, 1.0), [100.0, 99.0, 116.0], "moved by 16.0 %"),
        ] {
            let reasons = void(seen, &floor);
            assert_eq!(reasons.len(), 1, "{reasons:?}");
            assert!(reasons[0].contains(reason), "{reasons:?}");
        }
    }

    #[test]
    fn of_several_rounds_the_worst_counts_and_losses_add_up() {
        let one = Seen {
            lost: 1,
            ..seen(0.2, 0.995)
        };
        let other = Seen {
            out_of_order: 2,
            ..seen(0.9, 1.0)
        };
        let both = one.and(other);
        assert_eq!((both.busy, both.achieved), (0.9, 0.995));
        assert_eq!((both.lost, both.out_of_order), (1, 2));
        assert!(!both.is_whole() && seen(1.0, 0.1).is_whole());
    }
}
