//! The platform under load: cells that hold a text, and a sower that fills many of them.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use xplatform::prelude::*;

/// Holds the last text that was put.
#[derive(Default, Serialize, Deserialize)]
struct Cell {
    text: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Change {
    /// Everybody who watches sees it.
    Put { text: String },
    /// The cell keeps it and shows it to nobody.
    Keep { text: String },
    /// So many bytes more; nobody sees it.
    Grow { bytes: usize },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Ask {
    Length,
}

impl Entity for Cell {
    const CATEGORY: Category = Category::new("cell");
    type Claims = ();
    type Command = Change;
    type Query = Ask;
    type Signal = Change;
    type Event = Change;
    type Output = Change;
    type Reply = usize;
    type Rejection = Never;

    fn decide(&self, change: Change, cx: &Cx<Self>) -> Outcome<Self> {
        match change {
            Change::Put { .. } => Ok(cx.decision().publish(change)),
            Change::Keep { .. } | Change::Grow { .. } => Ok(cx.decision().record(change)),
        }
    }

    fn answer(&self, Ask::Length: Ask, _: &Cx<Self>) -> Result<usize, Never> {
        Ok(self.text.len())
    }

    fn signal(&self, change: Change, cx: &SignalCx<Self>) -> Outcome<Self> {
        Ok(cx.decision().record(change))
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Put { text } | Change::Keep { text } => self.text = text,
            Change::Grow { bytes } => self.text.extend(std::iter::repeat_n('x', bytes)),
        }
    }
}

/// Puts a text into cells `from..upto`, so that many entities come to be without a socket each.
#[derive(Default, Serialize, Deserialize)]
struct Sower;

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Sow {
    Sow { from: u32, upto: u32, text: String },
}

impl Entity for Sower {
    const CATEGORY: Category = Category::new("sower");
    type Claims = ();
    type Command = Sow;
    type Query = Never;
    type Signal = Never;
    type Event = Never;
    type Output = Never;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, Sow::Sow { from, upto, text }: Sow, cx: &Cx<Self>) -> Outcome<Self> {
        let decision = (from..upto).fold(cx.decision(), |decision, id| {
            decision.tell(Cell::at(id), Change::Keep { text: text.clone() })
        });
        Ok(decision)
    }

    fn apply(&mut self, event: Never) {
        match event {}
    }
}

/// Counts, and notices when a number is missing or comes twice. Rings when it was told to.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Tally {
    counted: u64,
    out_of_order: u64,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Count {
    Count {
        number: u64,
    },
    /// In so many milliseconds everybody who watches is told so.
    Ring {
        number: u64,
        after_ms: u64,
    },
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Happened {
    Count { number: u64 },
    Rang { number: u64 },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Counted {
    Tally,
}

impl Entity for Tally {
    const CATEGORY: Category = Category::new("tally");
    type Claims = ();
    type Command = Count;
    type Query = Counted;
    type Signal = Happened;
    type Event = Happened;
    type Output = Happened;
    type Reply = Tally;
    type Rejection = Never;

    fn decide(&self, count: Count, cx: &Cx<Self>) -> Outcome<Self> {
        let decision = cx.decision();
        Ok(match count {
            Count::Count { number } => decision.publish(Happened::Count { number }),
            Count::Ring { number, after_ms } => {
                let after = std::time::Duration::from_millis(after_ms);
                decision.schedule("ring", after, Happened::Rang { number })
            }
        })
    }

    fn signal(&self, rang: Happened, cx: &SignalCx<Self>) -> Outcome<Self> {
        Ok(cx.decision().publish(rang))
    }

    fn answer(&self, Counted::Tally: Counted, _: &Cx<Self>) -> Result<Tally, Never> {
        Ok(self.clone())
    }

    fn apply(&mut self, happened: Happened) {
        let Happened::Count { number } = happened else {
            return;
        };
        self.counted += 1;
        // Numbers start over with every client.
        self.out_of_order += u64::from(number != self.counted);
    }
}

/// The process is a server of these entities, with the words of `xp`.
pub(crate) fn run() -> ExitCode {
    Domain::new()
        .host::<Cell>()
        .host::<Sower>()
        .host::<Tally>()
        .run()
}
