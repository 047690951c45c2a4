//! Who is alive: pure folds over the `cluster` log, without a clock or I/O.
#![warn(missing_docs)]

pub mod members;
pub mod lease;

pub use lease::Lease;
pub use members::Members;
