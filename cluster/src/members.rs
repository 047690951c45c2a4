//! The members that the `cluster` log names, at an offset of it.

use std::collections::BTreeMap;

use xp_protocol::cluster::{Kind, Member, Who};
use xp_protocol::{Incarnation, Offset, View};

/// How many former members are remembered, so that their late messages are told apart from those of
/// members not heard of yet. Beyond it the oldest is forgotten, and only its join offset condemns it.
pub const FORMER_MAX: usize = 1024;

/// A fold of the `cluster` log: equal prefixes give equal members on every node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    view: View,
    alive: BTreeMap<Incarnation, Present>,
    former: Vec<Incarnation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Present {
    who: Who,
    joined: Offset,
}

impl Members {
    /// Folds one record, and says whether anybody came or went. Offsets at or below the folded one are ignored.
    pub fn apply(&mut self, offset: Offset, record: &Member) -> bool {
        if self.view != View::default() && offset <= self.view.offset {
            return false;
        }
        self.view = View {
            generation: 1,
            offset,
        };
        match record {
            Member::Join { incarnation, who } => self.admit(*incarnation, who, offset),
            // Whoever joined before this fold began is met by its word that it lives.
            Member::Alive {
                incarnation,
                who,
                joined,
                ..
            } => self.admit(*incarnation, who, *joined),
            Member::Leave { incarnation } => self.remove(*incarnation),
            Member::Heartbeat { .. } => false,
        }
    }

    /// How much of the log is folded; orders claims (R2).
    #[must_use]
    pub fn view(&self) -> View {
        self.view
    }

    /// Whether a process is a member.
    #[must_use]
    pub fn is_alive(&self, incarnation: Incarnation) -> bool {
        self.alive.contains_key(&incarnation)
    }

    /// Whether a process was a member and is none any more: its messages are ignored (R29).
    #[must_use]
    pub fn is_former(&self, incarnation: Incarnation) -> bool {
        self.former.contains(&incarnation)
    }

    /// Whether an edge that joined at `joined` is lost: this fold has reached its join and does not list it (R29).
    #[must_use]
    pub fn has_lost(&self, incarnation: Incarnation, joined: Offset) -> bool {
        self.view != View::default() && self.view.offset >= joined && !self.is_alive(incarnation)
    }

    /// Who a member is, and where it joined.
    #[must_use]
    pub fn get(&self, incarnation: Incarnation) -> Option<(&Who, Offset)> {
        let present = self.alive.get(&incarnation)?;
        Some((&present.who, present.joined))
    }

    /// All members, in the order of their incarnations.
    pub fn iter(&self) -> impl Iterator<Item = (Incarnation, &Who, Offset)> {
        self.alive
            .iter()
            .map(|(incarnation, present)| (*incarnation, &present.who, present.joined))
    }

    /// A new incarnation of a stable name replaces the old one at its Join (R17). A Join that was doubled or comes
    /// late is none: a process neither replaces itself nor returns after it was replaced.
    fn admit(&mut self, incarnation: Incarnation, who: &Who, joined: Offset) -> bool {
        if self.is_alive(incarnation) || self.is_former(incarnation) {
            return false;
        }
        let same = |kind: &Kind| std::mem::discriminant(kind) == std::mem::discriminant(&who.kind);
        let namesakes = self.alive.iter();
        let namesakes = namesakes
            .filter(|(_, present)| present.who.name == who.name && same(&present.who.kind));
        let (later, former): (Vec<_>, Vec<_>) = namesakes
            .map(|(incarnation, present)| (*incarnation, present.joined))
            .partition(|(_, theirs)| *theirs > joined);
        for (former, _) in former {
            self.remove(former);
        }
        let present = Present {
            who: who.clone(),
            joined,
        };
        self.alive.insert(incarnation, present);
        if !later.is_empty() {
            self.remove(incarnation);
        }
        true
    }

    fn remove(&mut self, incarnation: Incarnation) -> bool {
        let was_alive = self.alive.remove(&incarnation).is_some();
        if was_alive {
            if self.former.len() == FORMER_MAX {
                self.former.remove(0);
            }
            self.former.push(incarnation);
        }
        was_alive
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use xp_protocol::{PartitionId, TimeMs};

    use super::*;

    fn edge(name: &str) -> Who {
        Who {
            name: name.into(),
            kind: Kind::Edge {
                outbound: PartitionId(0),
            },
        }
    }

    fn id(n: u128) -> Incarnation {
        Incarnation(Uuid::from_u128(n))
    }

    fn join(n: u128, name: &str) -> Member {
        Member::Join {
            incarnation: id(n),
            who: edge(name),
        }
    }

    #[test]
    fn a_new_incarnation_of_a_name_replaces_the_old_one() {
        let mut members = Members::default();
        members.apply(Offset(0), &join(1, "a"));
        members.apply(Offset(1), &join(2, "b"));
        members.apply(Offset(2), &join(3, "a"));
        assert!(members.is_former(id(1)) && members.is_alive(id(2)) && members.is_alive(id(3)));
    }

    #[test]
    fn a_join_that_comes_again_changes_nothing() {
        let mut members = Members::default();
        members.apply(Offset(0), &join(1, "a"));
        members.apply(Offset(1), &join(1, "a"));
        assert!(members.is_alive(id(1)) && !members.is_former(id(1)));
        members.apply(Offset(2), &join(2, "a"));
        members.apply(Offset(3), &join(1, "a"));
        assert!(members.is_former(id(1)) && members.is_alive(id(2)));
    }

    #[test]
    fn an_edge_is_lost_only_once_its_join_has_been_folded() {
        let mut members = Members::default();
        assert!(!members.has_lost(id(1), Offset(0)));
        members.apply(Offset(4), &join(2, "b"));
        assert!(!members.has_lost(id(1), Offset(5)));
        members.apply(Offset(5), &join(1, "a"));
        assert!(!members.has_lost(id(1), Offset(5)));
        members.apply(Offset(6), &Member::Leave { incarnation: id(1) });
        assert!(members.has_lost(id(1), Offset(5)));
    }

    fn alive(n: u128, name: &str, joined: u64) -> Member {
        Member::Alive {
            incarnation: id(n),
            who: edge(name),
            joined: Offset(joined),
            sent: TimeMs(0),
        }
    }

    #[test]
    fn who_joined_before_the_log_begins_is_met_by_its_heartbeat() {
        let mut members = Members::default();
        members.apply(Offset(90), &alive(1, "a", 7));
        assert!(members.is_alive(id(1)) && !members.has_lost(id(1), Offset(7)));
    }

    #[test]
    fn the_heartbeat_of_a_replaced_process_brings_it_back_to_nobody() {
        let mut members = Members::default();
        members.apply(Offset(90), &alive(2, "a", 8));
        members.apply(Offset(91), &alive(1, "a", 7));
        members.apply(Offset(92), &alive(1, "a", 7));
        assert!(members.is_alive(id(2)) && members.is_former(id(1)));
        let mut other = Members::default();
        other.apply(Offset(91), &alive(1, "a", 7));
        other.apply(Offset(92), &alive(2, "a", 8));
        assert!(other.is_alive(id(2)) && other.is_former(id(1)));
    }

    #[test]
    fn the_same_offset_twice_changes_nothing() {
        let mut members = Members::default();
        members.apply(Offset(0), &join(1, "a"));
        let before = members.clone();
        members.apply(Offset(0), &Member::Leave { incarnation: id(1) });
        assert_eq!(members, before);
    }
}
