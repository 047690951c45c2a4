//! Tests of the simulated log: the faults that it makes, and that the same seed makes the same ones.
#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod behind_the_trait;
mod determinism;
mod faults;
mod rig;
