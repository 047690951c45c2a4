//! The latencies of ours or of a floor, round by round and all together.

use crate::figures::Spread;
use crate::report::Series;

#[derive(Default)]
pub(crate) struct Rounds {
    rounds: Vec<Spread>,
}

impl Rounds {
    /// Returns how many latencies it was.
    pub(crate) fn add(&mut self, latencies: &Spread) -> u64 {
        self.rounds.push(latencies.clone());
        latencies.len()
    }

    /// In each round, what so large a share did not exceed, in milliseconds.
    pub(crate) fn at(&self, share: f64, name: &str) -> Series {
        let mut all = Spread::new();
        self.rounds.iter().for_each(|round| all.add(round));
        let rounds = self.rounds.iter().map(|round| round.ms(share)).collect();
        Series {
            curve: all.curve(),
            ..Series::of(name, rounds)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_series_has_each_round_and_the_curve_of_all() {
        let ms = |all: &[u64]| Spread::of(all.iter().copied().map(Duration::from_millis));
        let mut rounds = Rounds::default();
        assert_eq!(rounds.add(&ms(&[1, 1, 1])), 3);
        rounds.add(&ms(&[9]));
        let series = rounds.at(0.5, "ours");
        let whole: Vec<_> = series.rounds.iter().map(|ms| ms.round()).collect();
        assert_eq!(whole, [1.0, 9.0]);
        let (share, worst) = series.curve[series.curve.len() - 1];
        assert_eq!((share, worst.round()), (1.0, 9.0));
    }
}
