//! The state of a partition on `{lane}.snapshots`: written by a mirror, read by a node that has none of it.
//!
//! What is written and what is made of it are two state machines without I/O; around them a task publishes what the
//! snapshot store holds, and another fills an empty store.

pub mod publisher;
pub mod restorer;

pub use publisher::Publisher;
pub use restorer::{Damaged, Restored, Restorer, Standing, Survey};

#[cfg(test)]
mod tests;
