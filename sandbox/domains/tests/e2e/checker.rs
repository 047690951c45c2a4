//! Judges what clients wrote down against what the board and the log hold. Knows the board's outputs and nothing of
//! the platform.

use std::collections::BTreeMap;

use serde_json::Value;
use xp_client::{Client, Item, Lost, Options, Tokens};

use crate::installation::Installation;
use crate::process::{PATIENCE, end_of};

/// Which stroke, identified by its colour, has which number.
pub(crate) type Strokes = BTreeMap<u64, String>;

/// What one client was shown, as a board.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) revision: u64,
    pub(crate) strokes: Strokes,
    pub(crate) is_live: bool,
    pub(crate) resumed: usize,
    pub(crate) started_over: usize,
    /// How sockets were lost.
    pub(crate) losses: Vec<Lost>,
    /// What must never be seen; kept here because a panic in a task is easily missed.
    pub(crate) wrong: Vec<String>,
}

/// What one client did and saw.
pub(crate) struct History {
    pub(crate) name: String,
    pub(crate) board: String,
    /// The numbers of its strokes, in the order it sent them.
    pub(crate) numbers: Vec<u64>,
    pub(crate) view: View,
}

impl View {
    pub(crate) fn see(&mut self, item: &Item) {
        self.is_live = !matches!(item, Item::Lost { .. } | Item::Closed(_));
        match item {
            Item::Welcome { revision, shown } => self.start(revision.0, &shown.read().unwrap()),
            Item::StartedOver { revision, shown } => {
                self.started_over += 1;
                self.start(revision.0, &shown.read().unwrap());
            }
            Item::Resumed { since } => {
                self.resumed += 1;
                if since.0 != self.revision {
                    self.wrong.push(format!(
                        "resumed from {since} after revision {}",
                        self.revision
                    ));
                }
            }
            Item::Event { revision, payload } => self.event(revision.0, &payload.read().unwrap()),
            Item::Closed(end) if *end != xp_client::End::Left => {
                self.wrong.push(format!("closed: {end}"))
            }
            Item::Lost { why, .. } => self.losses.push(why.clone()),
            Item::Closed(_) | Item::Ephemeral { .. } => {}
        }
    }

    fn start(&mut self, revision: u64, outputs: &Value) {
        self.revision = revision;
        let strokes = outputs[0]["data"]["strokes"]
            .as_object()
            .expect("a board shows its strokes");
        let stroke =
            |(number, stroke): (&String, &Value)| (number.parse().unwrap(), colour(stroke));
        let strokes: Strokes = strokes.iter().map(stroke).collect();
        // Strokes are only ever added here, so a new start may not take any away.
        if self
            .strokes
            .iter()
            .any(|(number, colour)| strokes.get(number) != Some(colour))
        {
            self.wrong.push(format!(
                "starting over at {revision} lost strokes that were shown before"
            ));
        }
        self.strokes = strokes;
    }

    fn event(&mut self, revision: u64, outputs: &Value) {
        if revision <= self.revision {
            self.wrong
                .push(format!("revision {revision} after {}", self.revision));
        }
        self.revision = revision;
        for output in outputs
            .as_array()
            .expect("an event is a sequence")
            .iter()
            .filter(|o| o["type"] == "StrokeDrawn")
        {
            let number = output["data"]["number"].as_u64().unwrap();
            let expected = self.strokes.len() as u64 + 1;
            if number != expected {
                self.wrong
                    .push(format!("stroke {number} where {expected} was next"));
            }
            self.strokes
                .insert(number, colour(&output["data"]["stroke"]));
        }
    }
}

fn colour(stroke: &Value) -> String {
    stroke["colour"]
        .as_str()
        .expect("a stroke has a colour")
        .to_owned()
}

/// Every answered command is on the board exactly once, in the order it was sent; nothing else is; and everybody was
/// shown just that.
pub(crate) fn judge(histories: &[History], boards: &BTreeMap<String, Strokes>) {
    for history in histories {
        let board = &boards[&history.board];
        let name = &history.name;
        assert_eq!(
            history.view.wrong,
            Vec::<String>::new(),
            "{name} saw what must not be"
        );
        assert!(
            history.numbers.is_sorted_by(|a, b| a < b),
            "{name}'s commands took effect out of order"
        );
        for (i, number) in history.numbers.iter().enumerate() {
            let sent = format!("{name}-{}", i + 1);
            assert_eq!(
                board.get(number),
                Some(&sent),
                "{name} was told that {sent} is stroke {number}"
            );
        }
        assert!(
            history.view.strokes == *board,
            "{name} was shown another board"
        );
    }
    for (name, board) in boards {
        let sent: usize = histories
            .iter()
            .filter(|history| history.board == *name)
            .map(|history| history.numbers.len())
            .sum();
        assert_eq!(
            board.len(),
            sent,
            "board {name} has strokes that nobody sent, or some twice"
        );
    }
}

