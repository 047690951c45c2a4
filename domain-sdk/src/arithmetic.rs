//! A look at how this build does arithmetic.
//!
//! Profiles do not travel with dependencies: a domain's own release build leaves overflow unnoticed unless its
//! `Cargo.toml` says otherwise, and then decides differently from its tests.

use std::hint::black_box;
use std::ops::Add;
use std::panic::catch_unwind;

/// Whether arithmetic that overflows panics in the build of whoever calls this with a type of its own.
///
/// The addition is the standard library's, which checks as the crate does in which it is made into code; and a generic
/// function is made into code in its caller's crate.
#[must_use]
#[inline]
pub fn is_checked<E>() -> bool {
    if cfg!(panic = "abort") {
        // There is no looking without dying of it.
        return true;
    }
    // One that is not checked wraps and prints nothing, one that is says so on a hook of nobody's concern.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let sum = catch_unwind(|| black_box(<u8 as Add>::add(black_box(u8::MAX), black_box(1))));
    std::panic::set_hook(hook);
    sum.is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_own_arithmetic_is_checked() {
        assert!(is_checked::<()>());
    }
}
