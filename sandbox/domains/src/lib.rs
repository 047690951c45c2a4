//! Four domains to learn from, each in one file, each tested with `Scenario` alone.
//!
//! * [`board`]: people draw together. Events, outputs, presence, cursors that may get lost, a query.
//! * [`auction`] and [`wallet`]: people bid. Roles from claims, timers, a conversation between two entities.
//! * [`device`]: a thing and its twin. Binary words.

pub mod board;
pub mod auction;
pub mod wallet;
pub mod device;
