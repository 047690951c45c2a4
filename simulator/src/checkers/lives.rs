//! The history, client by client.

use std::collections::BTreeMap;

use xp_client::Item;
use xp_client::item::Answered;
use xp_protocol::TimeMs;

use crate::history::{History, Life, What};

/// Every client's process, by its number.
pub(super) struct Lives {
    pub(super) all: BTreeMap<u64, Biography>,
    /// Who sent each command, and asked each query.
    pub(super) said: BTreeMap<u64, Life>,
    /// The life that sent each wave.
    pub(super) waved: BTreeMap<u64, Life>,
}

/// What one process saw.
pub(super) struct Biography {
    pub(super) life: Life,
    /// What it was shown, and its answers, in order.
    pub(super) seen: Vec<Seen>,
    /// Commands it sent, in order.
    pub(super) called: Vec<u64>,
    /// Queries it asked, in order, and the position of each in the history.
    pub(super) asked: Vec<(u64, usize)>,
    /// Frames that an exact platform does not send.
    pub(super) unexpected: Vec<String>,
    /// Whether its process ended, or it was closed.
    pub(super) over: bool,
}

/// Something it saw, and when.
pub(super) struct Seen {
    pub(super) at: TimeMs,
    pub(super) what: Sight,
}

pub(super) enum Sight {
    Item(Item),
    Answer(u64, Answered),
}

impl Biography {
    fn begin(life: &Life) -> Self {
        Self {
            life: life.clone(),
            seen: Vec::new(),
            called: Vec::new(),
            asked: Vec::new(),
            unexpected: Vec::new(),
            over: false,
        }
    }

    pub(super) fn location(&self) -> String {
        let Life {
            number,
            connection,
            address,
        } = &self.life;
        format!("client process {number} ({connection} at {address})")
    }

    pub(super) fn answers(&self) -> impl Iterator<Item = (u64, &Answered)> {
        self.seen.iter().filter_map(|seen| match &seen.what {
            Sight::Answer(id, answered) => Some((*id, answered)),
            Sight::Item(_) => None,
        })
    }

    pub(super) fn items(&self) -> impl Iterator<Item = (TimeMs, &Item)> {
        self.seen.iter().filter_map(|seen| match &seen.what {
            Sight::Item(item) => Some((seen.at, item)),
            Sight::Answer(..) => None,
        })
    }
}

impl Lives {
    pub(super) fn read(history: &History) -> Self {
        let mut lives = Self {
            all: BTreeMap::new(),
            said: BTreeMap::new(),
            waved: BTreeMap::new(),
        };
        for (position, entry) in history.entries.iter().enumerate() {
            lives.note(position, entry.at, &entry.what);
        }
        lives
    }

    fn note(&mut self, position: usize, at: TimeMs, what: &What) {
        match what {
            What::Began(life) => {
                self.biography(life);
            }
            What::Called(life, id) => {
                self.said.insert(*id, life.clone());
                self.biography(life).called.push(*id);
            }
            What::Asked(life, id) => {
                self.said.insert(*id, life.clone());
                self.biography(life).asked.push((*id, position));
            }
            What::Waved(life, id) => {
                self.waved.insert(*id, life.clone());
            }
            What::Answered(life, id, answered) => {
                let what = Sight::Answer(*id, answered.clone());
                self.biography(life).seen.push(Seen { at, what });
            }
            What::Shown(life, item) => {
                let biography = self.biography(life);
                biography.over |= matches!(item, Item::Closed(_));
                let what = Sight::Item(item.clone());
                biography.seen.push(Seen { at, what });
            }
            What::Unexpected(life, frame) => {
                self.biography(life).unexpected.push(frame.clone());
            }
            What::Died(life) => self.biography(life).over = true,
            What::Fault(_)
            | What::Missed(_)
            | What::Token(..)
            | What::Kept(_)
            | What::Alarm(_)
            | What::Calm => {}
        }
    }

    fn biography(&mut self, life: &Life) -> &mut Biography {
        let begin = || Biography::begin(life);
        self.all.entry(life.number).or_insert_with(begin)
    }
}
