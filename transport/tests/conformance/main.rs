//! One suite for every backend. A new backend is one more module that implements `suite::Backend`.
#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod embedded;
mod kafka;
mod simulated;
mod behaviours;
mod suite;
