//! Counts of what a hot path takes. They are the same whenever the same code runs, however busy the machine is.
//!
//! A guard is a test in a module `guards`. `cargo test` runs it like any other; `cargo xtask guards` runs it alone under
//! valgrind, takes the instructions inside of [`counted`], and compares them with `guards/baselines.json`. Allocations need
//! no valgrind: a test bounds what [`allocations`] says.
#![warn(missing_docs)]

use std::hint::black_box;

/// Runs the part of a guard that is counted. What comes before it prepares, and should have done the same once, so that
/// what happens the first time only is not counted.
// Valgrind counts what this function calls, by its name.
#[inline(never)]
pub fn counted<T>(run: impl FnOnce() -> T) -> T {
    black_box(run())
}

/// What `run` returns, and how often it allocated on this thread. A buffer that grows counts as one more allocation.
pub fn allocations<T>(run: impl FnOnce() -> T) -> (T, u64) {
    let mut result = None;
    let counts = allocation_counter::measure(|| result = Some(run()));
    (
        result.expect("it was run, or has panicked"),
        counts.count_total,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_those_of_this_thread_inside_of_the_call() {
        drop(black_box(vec![0_u8; 100]));
        let (held, count) = allocations(|| (black_box(Box::new(1)), black_box(Box::new(2))));
        assert_eq!((*held.0 + *held.1, count), (3, 2));
        let grow = |mut bytes: Vec<u8>| {
            bytes.reserve(black_box(1000));
            bytes
        };
        let (bytes, count) = allocations(|| grow(black_box(vec![1])));
        assert_eq!((bytes, count), (vec![1], 2));
        let elsewhere = || {
            let thread = std::thread::spawn(|| (0..1000).for_each(|n| drop(Box::new(n))));
            thread.join().unwrap();
        };
        let ((), count) = allocations(elsewhere);
        assert!(
            count < 100,
            "{count} are more than it takes to start a thread"
        );
    }
}
