//! What `xp dev`, `xp edge` and `xp state-node` run, and what a domain developer's tests start.

pub mod sandbox;
pub mod visitor;
pub mod platform;
pub mod role;
pub mod backend;
pub mod simulator;
pub mod lanes;
pub mod config;
pub mod secret;

pub use config::Config;
pub use platform::{Platform, Starting};
pub use role::{Edge, StartError, StateNode};
pub use sandbox::{Builder, Sandbox, User};
pub use secret::{Grant, Secret};
pub use visitor::Visitor;
