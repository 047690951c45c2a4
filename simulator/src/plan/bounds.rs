//! The bounds of the simulated partitions, publishers and clients: short times, so that a run sees every ending.

use xp_client::machine::Settings;
use xp_state_node::{Limits, Pace};

use super::{CHAINED_MAX, Feature, PIECE_BYTES_MAX, Plan, RECORD_BYTES_MAX, SHORT_MEMORY_MS};
use crate::switch::Switch;

/// The bounds of the simulated partitions: short times, so that a run sees every ending.
pub(crate) fn limits(plan: &Plan) -> Limits {
    let memory_ms = match plan.without {
        Some(Switch::Memory) => 0,
        _ if plan.has(Feature::Rooms) || plan.has(Feature::Ends) => SHORT_MEMORY_MS,
        _ => 6_000,
    };
    let clock_doubt_ms = match plan.without {
        Some(Switch::ClockDoubt) => 0,
        _ => 5_000,
    };
    let usual = Limits::default();
    let sizes = match plan.has(Feature::Pieces) {
        true => Limits {
            record_bytes_max: RECORD_BYTES_MAX,
            piece_bytes_max: PIECE_BYTES_MAX,
            large_flight_bytes_max: 16 * PIECE_BYTES_MAX,
            ..usual
        },
        false => usual,
    };
    Limits {
        memory_ms,
        answers_per_session: 8,
        grace_ms: 2_500,
        ticket_ms: 6_000,
        recent_commits_max: 24,
        checkpoint_ms: 400,
        tell_retry_ms: 500,
        passivate_ms: 2_000,
        resident_min: 1,
        uncommitted_max: 64,
        outbound_records_max: CHAINED_MAX,
        clock_doubt_ms,
        publishing: pace(),
        ..sizes
    }
}

/// How often and how much is published and restored.
pub(crate) fn pace() -> Pace {
    Pace {
        interval_ms: 300,
        settle_ms: 200,
        again_ms_max: 1_000,
        piece_bytes: 200,
        page_entities: 1,
        replay_max: 60,
        ..Pace::default()
    }
}

/// The bounds of the simulated clients.
pub(crate) fn settings() -> Settings {
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
