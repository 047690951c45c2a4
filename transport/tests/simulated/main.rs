//! What the simulated log does wrong, and that it does it the same way every time.
#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod behind_the_trait;
mod determinism;
mod faults;
mod rig;
