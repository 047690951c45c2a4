//! Every byte X Platform puts on a wire or a log, and nothing else: no I/O, no clock, no randomness.
#![warn(missing_docs)]

pub mod cluster;
pub mod notice;
pub mod events;
pub mod outbound;
pub mod inbound;
pub mod frame;
pub mod snapshots;
pub mod codes;
pub mod codec;
pub mod lane;
pub mod flow;
pub mod claims;
pub mod rules;
pub mod address;
pub mod murmur2;
pub mod utc;
pub mod ids;
pub mod plain;
pub mod sample;
#[cfg(test)]
mod guards;

pub use address::{Address, AddressError};
pub use codes::{CloseCode, FaultCode};
pub use ids::*;
pub use lane::LanePartition;
