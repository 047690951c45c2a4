//! Terminates websocket clients: handshake, sessions, fan-out. Never decodes a domain payload.
//!
//! The decisions are in [`session`] (what a client's frame leads to) and [`watch`] (what an entity's
//! record leads to), [`flow`] (what is held back for an owner that is behind),
//! [`passage`] (what is appended again when the log is away) and [`backlog`] (what waits for a slow client), plain state machines without sockets and clocks; everything else moves bytes.
#![warn(missing_docs)]

pub mod edge;
pub(crate) mod accept;
pub(crate) mod connection;
pub(crate) mod handshake;
pub(crate) mod http;
pub(crate) mod proxy;
pub(crate) mod fanout;
pub(crate) mod flusher;
pub(crate) mod membership;
pub(crate) mod node;
pub(crate) mod refusals;
pub(crate) mod registry;
pub(crate) mod routes;
pub(crate) mod lane;
pub(crate) mod identity;
pub(crate) mod send_queue;
pub mod jwt;
pub mod session;
pub mod watch;
pub mod flow;
pub mod passage;
pub mod backlog;
pub(crate) mod wire;
pub(crate) mod limits;
pub(crate) mod arrivals;
pub(crate) mod files;
pub(crate) mod kept;
pub mod config;
pub mod network;

pub use config::{Config, Lane, Lanes};
pub use edge::{Handle, Readiness, StartError, start};
