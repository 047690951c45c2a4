//! A local Apache Kafka for development and tests: real brokers, from Maven Central, on loopback.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use xp_local_kafka::{LocalKafka, Options};
//!
//! let kafka = LocalKafka::start(Options::one())?;
//! let create = ["--create", "--topic", "board.events", "--partitions", "4"];
//! kafka.tool("org.apache.kafka.tools.TopicCommand", &create)?;
//! println!("brokers = [\"{}\"]", kafka.bootstrap());
//! # Ok(())
//! # }
//! ```
//! Everything here blocks; in a tokio test it belongs into `spawn_blocking`. Brokers are on a leash: they end with the
//! [`LocalKafka`] that started them, and with its process, even if that is killed.
#![warn(missing_docs)]

mod local_kafka;
mod archive;
mod home;
mod detached;
mod instructions;
mod options;
mod broker;
mod properties;
mod line;
mod security;
mod certificates;
mod ports;
mod tool;
mod jars;
mod java;

pub use certificates::Certificates;
pub use detached::{Detached, DetachedBroker};
pub use jars::{Jars, target_dir};
pub use local_kafka::LocalKafka;
pub use options::Options;
pub use security::Listener;
