//! The times of membership (R37). All members must agree on them, so they are no settings: who differs would reach
//! other verdicts.

use xp_protocol::cluster::Kind;

/// How often a state node says that it is alive, in milliseconds.
pub const STATE_NODE_HEARTBEAT_MS: u64 = 100;
/// How often an edge says that it is alive, in milliseconds.
pub const EDGE_HEARTBEAT_MS: u64 = 250;
/// The most that one record moves the virtual time, in milliseconds: two heartbeats of a state node.
pub const STEP_MAX_MS: u64 = 2 * STATE_NODE_HEARTBEAT_MS;
/// A step longer than this one is an outage of the log, in milliseconds. Shorter ones are a log that is slow: no client
/// of a log gives its connection up so soon (ours wait for a second at least), so all go on at the same moment.
pub const OUTAGE_MS: u64 = 10 * STATE_NODE_HEARTBEAT_MS;
/// How many rounds of heartbeats must have begun since a member's last one before it is gone. In a round each member is
/// heard at one moment: so some other was heard as often, and a log that is slow for all condemns nobody.
pub const ROUNDS: u64 = 3;
/// For how long nobody is declared gone after an outage of the log, or after its time ran backwards, in virtual
/// milliseconds.
pub const SUSPENSION_MS: u64 = 3_000;
/// For how long an owner may say that it could not own at once before who is warm takes over, in virtual milliseconds
/// (R46): as long as it might be silent.
pub const COLD_MS: u64 = 500;
/// How many heartbeats of one member may be under way at once: as many as its silence holds at the log's usual pace.
/// Beyond it none is sent until one is answered.
pub const BEATS_IN_FLIGHT: usize = 5;
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
