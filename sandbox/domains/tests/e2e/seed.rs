//! Randomness that can be had again: the seed is printed, and `XP_E2E_SEED` replays it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub(crate) fn rng(test: &str) -> ChaCha8Rng {
    let given = std::env::var("XP_E2E_SEED")
        .ok()
        .map(|seed| seed.parse().expect("XP_E2E_SEED is a number"));
    let seed = given.unwrap_or_else(|| {
        u64::from(std::process::id()) << 20 ^ xp_transport::Clock::system().now().0
    });
    eprintln!("{test}: replay these choices with XP_E2E_SEED={seed}");
    ChaCha8Rng::seed_from_u64(seed)
}
