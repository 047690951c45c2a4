//! A plan as a line of text, which reads back as the same plan.

use std::fmt;
use std::str::FromStr;

use super::{Plan, Weather};
use crate::switch::Switch;

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
        if self.asking != usual.asking {
            write!(f, " asking={}", self.asking)?;
        }
        if self.builds != usual.builds {
            write!(f, " builds={}", self.builds)?;
        }
        if self.rooms != usual.rooms {
            write!(f, " rooms={}", self.rooms)?;
        }
        if self.pieces != usual.pieces {
            write!(f, " pieces={}", self.pieces)?;
        }
        if self.ends != usual.ends {
            write!(f, " ends={}", self.ends)?;
        }
        if self.spoils != usual.spoils {
            write!(f, " spoils={}", self.spoils)?;
        }
        if self.telling {
            write!(f, " telling=true")?;
        }
        if self.dense != usual.dense {
            write!(f, " dense={}", self.dense)?;
        }
        if self.moves {
            write!(f, " moves=true")?;
        }
        if self.takeovers {
            write!(f, " takeovers=true")?;
        }
        if let Some(at) = self.truncated_ms {
            write!(f, " truncated={at}")?;
        }
        if self.kept != usual.kept {
            write!(f, " kept={}", self.kept.unwrap_or(u64::MAX))?;
        }
        if self.tokens != usual.tokens {
            write!(f, " tokens={}", self.tokens)?;
        }
        if self.slow {
            write!(f, " slow=true")?;
        }
        if self.outages {
            write!(f, " outages=true")?;
        }
        if self.published != usual.published {
            write!(f, " published={}", self.published)?;
        }
        if self.flood {
            write!(f, " flood=true")?;
        }
        if self.weather != usual.weather {
            let named = Weather::TOPICS.iter().enumerate();
            let bad: Vec<_> = named.filter(|(at, _)| self.weather.has(*at)).collect();
            let names: Vec<_> = bad.into_iter().map(|(_, name)| *name).collect();
            write!(f, " weather={}", names.join(","))?;
        }
        if !self.acts {
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
            "builds" => self.builds = value.parse().ok()?,
            "rooms" => self.rooms = value.parse().ok()?,
            "ends" => self.ends = value.parse().ok()?,
            "spoils" => self.spoils = value.parse().ok()?,
            "pieces" => self.pieces = value.parse().ok()?,
            "dense" => self.dense = value.parse().ok()?,
            "moves" => self.moves = value.parse().ok()?,
            "takeovers" => self.takeovers = value.parse().ok()?,
            "truncated" => self.truncated_ms = Some(value.parse().ok()?),
            "kept" => self.kept = Some(value.parse().ok()?),
            "tokens" => self.tokens = value.parse().ok()?,
            "slow" => self.slow = value.parse().ok()?,
            "outages" => self.outages = value.parse().ok()?,
            "published" => self.published = value.parse().ok()?,
            "flood" => self.flood = value.parse().ok()?,
            "telling" => self.telling = value.parse().ok()?,
            "asking" => self.asking = value.parse().ok()?,
            "acts" if value == "none" => self.acts = false,
            "weather" => {
                let named = |name: &str| Weather::TOPICS.iter().position(|topic| *topic == name);
                let mut bad = Weather::NONE;
                for name in value.split(',').filter(|name| !name.is_empty()) {
                    bad.0 |= 1 << named(name)?;
                }
                self.weather = bad;
            }
            "spared" => {
                for place in value.split(',') {
                    self.spared = self.spared.with(place.parse().ok()?);
                }
            }
            "without" => {
                let mut all = Switch::ALL.iter();
                self.without = Some(*all.find(|switch| format!("{switch:?}") == value)?);
            }
            _ => return None,
        }
        Some(())
    }
}
