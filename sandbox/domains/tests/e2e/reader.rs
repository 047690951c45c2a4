//! A stranger who follows `events` with docs/reader.py and a Kafka client, and none of our code.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use crate::crowd::Crowd;
use crate::installation::Installation;
use crate::kafka::{Kafka, LANE, STATE_NODE};
use crate::process::{Talk, end_of};
use crate::python::python;

const BOARDS: [&str; 3] = ["first", "second", "third"];
const DRAWERS_PER_BOARD: usize = 2;
const COMMANDS: u64 = 50;
const TAKEOVERS: usize = 2;

/// Where a commit is, and what it says.
type Commits = BTreeSet<(u64, u64, String, String)>;

fn reads(kafka: &Kafka) -> Talk {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reader.py");
    let mut command = Command::new(python());
    let brokers = kafka.brokers.bootstrap();
    Talk::with(command.arg(reader).args([brokers.as_str(), LANE]))
}

/// The two call some things by other names.
fn commit(record: &Value, address: &str, events: &str) -> (u64, u64, String, String) {
    let number = |key: &str| record[key].as_u64().unwrap();
    let text = |key: &str| record[key].to_string();
    (
        number("partition"),
        number("offset"),
        text(address),
        text(events),
    )
}

/// What `xp log show` says is valid and has events.
async fn valid(kafka: &Kafka) -> Commits {
    let shown = end_of(&mut kafka.xp(&["log", "show", "--json"])).await;
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    let records = shown
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let valid = |record: &Value| record["valid"] == true && record["value"].is_array();
    let valid = records.filter(valid);
    valid
        .map(|record| commit(&record, "key", "value"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_without_our_code_sees_what_is_valid_and_nothing_else_across_takeovers() {
    let mut kafka: Kafka = Kafka::start().await;
    let mut reader = reads(&kafka);
    let crowd = Crowd::start(&BOARDS, DRAWERS_PER_BOARD, &kafka);
    for _ in 0..TAKEOVERS {
        let answered = crowd.load.answered_so_far();
        let granted = crowd.load.grant(COMMANDS);
        crowd.answered(answered + granted / 2).await;
        kafka.kill(STATE_NODE).await;
        kafka.restart(STATE_NODE).await;
        crowd.answered(crowd.load.granted_so_far()).await;
    }
    crowd.finish(&mut kafka).await;
    let valid = valid(&kafka).await;
    while reader.seen.len() < valid.len() {
        reader.sees(&[]).await;
    }
    let read = reader.seen.iter();
    let read: Vec<Value> = read
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for record in &read {
        // Strokes are drawn by whom the board calls so, and nothing else is written here.
        let drawn = &record["events"][0]["data"]["stroke"]["by"];
        assert!(drawn.is_string(), "{record}");
        assert_eq!(&record["subject"], drawn, "{record}");
    }
    let read: Commits = read
        .iter()
        .map(|record| commit(record, "address", "events"))
        .collect();
    assert!(
        read == valid,
        "only one of them has: {:#?}",
        read.symmetric_difference(&valid)
    );
}
