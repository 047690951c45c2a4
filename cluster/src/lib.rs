//! The membership and placement of a cluster, who is alive and who owns what: a pure fold over the `cluster` log,
//! without a clock or I/O; and, beside it, the few lines that read and write that log.
#![warn(missing_docs)]

pub mod log;
pub mod members;
pub mod lanes;
pub mod pulse;
pub mod placement;
pub mod lease;
pub mod timing;

pub use lease::Lease;
pub use members::Members;
pub use placement::Duty;
