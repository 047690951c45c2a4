//! Apache Kafka as the log: one client instance per role, because a broker serves a connection strictly in order.

pub mod topics;
mod probe;
mod settings;
pub mod error;
pub mod config;

pub use config::{Config, Identity, Mechanism, Password, Sasl, Tls};
pub use error::{ConnectError, SettingsError};
pub use probe::{Probe, probe};
pub use topics::Topic;
