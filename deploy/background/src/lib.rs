//! Processes that go on when the command that started them has ended, and are found again by their pid files: the
//! brokers of `cargo xtask kafka`, the nodes of `cargo xtask up`. It knows neither Kafka nor the platform.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use std::{fs::File, process::Command, time::Duration};
//! use xp_background::{PidFile, Stopped, spawn, stop};
//!
//! let server = PidFile::at("server.pid");
//! server.start(|| spawn(&mut Command::new("server"), File::create("server.log")?))?;
//! // Any later command finds it.
//! assert!(server.running().is_some());
//! assert_eq!(stop(&[&server], Duration::from_secs(30))?, [Stopped::InOrder]);
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod pid_file;
mod process;
mod patience;

pub use patience::wait_for;
pub use pid_file::{PidFile, Stopped, stop};
pub use process::{Process, spawn};
