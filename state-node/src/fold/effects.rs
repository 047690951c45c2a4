//! The effects of records: which may not have gone out yet (R6, R8).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use xp_protocol::Offset;

/// Effects are known by where their record lies until a later record says that they have gone out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    sent: Offset,
    unsent: VecDeque<Offset>,
}

impl Effects {
    /// All before `sent` have gone out; of the records from there on these have effects, the oldest first.
    #[must_use]
    pub fn new(sent: Offset, unsent: impl Into<VecDeque<Offset>>) -> Self {
        let unsent = unsent.into();
        Self { sent, unsent }
    }

    /// All effects of records before this offset have gone out (R8).
    #[must_use]
    pub fn sent(&self) -> Offset {
        self.sent
    }

    /// The oldest record whose effects may not have gone out.
    #[must_use]
    pub fn first_unsent(&self) -> Option<Offset> {
        self.unsent.front().copied()
    }

    /// Whether the effects of this record may not have gone out.
    #[must_use]
    pub fn is_unsent(&self, offset: Offset) -> bool {
        self.unsent.binary_search(&offset).is_ok()
    }

    /// A record says that all effects before `sent` have gone out.
    pub(super) fn set_sent(&mut self, sent: Offset) {
        self.sent = sent;
    }

    /// A record was folded; it is the newest.
    pub(super) fn note(&mut self, offset: Offset, has_effects: bool) {
        while self.unsent.front().is_some_and(|first| *first < self.sent) {
            self.unsent.pop_front();
        }
        if has_effects {
            self.unsent.push_back(offset);
        }
    }

    /// R10: records appended behind `from` lie elsewhere than expected; `partition` says where.
    pub(super) fn moved(&mut self, from: Offset, partition: impl Fn(Offset) -> Offset) {
        for offset in self.unsent.iter_mut().filter(|offset| **offset > from) {
            *offset = partition(*offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_wait_until_a_record_says_that_they_have_gone_out() {
        let mut effects = Effects::default();
        for (offset, has_effects) in [(1, true), (2, false), (3, true)] {
            effects.note(Offset(offset), has_effects);
        }
        let unsent = |effects: &Effects| [1, 2, 3].map(|offset| effects.is_unsent(Offset(offset)));
        assert_eq!(unsent(&effects), [true, false, true]);
        effects.set_sent(Offset(3));
        effects.note(Offset(4), false);
        assert_eq!(unsent(&effects), [false, false, true]);
        assert_eq!(effects.first_unsent(), Some(Offset(3)));
    }

    #[test]
    fn records_that_lie_elsewhere_than_expected_are_known_where_they_lie() {
        let mut effects = Effects::new(Offset(1), [Offset(2), Offset(5)]);
        effects.moved(Offset(2), |offset| Offset(offset.0 + 10));
        assert_eq!(effects, Effects::new(Offset(1), [Offset(2), Offset(15)]));
    }
}
