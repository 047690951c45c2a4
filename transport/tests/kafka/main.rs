//! Kafka as strangers run it: what is told when it cannot be reached, and how its topics must be.

#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod contact;
mod security;
mod topics;
mod prefix;
mod reader;
mod headers;
mod compaction;
mod rig;
