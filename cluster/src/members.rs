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
    /// Folds one record. Offsets at or below the folded one are ignored.
    pub fn apply(&mut self, offset: Offset, record: &Member) {
        if self.view != View::default() && offset <= self.view.offset {
            return;
        }
        self.view = View {
            generation: 1,
            offset,
        };
        match record {
            Member::Join { incarnation, who } => self.join(*incarnation, who.clone(), offset),
            Member::Leave { incarnation } => self.remove(*incarnation),
            Member::Heartbeat { .. } => {}
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

    /// All members, in the order of their incarnations.
    pub fn iter(&self) -> impl Iterator<Item = (Incarnation, &Who, Offset)> {
        self.alive
            .iter()
            .map(|(incarnation, present)| (*incarnation, &present.who, present.joined))
    }

    /// A new incarnation of a stable name replaces the old one at that offset (R17). A Join that was doubled
    /// or comes late is none: a process neither replaces itself nor returns after it was replaced.
    fn join(&mut self, incarnation: Incarnation, who: Who, joined: Offset) {
        if self.is_alive(incarnation) || self.is_former(incarnation) {
            return;
        }
        let same = |kind: &Kind| std::mem::discriminant(kind) == std::mem::discriminant(&who.kind);
        let replaced: Vec<_> = self
            .alive
            .iter()
            .filter(|(_, present)| present.who.name == who.name && same(&present.who.kind))
            .map(|(former, _)| *former)
            .collect();
        for former in replaced {
            self.remove(former);
        }
        self.alive.insert(incarnation, Present { who, joined });
    }

    fn remove(&mut self, incarnation: Incarnation) {
        if self.alive.remove(&incarnation).is_some() {
            if self.former.len() == FORMER_MAX {
                self.former.remove(0);
            }
            self.former.push(incarnation);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use xp_protocol::PartitionId;

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

    #[test]
    fn the_same_offset_twice_changes_nothing() {
        let mut members = Members::default();
        members.apply(Offset(0), &join(1, "a"));
        let before = members.clone();
        members.apply(Offset(0), &Member::Leave { incarnation: id(1) });
        assert_eq!(members, before);
    }
}
