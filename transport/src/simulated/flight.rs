//! The flight of one record: everything that happens between its append and its acknowledgement, drawn once at the
//! append.

use std::ops::RangeInclusive;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::faults::Faults;

/// When a record lands, and what its producer hears; milliseconds after the append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) lands_ms: Option<u64>,
    /// A second landing, so long after the first.
    pub(super) again_ms: Option<u64>,
    pub(super) answer: Answer,
}

/// What the producer hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// An acknowledgement, so long after the landing; a failure when the timeout comes first.
    Acknowledged {
        after_ms: u64,
    },
    /// A failure, so long after the landing.
    Failed {
        after_ms: u64,
    },
    /// A failure at the timeout.
    TimesOut,
    Nothing,
}

impl Flight {
    pub(super) fn draw(faults: &Faults, rng: &mut ChaCha8Rng) -> Self {
        if rng.random_bool(faults.loss) {
            return Self {
                lands_ms: None,
                again_ms: None,
                answer: unless_silent(faults, rng, Answer::TimesOut),
            };
        }
        let delay = if rng.random_bool(faults.late) {
            &faults.late_ms
        } else {
            &faults.delay_ms
        };
        Self {
            lands_ms: Some(draw(delay, rng)),
            again_ms: rng
                .random_bool(faults.duplication)
                .then(|| draw(&faults.late_ms, rng)),
            answer: answer(faults, rng),
        }
    }
}

fn answer(faults: &Faults, rng: &mut ChaCha8Rng) -> Answer {
    let after_ms = draw(&faults.acknowledgement_ms, rng);
    if rng.random_bool(faults.acknowledgement_loss) {
        unless_silent(faults, rng, Answer::TimesOut)
    } else if rng.random_bool(faults.error_after_append) {
        unless_silent(faults, rng, Answer::Failed { after_ms })
    } else {
        Answer::Acknowledged { after_ms }
    }
}

fn unless_silent(faults: &Faults, rng: &mut ChaCha8Rng, answer: Answer) -> Answer {
    if rng.random_bool(faults.silence) {
        Answer::Nothing
    } else {
        answer
    }
}

fn draw(range: &RangeInclusive<u64>, rng: &mut ChaCha8Rng) -> u64 {
    rng.random_range(range.clone())
}
