//! The times of membership (R37). All members must agree on them, so they are no settings: who differs would reach
//! other verdicts.

use xp_protocol::cluster::Kind;

/// How often a state node says that it is alive, in milliseconds.
pub const STATE_NODE_HEARTBEAT_MS: u64 = 100;
/// How often an edge says that it is alive, in milliseconds.
pub const EDGE_HEARTBEAT_MS: u64 = 250;
/// The most that one record moves the virtual time, in milliseconds: two heartbeats of a state node.
pub const STEP_MAX_MS: u64 = 2 * STATE_NODE_HEARTBEAT_MS;
/// How many heartbeats of others must have been seen since a member's last one before it is gone.
pub const OTHERS: u64 = 3;
/// For how long nobody is declared gone after the time was clamped or ran backwards, in virtual milliseconds.
pub const SUSPENSION_MS: u64 = 3_000;
/// How many records lie between two records of the fold itself, about.
pub const FOLD_EVERY: u64 = 512;
/// How far back who joins looks for a record of the fold.
pub const TAIL: u64 = 8 * FOLD_EVERY;

/// How long a member may be silent, in virtual milliseconds.
#[must_use]
pub fn silence_ms(kind: Kind) -> u64 {
    match kind {
        Kind::StateNode => 500,
        Kind::Edge { .. } => 5_000,
    }
}
