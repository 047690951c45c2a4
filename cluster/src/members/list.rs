//! The list of members: who is there, and who was.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use xp_protocol::cluster::{Kind, Who};
use xp_protocol::{Incarnation, LanePartition, Offset};

use super::{End, FORMER_MAX};

/// The living members, and the last of those that are members no longer. No process is both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MemberList {
    alive: BTreeMap<Incarnation, Present>,
    former: VecDeque<(Incarnation, End)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Present {
    pub(super) who: Who,
    pub(super) joined: Offset,
    pub(super) leaving: bool,
    pub(super) warm: BTreeSet<LanePartition>,
    /// When it was heard last, by the virtual time.
    pub(super) heard_ms: u64,
    /// The round in which it was heard last.
    pub(super) round: u64,
}

impl MemberList {
    pub(super) fn is_alive(&self, incarnation: Incarnation) -> bool {
        self.alive.contains_key(&incarnation)
    }

    pub(super) fn get(&self, incarnation: Incarnation) -> Option<&Present> {
        self.alive.get(&incarnation)
    }

    pub(super) fn get_mut(&mut self, incarnation: Incarnation) -> Option<&mut Present> {
        self.alive.get_mut(&incarnation)
    }

    /// Who is there, in the order of their incarnations.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Incarnation, &Present)> {
        let alive = self.alive.iter();
        alive.map(|(incarnation, present)| (*incarnation, present))
    }

    /// Why a process is a member no longer.
    pub(super) fn end(&self, incarnation: Incarnation) -> Option<End> {
        let mut former = self.former.iter();
        let former = former.find(|(former, _)| *former == incarnation);
        former.map(|(_, end)| *end)
    }

    /// A new incarnation of a stable name replaces the old one at its Join (R17). A Join that was doubled or comes
    /// late is none: a process neither replaces itself nor returns after it was replaced.
    pub(super) fn admit(&mut self, incarnation: Incarnation, new: Present) -> bool {
        if self.is_alive(incarnation) || self.end(incarnation).is_some() {
            return false;
        }
        let same =
            |kind: &Kind| std::mem::discriminant(kind) == std::mem::discriminant(&new.who.kind);
        let namesakes = self.alive.iter();
        let namesakes = namesakes
            .filter(|(_, present)| present.who.name == new.who.name && same(&present.who.kind));
        let (later, former): (Vec<_>, Vec<_>) = namesakes
            .map(|(incarnation, present)| (*incarnation, present.joined))
            .partition(|(_, theirs)| *theirs > new.joined);
        for (former, _) in former {
            self.remove(former, End::Replaced);
        }
        self.alive.insert(incarnation, new);
        if !later.is_empty() {
            self.remove(incarnation, End::Replaced);
        }
        true
    }

    /// A member is one no longer; says whether it was one.
    pub(super) fn remove(&mut self, incarnation: Incarnation, end: End) -> bool {
        let was_alive = self.alive.remove(&incarnation).is_some();
        if was_alive {
            if self.former.len() == FORMER_MAX {
                self.former.pop_front();
            }
            self.former.push_back((incarnation, end));
        }
        was_alive
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> Incarnation {
        Incarnation(Uuid::from_u128(n))
    }

    fn present(name: &str, joined: u64) -> Present {
        Present {
            who: Who::new(name, Kind::StateNode),
            joined: Offset(joined),
            leaving: false,
            warm: BTreeSet::new(),
            heard_ms: 0,
            round: 0,
        }
    }

    #[test]
    fn of_two_processes_of_one_name_the_later_join_stays() {
        for order in [[1, 2], [2, 1]] {
            let mut list = MemberList::default();
            for n in order {
                let joined = u64::try_from(n).expect("one or two");
                assert!(list.admit(id(n), present("node", joined)));
            }
            assert!(list.is_alive(id(2)) && !list.is_alive(id(1)), "{order:?}");
            assert_eq!(list.end(id(1)), Some(End::Replaced));
            assert!(!list.admit(id(1), present("node", 3)), "it never returns");
        }
    }

    #[test]
    fn the_oldest_of_too_many_former_members_is_forgotten() {
        let mut list = MemberList::default();
        let count = FORMER_MAX as u128 + 1;
        for n in 0..count {
            list.admit(id(n), present(&n.to_string(), 0));
            assert!(list.remove(id(n), End::Left));
            assert!(!list.remove(id(n), End::Left), "it is gone already");
        }
        assert_eq!((list.end(id(0)), list.end(id(1))), (None, Some(End::Left)));
    }
}
