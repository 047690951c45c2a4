//! The facade of X Platform: all that a domain's crate needs besides serde.
//!
//! ```no_run
//! use serde::{Deserialize, Serialize};
//! use xplatform::prelude::*;
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Tally { votes: u64 }
//!
//! #[derive(Clone, Serialize, Deserialize)]
//! struct Voted;
//!
//! impl Entity for Tally {
//!     const CATEGORY: Category = Category::new("tally");
//!     type Claims = ();
//!     type Command = Voted;
//!     type Query = Never;
//!     type Signal = Never;
//!     type Event = Voted;
//!     type Output = Voted;
//!     type Reply = u64;
//!     type Rejection = Never;
//!
//!     fn decide(&self, vote: Voted, cx: &Cx<Self>) -> Outcome<Self> {
//!         Ok(cx.decision().publish(vote).reply(self.votes + 1))
//!     }
//!     fn apply(&mut self, _: Voted) {
//!         self.votes += 1;
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     xplatform::Domain::new().host::<Tally>().run()
//! }
//! ```
//! The binary then has the `xp` command line: `dev` (the default: everything in one process), `edge` and `state-node`
//! (processes of their own, on Kafka), `token`, `connect`, `log show`, `log verify`, `topics`, `cluster`, `where`,
//! `disconnect`, `entity` and `config`.

mod program;
mod dev;
mod edge_command;
mod state_node_command;
mod status_server;
mod log_verify;
mod log_show;
mod token;
mod connect;
mod topics;
mod cluster;
mod entity_command;
mod config_command;
mod process;
mod configuration;
mod command_line;
mod domain;

/// A partition's buffers are made on its thread and freed on the journal's and the edge's, which the system's allocator
/// is slow at (ADR 20).
#[cfg(all(unix, feature = "jemalloc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

pub use domain::Domain;
pub use xp_domain_sdk as sdk;
pub use xp_domain_sdk::testkit;
pub use xp_runtime as runtime;
pub use xp_sandbox as sandbox;

/// What nearly every entity needs: `use xplatform::prelude::*;`.
pub mod prelude {
    pub use crate::Domain;
    pub use xp_domain_sdk::prelude::*;
}
