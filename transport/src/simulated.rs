//! A log that misbehaves on purpose, from one seed and in virtual time.
//!
//! [`SimLog`] is the model: no clock, no threads, no async. A simulator drives it event by event.
//! [`Simulated`] puts the same model behind the [`Log`](crate::log::Log) trait; without faults it is
//! a plain log in memory.

mod adapter;
mod model;
mod flight;
mod store;
mod faults;

pub use adapter::Simulated;
pub use faults::{Faults, LeaderFaults};
pub use model::{AppendId, ProducerId, SimEvent, SimLog};
pub use store::Cursor;
