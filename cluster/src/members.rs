//! The members that the `cluster` log names, at an offset of it, and what each owns.

mod entering;
mod assignments;
mod verdict;
mod list;
mod overrides;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xp_protocol::cluster::{Definitions, FOLD, Member, Who};
use xp_protocol::codec::{self, Format};
use xp_protocol::{Incarnation, LanePartition, Offset, TimeMs, View};

use crate::lanes::{Lanes, Refusal};
use crate::placement::Duty;
use crate::pulse::Pulse;
use list::MemberList;
use overrides::Overrides;

pub use entering::{enter, read};

/// How many former members are remembered, so that their late messages are told apart from those of
/// members not heard of yet. Beyond it the oldest is forgotten, and only its join offset condemns it.
pub const FORMER_MAX: usize = 1024;

/// A fold of the `cluster` log: equal prefixes give equal members, and equal owners, on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    generation: u64,
    next: Offset,
    pulse: Pulse,
    list: MemberList,
    lanes: Lanes,
    overrides: Overrides,
    assignments: BTreeMap<LanePartition, Assignment>,
    /// Rounds of heartbeats so far: one ends when a member that was heard in it is heard again.
    round: u64,
    /// Records since the last one of the fold itself.
    since_fold: u64,
    /// Since when owners say that they could not own at once, by the virtual time (R46).
    cold: BTreeMap<LanePartition, u64>,
}

/// Version 2 has `cold` at its end, and counts rounds where version 1 counted heartbeats.
impl Format for Members {
    const NAME: &'static str = FOLD.0;
    const VERSION: u8 = FOLD.1;
}

/// Why a process is a member no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It left in order.
    Left,
    /// It was silent for too long (R37): by then its lease has run out.
    Silent,
    /// Another process took its name (R17). It may live still, and not know.
    Replaced,
}

/// Where a partition lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Assignment {
    owner: Option<Incarnation>,
    mirrors: Vec<Incarnation>,
}

impl Default for Members {
    fn default() -> Self {
        Self::new(1)
    }
}

impl Members {
    /// The fold of no record, of the log's first or a later life: `generation` rises when the log is made anew.
    #[must_use]
    pub fn new(generation: u64) -> Self {
        Self {
            generation,
            next: Offset(0),
            pulse: Pulse::default(),
            list: MemberList::default(),
            lanes: Lanes::default(),
            overrides: Overrides::default(),
            assignments: BTreeMap::new(),
            round: 0,
            since_fold: 0,
            cold: BTreeMap::new(),
        }
    }

    /// Folds one record that the log took at `time`. Says whether anything changed that a node acts on: who is there,
    /// who leaves, who owns or mirrors what, what the lanes are. Offsets that are folded already are ignored.
    pub fn apply(&mut self, offset: Offset, time: TimeMs, record: &Member) -> bool {
        if offset < self.next {
            return false;
        }
        self.next = offset.next();
        self.since_fold += 1;
        self.pulse.record(time);
        let told = self.hear(offset, record);
        let gone = self.condemn();
        let changed = told || gone || self.must_yield();
        if changed {
            self.assign();
        }
        changed
    }

    fn hear(&mut self, offset: Offset, record: &Member) -> bool {
        match record {
            Member::Join { incarnation, who } => self.admit(*incarnation, who, offset),
            Member::Alive {
                incarnation,
                who,
                joined,
                leaving,
                warm,
                ..
            } => {
                // Whoever joined before this fold began is met by its heartbeat.
                let came = self.admit(*incarnation, who, *joined);
                self.heard(*incarnation, *leaving, warm) || came
            }
            Member::Leave { incarnation } => self.list.remove(*incarnation, End::Left),
            Member::Lanes(newer) => self.lanes.take(newer),
            Member::Fold { .. } => {
                self.since_fold = 0;
                false
            }
            Member::Drain { name, drained } => self.overrides.drain(name, *drained),
            Member::Move { partition, to } => self.overrides.move_to(partition, to.as_deref()),
        }
    }

    /// How much of the log is folded; orders claims (R2).
    #[must_use]
    pub fn view(&self) -> View {
        match self.next {
            Offset(0) => View::default(),
            Offset(next) => View {
                generation: self.generation,
                offset: Offset(next - 1),
            },
        }
    }

