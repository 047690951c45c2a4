//! A process of the platform: its configuration, its roles, and the log that they speak through. `xp dev`, `xp edge` and
//! `xp state-node` run it, and so does a domain developer's sandbox.

pub mod platform;
pub mod role;
pub mod backend;
pub mod lanes;
pub mod config;
pub mod secret;

pub use config::Config;
pub use platform::{Platform, Starting};
pub use role::{Edge, StartError, StateNode};
pub use secret::{Grant, Secret};
