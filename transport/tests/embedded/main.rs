//! Tests of the log in a directory beyond the common suite: crashes, damage, full disks, other processes, formats.
#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod compaction;
mod crashes;
mod damage;
mod disks;
mod formats;
mod inspection;
mod kills;
mod refusals;
mod retention;
mod rig;
mod lines;
mod guards;
