//! The whole platform in one process: what `xp dev` runs, and what a domain developer's tests start.

pub mod sandbox;
pub mod visitor;
pub mod platform;
pub mod simulator;
pub mod lanes;
pub mod config;
pub mod secret;

pub use config::Config;
pub use platform::{Platform, StartError, Starting};
pub use sandbox::{Builder, Sandbox, User};
pub use secret::{Grant, Secret};
pub use visitor::Visitor;
