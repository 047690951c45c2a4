//! The random numbers of a run, and names that are given once.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// What everything is drawn from that is not drawn in advance.
pub(super) struct Dice {
    random: ChaCha8Rng,
    named: u64,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            named: 0,
        }
    }

    /// A seed for random numbers of somebody's own.
    pub(super) fn seed(&mut self) -> u64 {
        self.random.random()
    }

    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        self.random.random_range(0..=most)
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    pub(super) fn uuid(&mut self) -> Uuid {
        Uuid::from_u128(self.random.random())
    }

    /// A number that nothing else of the run is named by.
    pub(super) fn name(&mut self) -> u64 {
        self.named += 1;
        self.named
    }
}
