//! Owns partitions and hosts entities: turn, commit, gate, snapshot, timers.
//!
//! The partition is a pure state machine; the node around it moves bytes.

pub mod node;
pub mod schedule;
pub mod anew;
pub mod verification;
pub mod partition;
pub mod turn;
pub mod draft;
pub mod trigger;
pub mod action;
pub mod gate;
pub mod large;
pub mod tells;
pub mod read_ahead;
pub mod published;
pub mod sled_store;
pub mod snapshot;
pub mod entity;
pub mod watched;
pub mod timekeeper;
pub mod deciding;
pub mod fold;
pub mod suspects;
pub mod outstanding;
pub mod store;
pub mod config;
pub mod lanes;
pub mod limits;
pub mod pace;

pub use config::{Config, Settings};
pub use lanes::{Lane, Lanes};
pub use limits::Limits;
pub use node::{Handle, Observer, PartitionState, StartError, Status, Undone, start};
pub use pace::Pace;
