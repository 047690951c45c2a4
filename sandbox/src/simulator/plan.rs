//! What a run is made of.

use xp_client::machine::Settings;
use xp_state_node::Limits;

use super::switch::Switch;

/// The lane of the simulated entities.
pub const LANE: &str = "main";
/// Its partitions of `inbound` and `events`.
pub const PARTITIONS: u32 = 2;
/// Its partitions of `outbound`.
pub const OUTBOUND_PARTITIONS: u32 = 2;
/// How many entities there are.
pub const ENTITIES: u64 = 4;
/// When virtual time begins, in milliseconds since the Unix epoch.
pub const EPOCH_MS: u64 = 1_700_000_000_000;

/// One run: the same plan gives the same history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Everything random comes from it.
    pub seed: u64,
    /// Whether anything goes wrong.
    pub faults: bool,
    /// A rule that does not hold in this run.
    pub without: Option<Switch>,
    /// For how long clients talk and faults happen, in virtual milliseconds.
    pub busy_ms: u64,
    /// How long the platform has afterwards to answer everything, in virtual milliseconds.
    pub calm_ms: u64,
}

impl Plan {
    /// A run with faults.
    #[must_use]
    pub fn rough(seed: u64) -> Self {
        Self {
            seed,
            faults: true,
            without: None,
            busy_ms: 12_000,
            calm_ms: 20_000,
        }
    }

    /// A run in which nothing goes wrong.
    #[must_use]
    pub fn fair(seed: u64) -> Self {
        Self {
            faults: false,
            ..Self::rough(seed)
        }
    }

    /// The same run without one rule.
    #[must_use]
    pub fn without(self, switch: Switch) -> Self {
        Self {
            without: Some(switch),
            ..self
        }
    }
}

/// The bounds of the simulated partitions: short times, so that a run sees every ending.
pub(super) fn limits() -> Limits {
    Limits {
        answers_per_session: 8,
        grace_ms: 2_500,
        memory_ms: 6_000,
        ticket_ms: 6_000,
        recent_commits_max: 24,
        checkpoint_ms: 400,
        tell_retry_ms: 500,
        passivate_ms: 2_000,
        resident_min: 1,
        uncommitted_max: 64,
        ..Limits::default()
    }
}

/// The bounds of the simulated clients.
pub(super) fn settings() -> Settings {
    Settings {
        window: 8,
        queries_max: 4,
        silence_ms: 1_000,
        accept_ms: 3_000,
        ping_after_ms: 1_500,
        dead_after_ms: 4_000,
        backoff_min_ms: 20,
        backoff_max_ms: 800,
    }
}
