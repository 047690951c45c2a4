//! Tells that their target has not confirmed, target by target.

use std::collections::{BTreeMap, VecDeque};

use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xp_protocol::LanePartition;
use xp_protocol::events::Tell;

/// All of them, the oldest of each target first; their numbers are dense (R34). Written as one list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outstanding(BTreeMap<LanePartition, VecDeque<Tell>>);

impl Outstanding {
    /// Keeps a tell until its target confirms it.
    pub fn push(&mut self, tell: Tell) {
        match self.0.get_mut(&tell.target) {
            Some(tells) => tells.push_back(tell),
            None => drop(self.0.insert(tell.target.clone(), [tell].into())),
        }
    }

    /// `target` has taken those up to `number`.
    pub fn confirm(&mut self, target: &LanePartition, number: u64) {
        let Some(tells) = self.0.get_mut(target) else {
            return;
        };
        while tells.front().is_some_and(|tell| tell.number <= number) {
            tells.pop_front();
        }
        if tells.is_empty() {
            self.0.remove(target);
        }
    }

    /// The tell for `target` with this number.
    #[must_use]
    pub fn get(&self, target: &LanePartition, number: u64) -> Option<&Tell> {
        let tells = self.0.get(target)?;
        let first = tells.front()?.number;
        let tell = tells.get(usize::try_from(number.checked_sub(first)?).ok()?);
        tell.filter(|tell| tell.number == number)
    }

    /// How many wait for `target`.
    #[must_use]
    pub fn count(&self, target: &LanePartition) -> usize {
        self.0.get(target).map_or(0, VecDeque::len)
    }

    /// Each target, and the first and the last number that it has not confirmed.
    pub fn ends(&self) -> impl Iterator<Item = (&LanePartition, u64, u64)> {
        let ends = |(target, tells): (_, &VecDeque<Tell>)| {
            Some((target, tells.front()?.number, tells.back()?.number))
        };
        self.0.iter().filter_map(ends)
    }
}

impl From<Vec<Tell>> for Outstanding {
    fn from(tells: Vec<Tell>) -> Self {
        let mut outstanding = Self::default();
        tells.into_iter().for_each(|tell| outstanding.push(tell));
        outstanding
    }
}

impl Serialize for Outstanding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let count = self.0.values().map(VecDeque::len).sum();
        let mut list = serializer.serialize_seq(Some(count))?;
        for tell in self.0.values().flatten() {
            list.serialize_element(tell)?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Outstanding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}
