//! The owner and the mirrors of each partition, placed anew after every change of members or lanes.

use std::collections::BTreeMap;

use xp_protocol::cluster::{Definition, Kind, Placement, Who};
use xp_protocol::{Incarnation, LanePartition};

use super::list::Present;
use super::{Assignment, Members};
use crate::placement::{self, Candidate, Hold};
use crate::timing::COLD_MS;

impl Members {
    /// Places every partition anew: equal folds place alike, and a living owner moves only to who is warm.
    pub(super) fn assign(&mut self) {
        let former = std::mem::take(&mut self.assignments);
        let partitions = self.lanes.partitions();
        let placed = partitions.map(|(at, definition)| {
            let owner = former.get(&at).and_then(|assignment| assignment.owner);
            let assignment = self.assign_one(&at, definition, owner);
            (at, assignment)
        });
        self.assignments = placed.collect();
        self.note_cold(&former);
    }

    /// R46: since when the owner of a partition says that it could not own it at once. Who has just become the owner
    /// begins anew.
    fn note_cold(&mut self, former: &BTreeMap<LanePartition, Assignment>) {
        let since = std::mem::take(&mut self.cold);
        let now_ms = self.pulse.now_ms();
        let cold = self.assignments.iter().filter_map(|(at, assignment)| {
            let owner = assignment.owner.filter(|owner| !self.is_warm(at, *owner))?;
            let same = former.get(at).is_some_and(|was| was.owner == Some(owner));
            let known = since.get(at).filter(|_| same).copied();
            Some((at.clone(), known.unwrap_or(now_ms)))
        });
        self.cold = cold.collect();
    }

    /// R46: whether an owner has been cold for long enough, and somebody is warm who may own.
    pub(super) fn must_yield(&self) -> bool {
        let mut overdue = self.cold.keys().filter(|at| self.is_overdue(at));
        overdue.any(|at| {
            let owner = self.owner(at);
            let definition = self.lanes.definition(at);
            definition
                .is_some_and(|definition| self.assign_one(at, definition, owner).owner != owner)
        })
    }

    pub(super) fn is_overdue(&self, at: &LanePartition) -> bool {
        let since = self.cold.get(at);
        let is_late = |since: &u64| self.pulse.now_ms() - since >= COLD_MS;
        since.is_some_and(is_late)
    }

    fn assign_one(
        &self,
        at: &LanePartition,
        definition: &Definition,
        owner: Option<Incarnation>,
    ) -> Assignment {
        let candidates = self.candidates(at, &definition.placement);
        let moved = self.overrides.moves().get(at);
        let moved = moved.or(definition.placement.pin.as_ref());
        let ranked = placement::rank(at, candidates, moved.map(AsRef::as_ref));
        let owner = owner.filter(|owner| self.is_alive(*owner));
        let owner = owner.map(|owner| (owner, self.hold(at, owner, &ranked)));
        let owner = placement::owner(&ranked, owner);
        let following = usize::from(definition.placement.standbys) + 1;
        let following = ranked.iter().take(following).map(|one| one.incarnation);
        let mirrors = following.filter(|one| Some(*one) != owner).collect();
        Assignment { owner, mirrors }
    }

    fn hold(&self, at: &LanePartition, owner: Incarnation, ranked: &[Candidate<'_>]) -> Hold {
        let is_candidate = ranked.iter().any(|one| one.incarnation == owner);
        match is_candidate {
            false => Hold::Leaving,
            true if self.is_overdue(at) && !self.is_warm(at, owner) => Hold::Cold,
            true => Hold::Firm,
        }
    }

    /// A drained node is a candidate only where nobody else is.
    fn candidates<'a>(&'a self, at: &LanePartition, rule: &Placement) -> Vec<Candidate<'a>> {
        let since = self.lanes.since(&at.lane);
        let alive = self.list.iter().filter(|(_, present)| {
            present.who.kind == Kind::StateNode
                && !present.leaving
                && present.who.lanes >= since
                && satisfies(&present.who, rule)
        });
        let (drained, others): (Vec<_>, Vec<_>) =
            alive.partition(|(_, present)| self.overrides.drained().contains(&present.who.name));
        let chosen = if others.is_empty() { drained } else { others };
        let candidate = |(incarnation, present): (Incarnation, &'a Present)| Candidate {
            incarnation,
            name: &present.who.name,
            weight: present.who.weight,
            warm: present.warm.contains(at),
        };
        chosen.into_iter().map(candidate).collect()
    }
}

fn satisfies(who: &Who, rule: &Placement) -> bool {
    rule.labels.iter().all(|(label, wanted)| match &**label {
        "name" => who.name == *wanted,
        _ => who.labels.get(label) == Some(wanted),
    })
}
