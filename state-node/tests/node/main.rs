//! A whole state node on the embedded log, spoken to as an edge speaks.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod commands;
mod sessions;
mod recovery;
mod cluster;
mod published;
mod eviction;
mod stuck;
mod outage;
mod overrun;
mod world;
mod edge;
mod ledger;