    /// The first offset that is not folded.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.next
    }

    /// Whether a process is a member.
    #[must_use]
    pub fn is_alive(&self, incarnation: Incarnation) -> bool {
        self.list.is_alive(incarnation)
    }

    /// Whether a process was a member and is none any more: its messages are ignored (R29).
    #[must_use]
    pub fn is_former(&self, incarnation: Incarnation) -> bool {
        self.end(incarnation).is_some()
    }

    /// Why a process is a member no longer.
    #[must_use]
    pub fn end(&self, incarnation: Incarnation) -> Option<End> {
        self.list.end(incarnation)
    }

    /// Whether a process is about to leave in order.
    #[must_use]
    pub fn is_leaving(&self, incarnation: Incarnation) -> bool {
        let present = self.list.get(incarnation);
        present.is_some_and(|present| present.leaving)
    }

    /// Whether an edge that joined at `joined` is lost: this fold has reached its join and does not list it (R29).
    #[must_use]
    pub fn has_lost(&self, incarnation: Incarnation, joined: Offset) -> bool {
        self.next > joined && !self.is_alive(incarnation)
    }

    /// Who a member is, and where it joined.
    #[must_use]
    pub fn get(&self, incarnation: Incarnation) -> Option<(&Who, Offset)> {
        let present = self.list.get(incarnation)?;
        Some((&present.who, present.joined))
    }

    /// All members, in the order of their incarnations.
    pub fn iter(&self) -> impl Iterator<Item = (Incarnation, &Who, Offset)> {
        let alive = self.list.iter();
        alive.map(|(incarnation, present)| (incarnation, &present.who, present.joined))
    }

    /// Who is there by this name, state nodes and edges alike.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Incarnation> {
        let mut named = self.iter().filter(|(_, who, _)| *who.name == *name);
        named.next().map(|(incarnation, ..)| incarnation)
    }

    /// For how much longer nobody is declared gone, because the log's time cannot be trusted (R37), in milliseconds of
    /// that time. Takeovers from who is silent wait for it.
    #[must_use]
    pub fn suspended_ms(&self) -> u64 {
        self.pulse.suspended_ms()
    }

    /// Partitions whose owners have said for longer than a moment that they could not own at once, because they replay,
    /// have stopped or make no progress, and that nobody can take over who is warm (R46).
    pub fn cold(&self) -> impl Iterator<Item = &LanePartition> {
        self.cold.keys().filter(|at| self.is_overdue(at))
    }

    /// Who should own a partition; nobody, when no member may.
    #[must_use]
    pub fn owner(&self, partition: &LanePartition) -> Option<Incarnation> {
        self.assignments.get(partition)?.owner
    }

    /// Who should mirror a partition, the next owner first.
    #[must_use]
    pub fn mirrors(&self, partition: &LanePartition) -> &[Incarnation] {
        let assignment = self.assignments.get(partition);
        assignment.map_or(&[], |assignment| assignment.mirrors.as_slice())
    }

    /// Whether a member says that it has folded the partition up to its end.
    #[must_use]
    pub fn is_warm(&self, partition: &LanePartition, incarnation: Incarnation) -> bool {
        let present = self.list.get(incarnation);
        present.is_some_and(|present| present.warm.contains(partition))
    }

    /// What a member has to do with a partition.
    #[must_use]
    pub fn duty(&self, partition: &LanePartition, member: Incarnation) -> Option<Duty> {
        self.assignments.get(partition)?.duty(member)
    }

    /// All that a member has to do.
    #[must_use]
    pub fn duties(&self, member: Incarnation) -> BTreeMap<LanePartition, Duty> {
        let duty = |(at, assignment): (&LanePartition, &Assignment)| {
            Some((at.clone(), assignment.duty(member)?))
        };
        self.assignments.iter().filter_map(duty).collect()
    }

    /// All partitions of all lanes.
    pub fn partitions(&self) -> impl Iterator<Item = &LanePartition> {
        self.assignments.keys()
    }

    /// Partitions that no member may own: their messages wait.
    pub fn unplaced(&self) -> impl Iterator<Item = &LanePartition> {
        let nobody = self
            .assignments
            .iter()
            .filter(|(_, assignment)| assignment.owner.is_none());
        nobody.map(|(partition, _)| partition)
    }

    /// The lanes that the cluster runs.
    #[must_use]
    pub fn definitions(&self) -> Option<&Definitions> {
        self.lanes.current()
    }

    /// Whether a node with these definitions may join, and then whether it should append them.
    ///
    /// # Errors
    /// [`Refusal`] says what to do.
    pub fn admit_lanes(&self, ours: &Definitions) -> Result<bool, Refusal> {
        self.lanes.admit(ours)
    }

    /// The names of the nodes that a person has drained.
    #[must_use]
    pub fn drained(&self) -> &BTreeSet<Box<str>> {
        self.overrides.drained()
    }

    /// The partitions that a person has moved, and to which name.
    #[must_use]
    pub fn moves(&self) -> &BTreeMap<LanePartition, Box<str>> {
        self.overrides.moves()
    }

    /// R38: the highest version of a format that all members read; `None` without members.
    #[must_use]
    pub fn common_format(&self, name: &str) -> Option<u8> {
        let formats = self.list.iter().map(|(_, present)| &present.who.formats);
        let version = |formats: &BTreeMap<Box<str>, u8>| formats.get(name).copied();
        formats.map(|formats| version(formats).unwrap_or(0)).min()
    }

    /// R38: a member that would not read what is written under these versions, and the format it lacks.
    #[must_use]
    pub fn cannot_read<'a>(
        &'a self,
        written: &'a BTreeMap<Box<str>, u8>,
    ) -> Option<(&'a Who, &'a str, u8)> {
        let mut lacks = self.iter().flat_map(|(_, who, _)| {
            let written = written.iter().map(|(name, version)| (&**name, *version));
            let newer = move |(name, version): &(&str, u8)| {
                who.formats.get(*name).is_none_or(|known| known < version)
            };
            let newer = written.filter(newer);
            newer.map(move |(name, version)| (who, name, version))
        });
        lacks.next()
    }

    /// R37: a record of this fold, when it is time for one. Whoever's heartbeat was folded last appends it.
    #[must_use]
    pub fn fold_due(&self) -> Option<Member> {
        (self.since_fold >= crate::timing::FOLD_EVERY).then(|| Member::Fold {
            upto: Offset(self.next.0.saturating_sub(1)),
            members: codec::encode(self).into(),
        })
    }
}

impl Assignment {
    fn duty(&self, member: Incarnation) -> Option<Duty> {
        if self.owner == Some(member) {
            return Some(Duty::Own);
        }
        self.mirrors.contains(&member).then_some(Duty::Mirror)
    }
}

#[cfg(test)]
mod tests;
