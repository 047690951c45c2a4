//! Owns partitions and hosts entities: turn, commit, gate, snapshot, timers.
//!
//! The partition is a pure state machine; the node around it moves bytes.

pub mod partition;
pub mod turn;
pub mod draft;
pub mod action;
pub mod gate;
pub mod snapshot;
pub mod entity;
pub mod fold;
pub mod store;
pub mod limits;
pub mod lanes;
