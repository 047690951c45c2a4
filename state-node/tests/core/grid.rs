//! A grid, whose state has no JSON form: the keys of its map are no text, and its level may become no number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xp_domain_sdk::prelude::*;

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Grid {
    cells: BTreeMap<(i32, i32), u32>,
    level: f64,
    marks: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum Word {
    /// Sets a cell, which no snapshot can hold.
    Set {
        x: i32,
        y: i32,
    },
    Mark {
        text: String,
    },
    /// Divides the level: by 0 it becomes no number.
    Divide {
        by: f64,
    },
    Reset,
}

impl Entity for Grid {
    const CATEGORY: Category = Category::new("grid");
    type Claims = ();
    type Command = Word;
    type Query = ();
    type Signal = ();
    type Event = Word;
    type Output = String;
    type Reply = usize;
    type Rejection = Never;

    fn decide(&self, word: Word, cx: &Cx<'_, Self>) -> Outcome<Self> {
        Ok(cx.decision().record(word).reply(self.marks.len()))
    }

    fn apply(&mut self, word: Word) {
        match word {
            Word::Set { x, y } => drop(self.cells.insert((x, y), 1)),
            Word::Mark { text } => self.marks.push(text),
            Word::Divide { by } => self.level /= by,
            Word::Reset => self.level = 1.0,
        }
    }
}
