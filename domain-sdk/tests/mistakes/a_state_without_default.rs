use serde::{Deserialize, Serialize};
use xp_domain_sdk::prelude::*;

#[derive(Serialize, Deserialize)]
struct Board {
    strokes: u64,
}

#[derive(Clone, Serialize, Deserialize)]
enum Command {
    Draw,
}

#[derive(Clone, Serialize, Deserialize)]
enum Event {
    Drawn,
}

#[derive(Clone, Serialize, Deserialize)]
enum Output {
    Stroke,
}

#[derive(Default, Serialize, Deserialize)]
struct Reply;

impl Entity for Board {
    const CATEGORY: Category = Category::new("board");
    type Claims = ();
    type Command = Command;
    type Query = Never;
    type Signal = Never;
    type Event = Event;
    type Output = Output;
    type Reply = Reply;
    type Rejection = Never;

    fn decide(&self, _: Command, cx: &Cx<Self>) -> Outcome<Self> {
        Ok(cx.decision().record(Event::Drawn).broadcast(Output::Stroke))
    }

    fn apply(&mut self, _: Event) {
        self.strokes += 1;
    }
}

fn main() {
    let _ = Domain::new().host::<Board>();
}
