//! The validity of records of `events` (R2, R3). A reader's own fold, apart from the one that owners run, and able to
//! begin where retention left off.

use xp_protocol::events::{Claim, Event};
use xp_protocol::{ClaimAttempt, ClaimId, Epoch, Offset, Seq, View};

/// The fold of one partition, as far as validity goes.
#[derive(Debug, Default)]
pub(super) struct Validity {
    /// Whether the log's beginning is gone, so that nothing can be said before the first claim that is left.
    beheaded: bool,
    current: Option<Current>,
    latest: Option<(ClaimId, View, ClaimAttempt)>,
}

#[derive(Debug)]
struct Current {
    epoch: Epoch,
    next: Seq,
}

/// Whether a record counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Counts,
    /// It does not, and why.
    Void(String),
    /// It cannot be known: what it depends on is gone.
    Unknown,
}

impl Validity {
    /// For a log that begins at `first`.
    pub(super) fn from(first: Offset) -> Self {
        Self {
            beheaded: first > Offset(0),
            ..Self::default()
        }
    }

    /// Judges the next record, in the order of the log.
    pub(super) fn judge(&mut self, offset: Offset, event: &Event) -> Verdict {
        if self.beheaded && self.latest.is_none() && !matches!(event, Event::Claim(_)) {
            return Verdict::Unknown;
        }
        let judged = match event {
            Event::Claim(claim) => self.claim(offset, claim),
            other => self.record(other),
        };
        judged.map_or_else(Verdict::Void, |()| Verdict::Counts)
    }

    fn claim(&mut self, offset: Offset, claim: &Claim) -> Result<(), String> {
        if let Some((id, view, attempt)) = self.latest {
            if id == claim.id {
                return Err("the same claim again".to_owned());
            }
            if (claim.view, claim.attempt) <= (view, attempt) {
                return Err("its view and attempt are not above the current claim's".to_owned());
            }
        }
        self.latest = Some((claim.id, claim.view, claim.attempt));
        self.current = Some(Current {
            epoch: Epoch(offset.0),
            next: Seq(1),
        });
        Ok(())
    }

    fn record(&mut self, event: &Event) -> Result<(), String> {
        let (epoch, seq) = event.epoch_and_seq().expect("all but claims have a seq");
        let Some(current) = &mut self.current else {
            return Err("nobody owns the partition here".to_owned());
        };
        if (epoch, seq) != (current.epoch, current.next) {
            return Err(format!(
                "expected epoch {} seq {}",
                current.epoch, current.next
            ));
        }
        current.next = seq.next();
        if matches!(event, Event::Release { .. }) {
            self.current = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xp_protocol::{Incarnation, LogIdentity};

    fn claim(id: u128, view: u64, attempt: u64) -> Event {
        let uuid = uuid::Uuid::from_u128;
        Event::Claim(Claim {
            id: ClaimId(uuid(id)),
            incarnation: Incarnation(uuid(1)),
            view: View {
                generation: 0,
                offset: Offset(view),
            },
            attempt: ClaimAttempt(attempt),
            rules: 1,
            inbound: LogIdentity(uuid(2)),
        })
    }

    fn release(epoch: u64, seq: u64) -> Event {
        Event::Release {
            epoch: Epoch(epoch),
            seq: Seq(seq),
        }
    }

    fn judged(events: &[Event]) -> Vec<bool> {
        let mut validity = Validity::default();
        let offsets = (0..).map(Offset);
        offsets
            .zip(events)
            .map(|(offset, event)| validity.judge(offset, event) == Verdict::Counts)
            .collect()
    }

    #[test]
    fn only_the_next_record_of_the_current_epoch_counts() {
        let events = [
            claim(1, 5, 0),
            release(0, 2),
            release(7, 1),
            release(0, 1),
            release(0, 2),
        ];
        assert_eq!(judged(&events), [true, false, false, true, false]);
    }

    #[test]
    fn a_claim_counts_when_its_view_and_attempt_are_above_the_current_ones() {
        let events = [
            claim(1, 5, 0),
            claim(1, 5, 0),
            claim(2, 4, 9),
            claim(3, 5, 1),
            release(0, 1),
            release(3, 1),
        ];
        assert_eq!(judged(&events), [true, false, false, true, false, true]);
    }

    #[test]
    fn where_the_beginning_is_gone_judgement_begins_with_the_first_claim_that_is_left() {
        let mut validity = Validity::from(Offset(40));
        let mut judge = |offset, event| validity.judge(Offset(offset), &event);
        assert_eq!(judge(40, release(7, 9)), Verdict::Unknown);
        assert_eq!(judge(41, claim(1, 5, 0)), Verdict::Counts);
        assert_eq!(judge(42, release(41, 1)), Verdict::Counts);
        assert!(matches!(judge(43, release(41, 2)), Verdict::Void(_)));
    }
}
