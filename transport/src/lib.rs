//! Lanes as logs: one trait, several backends, one conformance suite.
//!
//! Only this crate may import a client library of a message broker.
#![warn(missing_docs)]

pub mod simulated;
pub mod embedded;
pub mod kafka;
pub mod log;
pub mod clock;
pub mod private;

pub use clock::{Clock, Now};
pub use log::{
    Acknowledged, AppendError, Bounds, Eventually, Label, Log, ReadError, Reader, Record, Stored,
    TopicPartition,
};
