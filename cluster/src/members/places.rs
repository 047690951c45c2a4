//! Who owns and who mirrors, after every change of members or lanes.

use xp_protocol::cluster::{Definition, Kind, Placement, Who};
use xp_protocol::{Incarnation, LanePartition};

use super::{Members, Place, Present};
use crate::placement::{self, Candidate};

impl Members {
    /// Places every partition anew: equal folds place alike, and a living owner moves only to who is warm.
    pub(super) fn place(&mut self) {
        let former = std::mem::take(&mut self.places);
        let places = self.lanes.places();
        let placed = places.map(|(at, definition)| {
            let owner = former.get(&at).and_then(|place| place.owner);
            let place = self.place_one(&at, definition, owner);
            (at, place)
        });
        self.places = placed.collect();
    }

    fn place_one(
        &self,
        at: &LanePartition,
        definition: &Definition,
        owner: Option<Incarnation>,
    ) -> Place {
        let candidates = self.candidates(at, &definition.placement);
        let moved = self.moves.get(at).or(definition.placement.pin.as_ref());
        let ranked = placement::rank(at, candidates, moved.map(AsRef::as_ref));
        let owner = owner.filter(|owner| self.is_alive(*owner));
        let keeps = ranked.iter().any(|one| Some(one.incarnation) == owner);
        let owner = placement::owner(&ranked, owner, keeps);
        let following = usize::from(definition.placement.standbys) + 1;
        let following = ranked.iter().take(following).map(|one| one.incarnation);
        let mirrors = following.filter(|one| Some(*one) != owner).collect();
        Place { owner, mirrors }
    }

    /// A drained node is a candidate only where nobody else is.
    fn candidates<'a>(&'a self, at: &LanePartition, rule: &Placement) -> Vec<Candidate<'a>> {
        let since = self.lanes.since(&at.lane);
        let alive = self.alive.iter().filter(|(_, present)| {
            present.who.kind == Kind::StateNode
                && !present.leaving
                && present.who.lanes >= since
                && satisfies(&present.who, rule)
        });
        let (drained, others): (Vec<_>, Vec<_>) =
            alive.partition(|(_, present)| self.drained.contains(&present.who.name));
        let chosen = if others.is_empty() { drained } else { others };
        let candidate = |(incarnation, present): (&Incarnation, &'a Present)| Candidate {
            incarnation: *incarnation,
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
