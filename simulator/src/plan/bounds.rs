//! The bounds of the simulated partitions, publishers and clients: short times, so that a run sees every ending.

use xp_client::machine::Settings;
use xp_settings::{Size, Span};
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
    let mut limits = Limits::default();
    if plan.has(Feature::Pieces) {
        limits.records.bytes_max = Size(RECORD_BYTES_MAX);
        limits.large.piece_bytes_max = Size(PIECE_BYTES_MAX);
        limits.large.flight_bytes_max = Size(16 * PIECE_BYTES_MAX);
    }
    limits.ticket = Span::from_secs(6);
    limits.sessions.answers = 8;
    limits.sessions.grace = Span::from_millis(2_500);
    limits.sessions.memory = Span::from_millis(memory_ms);
    limits.records.uncommitted_max = 64;
    limits.records.checkpoint = Span::from_millis(400);
    limits.outbound.records_max = CHAINED_MAX;
    limits.recent.commits_max = 24;
    limits.residents.passivate = Span::from_secs(2);
    limits.residents.min = 1;
    limits.tells.retry = Span::from_millis(500);
    limits.clock.doubt = Span::from_millis(clock_doubt_ms);
    limits.publishing = pace();
    limits
}

/// How often and how much is published and restored.
pub(crate) fn pace() -> Pace {
    Pace {
        interval: Span::from_millis(300),
        settle: Span::from_millis(200),
        again_max: Span::from_secs(1),
        piece_bytes_max: Size(200),
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
