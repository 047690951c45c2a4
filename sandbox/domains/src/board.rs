//! A board on which many people draw together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xp_domain_sdk::prelude::*;

/// Strokes on one board; the next is refused until somebody undoes or clears.
pub const STROKES_MAX: usize = 10_000;
/// Points of one stroke; a longer one is refused, and the client sends it in pieces.
pub const STROKE_POINTS_MAX: usize = 1_000;

/// What is drawn so far, by number. Who is here stands in `cx.sessions()`.
#[derive(Default, Serialize, Deserialize)]
pub struct Board {
    strokes: BTreeMap<u64, Stroke>,
    /// Strokes ever drawn: the number of the last one.
    drawn: u64,
}

/// A line through some points, in whole pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stroke {
    pub by: String,
    pub colour: String,
    pub points: Vec<(i32, i32)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Command {
    Draw {
        colour: String,
        points: Vec<(i32, i32)>,
    },
    /// Takes back the sender's last stroke.
    Undo,
    Clear,
    /// The end of the board, for everybody; whoever comes afterwards finds an empty one.
    Delete,
    /// Sent as `ephemeral`: it is worth nothing a moment later.
    Cursor {
        x: i32,
        y: i32,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Query {
    Count,
    /// All strokes, as large as they may be together.
    All,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    StrokeDrawn { number: u64, stroke: Stroke },
    StrokeRemoved { number: u64 },
    Cleared { by: String },
    Deleted { by: String },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Output {
    /// All there is, for whoever comes in.
    Board {
        strokes: BTreeMap<u64, Stroke>,
        present: Vec<String>,
    },
    StrokeDrawn {
        number: u64,
        stroke: Stroke,
    },
    StrokeRemoved {
        number: u64,
    },
    Cleared {
        by: String,
    },
    Deleted {
        by: String,
    },
    Joined {
        user: String,
    },
    Away {
        user: String,
    },
    Back {
        user: String,
    },
    Left {
        user: String,
    },
    Cursor {
        user: String,
        x: i32,
        y: i32,
    },
}

impl From<Event> for Output {
    fn from(event: Event) -> Self {
        match event {
            Event::StrokeDrawn { number, stroke } => Self::StrokeDrawn { number, stroke },
            Event::StrokeRemoved { number } => Self::StrokeRemoved { number },
            Event::Cleared { by } => Self::Cleared { by },
            Event::Deleted { by } => Self::Deleted { by },
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Reply {
    #[default]
    Done,
    Drawn {
        number: u64,
    },
    Count {
        strokes: usize,
    },
    All {
        strokes: BTreeMap<u64, Stroke>,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Rejection {
    BoardFull { strokes_max: usize },
    StrokeEmpty,
    StrokeTooLong { points_max: usize },
    NothingToUndo,
}

impl Entity for Board {
    const CATEGORY: Category = Category::new("board");
    type Claims = ();
    type Command = Command;
    type Query = Query;
    type Signal = Never;
    type Event = Event;
    type Output = Output;
    type Reply = Reply;
    type Rejection = Rejection;

    fn decide(&self, command: Command, cx: &Cx<Self>) -> Outcome<Self> {
        match command {
            Command::Draw { colour, points } => self.draw(colour, points, cx),
            Command::Undo => self.undo(cx),
            Command::Clear => Ok(cx.decision().publish(Event::Cleared {
                by: cx.subject().into(),
            })),
            Command::Delete => {
                let by = cx.subject().into();
                Ok(cx.decision().publish(Event::Deleted { by }).end())
            }
            Command::Cursor { x, y } => {
                let user = cx.subject().into();
                Ok(cx.decision().glimpse_others(Output::Cursor { user, x, y }))
            }
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::StrokeDrawn { number, stroke } => {
                self.strokes.insert(number, stroke);
                self.drawn = number;
            }
            Event::StrokeRemoved { number } => {
                self.strokes.remove(&number);
            }
            Event::Cleared { .. } | Event::Deleted { .. } => self.strokes.clear(),
        }
    }

    fn answer(&self, query: Query, _: &Cx<Self>) -> Result<Reply, Rejection> {
        match query {
            Query::Count => Ok(Reply::Count {
                strokes: self.strokes.len(),
            }),
            Query::All => Ok(Reply::All {
                strokes: self.strokes.clone(),
            }),
        }
    }

    fn welcome(&self, cx: &Cx<Self>) -> Shown<Self> {
        let mut present: Vec<String> = cx
            .sessions()
            .map(|session| session.subject().into())
            .collect();
        present.sort();
        present.dedup();
        vec![Output::Board {
            strokes: self.strokes.clone(),
            present,
        }]
    }

    fn connected(&self, cx: &Cx<Self>) -> Outcome<Self> {
        Ok(presence(cx, |user| Output::Joined { user }))
    }

    fn disconnected(&self, cx: &Cx<Self>) -> Decision<Self> {
        presence(cx, |user| Output::Away { user })
    }

    fn reconnected(&self, cx: &Cx<Self>) -> Decision<Self> {
        presence(cx, |user| Output::Back { user })
    }

    fn terminated(&self, _: Termination, cx: &Cx<Self>) -> Decision<Self> {
        presence(cx, |user| Output::Left { user })
    }
}

impl Board {
    fn draw(&self, colour: String, points: Vec<(i32, i32)>, cx: &Cx<Self>) -> Outcome<Self> {
        if points.is_empty() {
            return Err(Rejection::StrokeEmpty);
        }
        if points.len() > STROKE_POINTS_MAX {
            return Err(Rejection::StrokeTooLong {
                points_max: STROKE_POINTS_MAX,
            });
        }
        if self.strokes.len() >= STROKES_MAX {
            return Err(Rejection::BoardFull {
                strokes_max: STROKES_MAX,
            });
        }
        let number = self.drawn + 1;
        let stroke = Stroke {
            by: cx.subject().into(),
            colour,
            points,
        };
        Ok(cx
            .decision()
            .publish(Event::StrokeDrawn { number, stroke })
            .reply(Reply::Drawn { number }))
    }

    fn undo(&self, cx: &Cx<Self>) -> Outcome<Self> {
        let mine = self
            .strokes
            .iter()
            .rev()
            .find(|(_, stroke)| stroke.by == cx.subject());
        let (&number, _) = mine.ok_or(Rejection::NothingToUndo)?;
        Ok(cx.decision().publish(Event::StrokeRemoved { number }))
    }
}

/// Tells the others how somebody comes and goes, unless the same person is here in another window too.
fn presence(cx: &Cx<Board>, show: fn(String) -> Output) -> Decision<Board> {
    let is_elsewhere = cx.sessions().any(|other| {
        other.subject() == cx.subject()
            && other.connection() != cx.connection()
            && other.is_attached()
    });
    if is_elsewhere {
        return cx.decision();
    }
    cx.decision().broadcast_others(show(cx.subject().into()))
}

#[cfg(test)]
mod tests;
