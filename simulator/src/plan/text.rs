//! A plan as a line of text, which reads back as the same plan.

use std::fmt;
use std::str::FromStr;

use super::{Feature, Plan, Weather};
use crate::switch::Switch;

/// The features that a text names by themselves, in their order there.
const NAMED: [(&str, Feature); 15] = [
    ("asking", Feature::Asking),
    ("builds", Feature::Builds),
    ("rooms", Feature::Rooms),
    ("pieces", Feature::Pieces),
    ("ends", Feature::Ends),
    ("spoils", Feature::Spoils),
    ("telling", Feature::Telling),
    ("dense", Feature::Dense),
    ("moves", Feature::Moves),
    ("takeovers", Feature::Takeovers),
    ("tokens", Feature::Tokens),
    ("slow", Feature::Slow),
    ("outages", Feature::Outages),
    ("published", Feature::Published),
    ("flood", Feature::Flood),
];
/// How many of them stand before what is said of the log.
const BEFORE_THE_LOG: usize = 10;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Self::rough(self.seed);
        write!(f, "seed={}", self.seed)?;
        if self.busy_ms != usual.busy_ms {
            write!(f, " busy={}", self.busy_ms)?;
        }
        if self.calm_ms != usual.calm_ms {
            write!(f, " calm={}", self.calm_ms)?;
        }
        if self.clients != usual.clients {
            write!(f, " clients={}", self.clients)?;
        }
        if self.nodes != usual.nodes {
            write!(f, " nodes={}", self.nodes)?;
        }
        self.write_features(f, &NAMED[..BEFORE_THE_LOG])?;
        if let Some(at) = self.truncated_ms {
            write!(f, " truncated={at}")?;
        }
        if self.kept != usual.kept {
            write!(f, " kept={}", self.kept.unwrap_or(u64::MAX))?;
        }
        self.write_features(f, &NAMED[BEFORE_THE_LOG..])?;
        if self.weather != usual.weather {
            let named = Weather::TOPICS.iter().enumerate();
            let bad: Vec<_> = named.filter(|(at, _)| self.weather.has(*at)).collect();
            let names: Vec<_> = bad.into_iter().map(|(_, name)| *name).collect();
            write!(f, " weather={}", names.join(","))?;
        }
        if !self.has(Feature::Acts) {
            write!(f, " acts=none")?;
        } else if self.spared != usual.spared {
            let spared: Vec<_> = self.spared.iter().map(|at| at.to_string()).collect();
            write!(f, " spared={}", spared.join(","))?;
        }
        if let Some(switch) = self.without {
            write!(f, " without={switch:?}")?;
        }
        Ok(())
    }
}

/// A text that is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no part of a plan; one reads `seed=42 busy=3000 calm=20000 clients=2 nodes=2 weather=events,inbound \
         spared=0,4 asking=true acts=none without=Gate`, and all but the seed may be left out"
)]
pub struct NoPlan(String);

impl FromStr for Plan {
    type Err = NoPlan;

    fn from_str(text: &str) -> Result<Self, NoPlan> {
        let pairs = pairs(text)?;
        let seed = pairs.iter().find(|(key, _)| *key == "seed");
        let number = |seed: &str| seed.parse().map_err(|_| NoPlan(seed.to_owned()));
        let seed = seed.map_or(Ok(0), |(_, seed)| number(seed))?;
        Self::rough(seed).changed(&pairs)
    }
}

fn pairs(text: &str) -> Result<Vec<(&str, &str)>, NoPlan> {
    let pair = |word: &'_ str| NoPlan(word.to_owned());
    let words = text.split_whitespace();
    words
        .map(|word| word.split_once('=').ok_or_else(|| pair(word)))
        .collect()
}

impl Plan {
    /// Those of some features in which it differs from the rough plan of its seed.
    fn write_features(&self, f: &mut fmt::Formatter<'_>, named: &[(&str, Feature)]) -> fmt::Result {
        let usual = Self::rough(self.seed);
        let mut differing = named
            .iter()
            .filter(|(_, feature)| self.has(*feature) != usual.has(*feature));
        differing.try_for_each(|(name, feature)| write!(f, " {name}={}", self.has(*feature)))
    }

    /// The rough plan of a seed with the changes that a plan's text names; the text's own seed does not matter.
    ///
    /// # Errors
    /// [`NoPlan`].
    pub fn like(seed: u64, text: &str) -> Result<Self, NoPlan> {
        Self::rough(seed).changed(&pairs(text)?)
    }

    fn changed(mut self, pairs: &[(&str, &str)]) -> Result<Self, NoPlan> {
        for (key, value) in pairs {
            let set = self.set(key, value);
            set.ok_or_else(|| NoPlan((*value).to_owned()))?;
        }
        Ok(self)
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "seed" => {}
            "busy" => self.busy_ms = value.parse().ok()?,
            "calm" => self.calm_ms = value.parse().ok()?,
            "clients" => self.clients = value.parse().ok()?,
            "nodes" => self.nodes = value.parse().ok()?,
            "truncated" => self.truncated_ms = Some(value.parse().ok()?),
            "kept" => self.kept = Some(value.parse().ok()?),
            "acts" if value == "none" => *self = self.but([Feature::Acts]),
            "weather" => {
                let named = |name: &str| Weather::TOPICS.iter().position(|topic| *topic == name);
                let mut bad = Weather::NONE;
                for name in value.split(',').filter(|name| !name.is_empty()) {
                    bad.0 |= 1 << named(name)?;
                }
                self.weather = bad;
            }
            "spared" => {
                for index in value.split(',') {
                    self.spared = self.spared.with(index.parse().ok()?);
                }
            }
            "without" => {
                let mut all = Switch::ALL.iter();
                self.without = Some(*all.find(|switch| format!("{switch:?}") == value)?);
            }
            _ => {
                let mut named = NAMED.iter();
                let (_, feature) = named.find(|(name, _)| *name == key)?;
                *self = self.having(*feature, value.parse().ok()?);
            }
        }
        Some(())
    }
}
