//! Faults of the simulated log: which there are, and how often each happens.

use std::ops::RangeInclusive;

/// The faults of a topic. Probabilities are per record, from 0 (never) to 1 (always); ranges are
/// drawn from evenly.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// A record never arrives; its producer hears `Failed` at the timeout, or nothing.
    pub loss: f64,
    /// A producer that would hear `Failed` hears nothing instead.
    pub silence: f64,
    /// A record lands a second time, some `late_ms` after the first.
    pub duplication: f64,
    /// A record lands only after `late_ms`, when its producer was long told that it failed or is gone.
    pub late: f64,
    /// How late a late or second landing is.
    pub late_ms: RangeInclusive<u64>,
    /// From the append to the landing. Records of different producers overtake each other by as much
    /// as this range is wide.
    pub delay_ms: RangeInclusive<u64>,
    /// From the landing to the acknowledgement.
    pub acknowledgement_ms: RangeInclusive<u64>,
    /// The record lands, and its producer hears `Failed` when it would have been acknowledged.
    pub error_after_append: f64,
    /// The record lands, and its producer hears `Failed` at the timeout, or nothing.
    pub acknowledgement_loss: f64,
    /// What the partition's leaders do to it.
    pub leaders: LeaderFaults,
    /// What is not acknowledged this long after the append has failed for its producer.
    pub timeout_ms: u64,
    /// Records of one producer land in the order of their appends. Off, they overtake each other too.
    pub idempotent: bool,
}

/// What a partition's leader does wrong, or a new one in place of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaderFaults {
    /// A landing makes the partition first lose its newest records, acknowledged or not.
    pub truncation: f64,
    /// The most records one truncation takes.
    pub truncated_records_max: u64,
    /// A landing moves the clock that stamps the partition's records.
    pub clock_jump: f64,
    /// How far a jump leads from the true time, at most, in either direction.
    pub clock_jump_ms: u64,
}

impl LeaderFaults {
    /// One good leader.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            truncation: 0.0,
            truncated_records_max: 0,
            clock_jump: 0.0,
            clock_jump_ms: 0,
        }
    }
}

impl Faults {
    /// No faults: every record lands and is acknowledged at the moment of its append.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            loss: 0.0,
            silence: 0.0,
            duplication: 0.0,
            late: 0.0,
            late_ms: 0..=0,
            delay_ms: 0..=0,
            acknowledgement_ms: 0..=0,
            error_after_append: 0.0,
            acknowledgement_loss: 0.0,
            leaders: LeaderFaults::none(),
            timeout_ms: 2000,
            idempotent: true,
        }
    }

    /// A broker on a bad day: everything the protocol has to survive on any lane. Truncation is not
    /// part of it, because a truncated log stops its readers.
    #[must_use]
    pub const fn rough() -> Self {
        Self {
            loss: 0.02,
            silence: 0.3,
            duplication: 0.03,
            late: 0.02,
            late_ms: 500..=8000,
            delay_ms: 0..=20,
            acknowledgement_ms: 0..=10,
            error_after_append: 0.02,
            acknowledgement_loss: 0.02,
            leaders: LeaderFaults {
                clock_jump: 0.001,
                clock_jump_ms: 5000,
                ..LeaderFaults::none()
            },
            ..Self::none()
        }
    }
}
