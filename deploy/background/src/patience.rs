//! Waiting for processes and files, which nothing announces.

use std::time::{Duration, Instant};

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Looks until there is something to see; `None` when the time is over.
#[expect(
    clippy::disallowed_methods,
    reason = "a process outside can only be looked at again and again"
)]
pub fn wait_for<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let seen = look();
        if seen.is_some() || start.elapsed() >= within {
            return seen;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}
