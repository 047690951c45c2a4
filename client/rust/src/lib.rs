//! The reference client of X Platform: one logical connection to one entity that survives its sockets.
//!
//! [`Client`] is a thin shell around [`machine::Machine`], which decides everything without I/O, clock or
//! randomness and is what the platform's simulator drives. Commands take effect exactly once and in order,
//! however often sockets break in between; events are shown in order, none missing and none twice, or an
//! explicit [`Item::StartedOver`] says that the view begins anew.
//!
//! ```no_run
//! use xp_client::{Client, Item, Options};
//!
//! # async fn story(token: String) -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = Client::connect(Options::new("ws://127.0.0.1:7400", "board/kitchen".parse()?, token))?;
//! let answer = client.command(&serde_json::json!({"type": "Clear"})).await?;
//! println!("taken at revision {}", answer.revision());
//! while let Some(item) = client.next().await {
//!     if let Item::Event { revision, payload } = item {
//!         println!("{revision}: {}", String::from_utf8_lossy(&payload.bytes));
//!     }
//! }
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod client;
mod driver;
mod backlog;
mod link;
mod dial;
pub mod options;
mod token;
pub mod machine;
pub mod item;

pub use client::{Client, Handle, Items, Pending};
pub use item::{Answer, End, Error, Item, Lost, Payload};
pub use options::{Options, Tokens};
