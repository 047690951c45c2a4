//! The pure core, driven by hand: one partition, a log that the test writes, and no runtime.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod claims;
mod explained;
mod moves;
mod caution;
mod commits;
mod holes;
mod schedule;
mod outputs;
mod labels;
mod large;
mod sessions;
mod attempts;
mod sockets;
mod crowds;
mod tells;
mod snapshots;
mod timers;
mod forgotten;
mod ended;
mod diary;
mod unencodable;
mod restored;
mod damaged;
mod space;
mod quarantine;
mod unread;
mod lost;
mod verification;
mod guards;
mod allocations;
mod counter;
mod game;
mod changes;
mod changed;
mod room;
mod grid;
mod desk;
mod records;
#[path = "../node/ledger.rs"]
mod ledger;
