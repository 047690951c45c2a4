//! Apache Kafka as the log: one client instance per role, because a broker serves a connection strictly in order.

pub mod config;

pub use config::{Config, Mechanism, Password, Sasl, Tls};
