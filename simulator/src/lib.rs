//! The platform in virtual time, from one seed, on one thread: the real cores of state node, edge and client on
//! a log that misbehaves, while processes crash, freeze and come back.
//!
//! Nothing is judged in here. A run leaves a [`History`] and the final log, and the [`checkers`] read them.

mod sweep;
mod shrink;
pub mod checkers;
mod world;
mod chaos;
mod client;
mod edge;
mod lane;
mod node;
mod process;
mod stage;
mod appends;
mod doors;
mod dice;
mod link;
mod agenda;
mod deeds;
mod disk;
mod names;
mod build;
pub mod ledger;
pub mod history;
pub mod partition_name;
pub mod plan;
pub mod switch;

pub use checkers::{Violation, check};
pub use history::History;
pub use plan::Plan;
pub use shrink::{Shrunk, shrink};
pub use sweep::{Failure, judge, notice, sweep};
pub use switch::Switch;
pub use world::{Outcome, Sight, States, run};