/// What a client that comes now is shown.
pub(crate) async fn board(name: &str, url: &str, tokens: Tokens) -> Strokes {
    let mut client = Client::connect(Options::new(
        url,
        format!("board/{name}").parse().unwrap(),
        tokens,
    ))
    .unwrap();
    let mut view = View::default();
    loop {
        let item = tokio::time::timeout(PATIENCE, client.next())
            .await
            .expect("a board lets us in")
            .unwrap();
        view.see(&item);
        if matches!(item, Item::Welcome { .. }) {
            client.close().await;
            return view.strokes;
        }
    }
}

/// What the valid records of the log say, read by another program.
pub(crate) async fn logged(name: &str, at: &impl Installation) -> Strokes {
    let address = format!("board/{name}");
    let words = ["log", "show", "--json", "--address", &address];
    let shown = end_of(&mut at.xp(&words)).await;
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    let mut strokes = Strokes::new();
    for line in shown.out.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let events = record["value"]
            .as_array()
            .filter(|_| record["valid"] == true);
        for event in events
            .into_iter()
            .flatten()
            .filter(|event| event["type"] == "StrokeDrawn")
        {
            let number = event["data"]["number"].as_u64().unwrap();
            let former = strokes.insert(number, colour(&event["data"]["stroke"]));
            assert_eq!(former, None, "the log draws stroke {number} twice");
        }
    }
    strokes
}

/// A checker that accepts everything would make every test here pass.
mod tests {
    use super::*;

    /// ana's two strokes, as everything should be.
    fn good() -> (Vec<History>, BTreeMap<String, Strokes>) {
        let strokes = Strokes::from([(1, "ana-1".to_owned()), (2, "ana-2".to_owned())]);
        let view = View {
            strokes: strokes.clone(),
            ..View::default()
        };
        let history = History {
            name: "ana".to_owned(),
            board: "b".to_owned(),
            numbers: vec![1, 2],
            view,
        };
        (vec![history], BTreeMap::from([("b".to_owned(), strokes)]))
    }

    #[test]
    fn the_checker_accepts_what_is_right() {
        let (histories, boards) = good();
        judge(&histories, &boards);
    }

    #[test]
    #[should_panic(expected = "ana was told that ana-2 is stroke 2")]
    fn the_checker_notices_a_lost_command() {
        let (histories, mut boards) = good();
        boards.get_mut("b").unwrap().remove(&2);
        judge(&histories, &boards);
    }

    #[test]
    #[should_panic(expected = "or some twice")]
    fn the_checker_notices_a_doubled_command() {
        let (mut histories, mut boards) = good();
        boards.get_mut("b").unwrap().insert(3, "ana-2".to_owned());
        histories[0].view.strokes = boards["b"].clone();
        judge(&histories, &boards);
    }

    #[test]
    #[should_panic(expected = "out of order")]
    fn the_checker_notices_commands_out_of_order() {
        let (mut histories, boards) = good();
        histories[0].numbers = vec![2, 1];
        judge(&histories, &boards);
    }

    #[test]
    #[should_panic(expected = "ana was shown another board")]
    fn the_checker_notices_what_was_not_shown() {
        let (mut histories, boards) = good();
        histories[0].view.strokes.remove(&2);
        judge(&histories, &boards);
    }

    fn shown(revision: u64, number: u64) -> Item {
        let outputs = serde_json::json!([
            {"type": "StrokeDrawn", "data": {"number": number, "stroke": {"colour": "red"}}}
        ]);
        Item::Event {
            revision: xp_protocol::Revision(revision),
            payload: xp_client::Payload::json(&outputs).unwrap(),
        }
    }

    #[test]
    fn a_view_notices_gaps_repeats_and_a_wrong_resume() {
        for (items, wrong) in [
            (vec![shown(1, 1), shown(2, 2)], 0),
            (vec![shown(1, 1), shown(3, 3)], 1),
            (vec![shown(1, 1), shown(1, 1)], 2),
        ] {
            let mut view = View::default();
            items.iter().for_each(|item| view.see(item));
            assert_eq!(view.wrong.len(), wrong, "{:?}", view.wrong);
        }
        let mut view = View::default();
        view.see(&shown(7, 1));
        view.see(&Item::Resumed {
            since: xp_protocol::Revision(6),
        });
        assert_eq!(view.wrong.len(), 1, "{:?}", view.wrong);
    }
}
