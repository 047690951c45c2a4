//! Four domains to learn from, each in one file, each tested with `Scenario` alone.
//!
//! * [`board`]: people draw together. Events, outputs, presence, cursors that may get lost, a query.
//! * [`auction`] and [`wallet`]: people bid. Roles from claims, timers, a conversation between two entities.
//! * [`device`]: a thing and its twin. Binary words.
// A wildcard arm in `apply` would swallow the event that somebody adds next year.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod board;
pub mod auction;
pub mod wallet;
pub mod device;
