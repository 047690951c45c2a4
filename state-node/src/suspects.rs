//! Messages that may have ended a process (R16): which processes said that they were about to decide them, and were
//! not heard of again. A part of the fold's header.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xp_protocol::events::MessageName;
use xp_protocol::{Incarnation, Offset};

/// R16: stands for a process that has tried several messages, where it cannot be told of which it died.
pub const SOMEBODY: Incarnation = Incarnation(uuid::Uuid::nil());

/// How many messages are remembered that were tried where they lie no longer.
const EARLIER_MAX: usize = 256;

/// Who tried which message and is not known to have survived it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspects {
    /// For each inbound message that was about to be decided, the processes that tried and may have died of it.
    pub tries: BTreeMap<Offset, Vec<Incarnation>>,
    /// By which name its client sends such a message again, where it does.
    pub names: BTreeMap<Offset, MessageName>,
    /// The same of messages whose inbound log is gone (R4) or which it has lost (R42), until they are sent again and tried
    /// once more. At most 256.
    pub earlier: BTreeMap<MessageName, Vec<Incarnation>>,
}

impl Suspects {
    /// The processes that may have died of the message at `offset`, in any life of the inbound log.
    pub fn died_of<'a>(
        &'a self,
        offset: Offset,
        name: Option<&MessageName>,
    ) -> impl Iterator<Item = Incarnation> + 'a {
        let earlier = name.and_then(|name| self.earlier.get(name));
        let here = self.tries.get(&offset);
        here.into_iter().chain(earlier).flatten().copied()
    }

    /// Whether a message was tried where it lies no longer, and not since.
    pub(crate) fn is_of_earlier(&self, name: &MessageName) -> bool {
        self.earlier.contains_key(name)
    }

    /// The message at `offset` is decided by a process: nobody has died of it, under no offset.
    pub(crate) fn decided(&mut self, offset: Offset, by: Incarnation) {
        if self.tries.is_empty() {
            return;
        }
        self.tries.remove(&offset);
        let name = self.names.remove(&offset);
        self.passed(offset, by);
        if let Some(name) = name {
            self.earlier.remove(&name);
        }
    }

    /// A process is beyond all that lies before `next`: it has survived it, or it was lost before anybody could take it
    /// (R42). A command that was lost comes again at another offset; a query leaves no trace when it is answered, so that
    /// one cannot be told from the other.
    pub(crate) fn passed(&mut self, next: Offset, by: Incarnation) {
        if self.tries.is_empty() {
            return;
        }
        let later = self.tries.split_off(&next);
        let later_names = self.names.split_off(&next);
        let is_command = |name: &MessageName| matches!(name, MessageName::Command { .. });
        self.names.retain(|_, name| is_command(name));
        for tried in self.tries.values_mut() {
            tried.retain(|tried| *tried != by);
        }
        self.tries.retain(|_, tried| !tried.is_empty());
        self.forget_offsets();
        (self.tries, self.names) = (later, later_names);
    }

    /// Nothing lies any more where it was tried, as when the inbound log is gone (R4). What has a name may be sent again.
    pub(crate) fn forget_offsets(&mut self) {
        let mut names = std::mem::take(&mut self.names);
        for (offset, by) in std::mem::take(&mut self.tries) {
            if let Some(name) = names.remove(&offset) {
                self.earlier.entry(name).or_default().extend(by);
            }
        }
        if self.earlier.len() > EARLIER_MAX {
            // What was tried among others says the least.
            let is_known = |by: &Vec<Incarnation>| by.iter().any(|by| *by != SOMEBODY);
            self.earlier.retain(|_, by| is_known(by));
        }
        while self.earlier.len() > EARLIER_MAX {
            self.earlier.pop_first();
        }
    }

    /// The process that holds the claim is about to decide a message that may end it. What it tried before it has
    /// survived, also where that left no commit, unless this one is of the same group: groups are tried from their end
    /// to their beginning.
    pub(crate) fn tried(&mut self, offset: Offset, name: Option<&MessageName>, by: Incarnation) {
        let mut behind = self.tries.range(offset.next()..);
        if !behind.any(|(_, tried)| tried.contains(&by)) {
            self.survived(by);
        }
        let tried = self.tries.entry(offset).or_default();
        if let Some(name) = name {
            tried.extend(self.earlier.remove(name).into_iter().flatten());
            self.names.insert(offset, name.clone());
        }
        tried.push(by);
    }

    /// Who tried several messages and took none of them to the end may have died of any: each is known as one that
    /// somebody tried, and nothing more.
    pub(crate) fn doubt(&mut self, former: Incarnation) {
        let tried = |by: &&mut Vec<Incarnation>| by.contains(&former);
        if self.tries.values_mut().filter(tried).count() < 2 {
            return;
        }
        for by in self.tries.values_mut() {
            by.iter_mut()
                .filter(|by| **by == former)
                .for_each(|by| *by = SOMEBODY);
            by.dedup();
        }
    }

    /// Who claims or releases has not died of what it tried.
    pub(crate) fn survived(&mut self, incarnation: Incarnation) {
        let remains = |by: &mut Vec<Incarnation>| {
            by.retain(|by| *by != incarnation);
            !by.is_empty()
        };
        self.tries.retain(|_, by| remains(by));
        self.earlier.retain(|_, by| remains(by));
        let Self { tries, names, .. } = self;
        names.retain(|offset, _| tries.contains_key(offset));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use xp_protocol::{ConnectionId, MessageNumber};

    use super::*;

    fn process(number: u128) -> Incarnation {
        Incarnation(Uuid::from_u128(number))
    }

    fn command(number: u64) -> MessageName {
        MessageName::Command {
            address: "ledger/1".parse().unwrap(),
            connection: ConnectionId(Uuid::from_u128(7)),
            n: MessageNumber(number),
        }
    }

    fn died_of(suspects: &Suspects, offset: u64, number: u64) -> Vec<Incarnation> {
        suspects
            .died_of(Offset(offset), Some(&command(number)))
            .collect()
    }

    #[test]
    fn what_is_sent_again_is_known_by_its_name_when_its_inbound_log_is_gone() {
        let mut suspects = Suspects::default();
        suspects.tried(Offset(5), Some(&command(1)), process(1));
        suspects.doubt(process(1));
        suspects.forget_offsets();
        assert_eq!(died_of(&suspects, 0, 1), [process(1)]);
        assert_eq!(died_of(&suspects, 0, 2), []);
        suspects.tried(Offset(0), Some(&command(1)), process(2));
        assert_eq!(died_of(&suspects, 0, 1), [process(1), process(2)]);
        suspects.decided(Offset(0), process(2));
        assert_eq!(suspects, Suspects::default(), "nothing of it is left");
    }

    #[test]
    fn what_has_no_name_is_forgotten_with_its_inbound_log() {
        let mut suspects = Suspects::default();
        suspects.tried(Offset(5), None, process(1));
        suspects.forget_offsets();
        assert_eq!(suspects, Suspects::default());
    }

    /// The log keeps little, and what is sent again lies elsewhere each time.
    #[test]
    fn a_command_that_was_lost_is_known_where_it_comes_again() {
        let mut suspects = Suspects::default();
        suspects.tried(Offset(5), Some(&command(1)), process(1));
        suspects.passed(Offset(8), process(2));
        assert_eq!(died_of(&suspects, 9, 1), [process(1)]);
        suspects.tried(Offset(9), Some(&command(1)), process(2));
        suspects.tried(Offset(12), Some(&command(2)), process(4));
        suspects.decided(Offset(10), process(3));
        assert_eq!(died_of(&suspects, 14, 1), [process(1), process(2)]);
        suspects.tried(Offset(14), Some(&command(1)), process(4));
        suspects.decided(Offset(14), process(4));
        assert_eq!(
            suspects,
            Suspects::default(),
            "the third has passed its own"
        );
    }

    #[test]
    fn a_query_that_was_passed_is_forgotten() {
        let query = MessageName::Query {
            address: "ledger/1".parse().unwrap(),
            connection: ConnectionId(Uuid::from_u128(7)),
            tag: xp_protocol::frame::Tag("again".into()),
        };
        let mut suspects = Suspects::default();
        suspects.tried(Offset(5), Some(&query), process(1));
        suspects.passed(Offset(6), process(2));
        assert_eq!(suspects, Suspects::default());
    }

    #[test]
    fn who_lives_has_died_of_nothing_in_any_life_of_the_inbound_log() {
        let mut suspects = Suspects::default();
        suspects.tried(Offset(5), Some(&command(1)), process(1));
        suspects.forget_offsets();
        suspects.tried(Offset(2), Some(&command(2)), process(2));
        suspects.survived(process(1));
        suspects.survived(process(2));
        assert_eq!(suspects, Suspects::default());
    }

    #[test]
    fn the_bound_keeps_what_one_process_tried_alone() {
        let mut suspects = Suspects::default();
        suspects.tried(Offset(1), Some(&command(1_000)), process(1));
        suspects.doubt(process(1));
        suspects.forget_offsets();
        for offset in (0..300).rev() {
            suspects.tried(Offset(offset), Some(&command(offset)), process(2));
        }
        suspects.doubt(process(2));
        suspects.forget_offsets();
        let kept: Vec<_> = suspects.earlier.keys().cloned().collect();
        assert_eq!(kept, [command(1_000)]);
    }
}
