use std::sync::{Arc, Mutex};

use bytes::Bytes;
use clap::Parser;
use xp_protocol::events::Event;
use xp_protocol::{Epoch, Seq, codec};
use xp_transport::Record;
use xp_transport::embedded::{self, Embedded, TopicConfig};

use super::*;
use crate::command_line::{CommandLine, Log as LogTask, Task};

const PATIENCE: Duration = Duration::from_secs(10);

fn show_of(words: &[&str]) -> Show {
    let words = ["xp", "log", "show"].iter().chain(words);
    match CommandLine::parse_from(words).task {
        Some(Task::Log(LogTask::Show(show))) => show,
        other => panic!("not a show: {other:?}"),
    }
}

/// A log in memory that keeps the newest `bytes` of each partition.
fn log(dir: &std::path::Path, bytes: u64) -> Embedded {
    let topics = ["cluster", "main.inbound", "main.events", "money.events"];
    let topics = topics.map(|name| TopicConfig::memory(name, 2, bytes));
    let topics = topics.to_vec();
    Embedded::open(dir, embedded::Config { topics }).unwrap()
}

fn topics() -> Vec<String> {
    [
        "cluster",
        "main.inbound",
        "main.events",
        "main.outbound",
        "money.events",
    ]
    .map(str::to_owned)
    .to_vec()
}

async fn append(log: &Embedded, topic: &str, partition: u32, value: &str) {
    let release = Event::Release {
        epoch: Epoch(0),
        seq: Seq(1),
    };
    let record = Record {
        key: Bytes::new(),
        header: codec::encode(&release).into(),
        value: Bytes::copy_from_slice(value.as_bytes()),
        ..Record::default()
    };
    let at = TopicPartition {
        topic: topic.into(),
        partition: PartitionId(partition),
    };
    log.append(&at, vec![record]).await.remove(0).unwrap();
}

async fn shown(log: &Embedded, words: &[&str]) -> Result<Vec<String>> {
    let printed = Arc::new(Mutex::new(String::new()));
    let print = |text: &str| {
        printed.lock().unwrap().push_str(text);
        Ok(())
    };
    let named = &Prefix::default();
    show((log, named), &topics(), &show_of(words), PATIENCE, print).await?;
    let printed = printed.lock().unwrap();
    Ok(printed.lines().map(str::to_owned).collect())
}

fn starts(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect()
}

#[tokio::test]
async fn a_lane_a_partition_and_an_offset_narrow_what_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), 1 << 20);
    for (topic, partition) in [
        ("main.events", 0),
        ("main.events", 1),
        ("main.events", 1),
        ("money.events", 0),
        ("main.inbound", 0),
        ("main.inbound", 0),
    ] {
        append(&log, topic, partition, "").await;
    }
    let all = shown(&log, &[]).await.unwrap();
    assert_eq!(
        starts(&all),
        [
            "main.events/0@0",
            "main.events/1@0",
            "main.events/1@1",
            "money.events/0@0"
        ]
    );
    assert!(
        all[0].contains("VOID (nobody owns the partition here)"),
        "{all:?}"
    );
    let lane = shown(&log, &["--lane", "main", "--partition", "1", "--from", "1"])
        .await
        .unwrap();
    assert_eq!(starts(&lane), ["main.events/1@1"]);
    let inbound = shown(&log, &["--topic", "main.inbound", "--from", "1"])
        .await
        .unwrap();
    assert_eq!(starts(&inbound), ["main.inbound/0@1"]);
}

#[tokio::test]
async fn what_is_not_there_is_answered_with_what_is() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), 1 << 20);
    let error = shown(&log, &["--lane", "mian"])
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("main.events with partitions 0 to 1"),
        "{error}"
    );
    assert!(error.contains("`xp topics check`"), "{error}");
}

#[tokio::test]
async fn with_a_prefix_topics_are_shown_as_kafka_knows_them() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), 1 << 20);
    append(&log, "main.events", 0, "").await;
    let shop = Prefix::parse("shop.").unwrap();
    let mut printed = String::new();
    let print = |text: &str| {
        printed.push_str(text);
        Ok(())
    };
    let asked = show_of(&["--lane", "main", "--partition", "0"]);
    show((&log, &shop), &topics(), &asked, PATIENCE, print)
        .await
        .unwrap();
    assert!(printed.starts_with("shop.main.events/0@0"), "{printed}");
    let asked = show_of(&["--lane", "mian"]);
    let missing = show((&log, &shop), &topics(), &asked, PATIENCE, |_| Ok(())).await;
    let said = missing.unwrap_err().to_string();
    assert!(said.contains("shop.main.events with partitions"), "{said}");
}

#[tokio::test]
async fn where_retention_took_the_beginning_nothing_is_called_void() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), 4 << 10);
    let value = "x".repeat(1 << 10);
    for _ in 0..20 {
        append(&log, "main.events", 0, &value).await;
    }
    let lines = shown(&log, &["--lane", "main", "--partition", "0", "--json"])
        .await
        .unwrap();
    assert!(!lines.is_empty() && lines.len() < 20, "{}", lines.len());
    for line in lines {
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(
            object["valid"].is_null() && object["void"].is_null(),
            "{line}"
        );
    }
}

#[tokio::test]
async fn following_prints_what_comes_after_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), 1 << 20);
    append(&log, "main.events", 0, "").await;
    let (sender, mut printed) = mpsc::unbounded_channel();
    let followed = log.clone();
    let following = tokio::spawn(async move {
        let print = move |text: &str| Ok(sender.send(text.to_owned())?);
        let asked = show_of(&["--lane", "main", "--follow"]);
        let named = &Prefix::default();
        show((&followed, named), &topics(), &asked, PATIENCE, print).await
    });
    let first = printed.recv().await.unwrap();
    assert!(first.starts_with("main.events/0@0"), "{first}");
    append(&log, "main.events", 1, "").await;
    let second = printed.recv().await.unwrap();
    assert!(second.starts_with("main.events/1@0"), "{second}");
    following.abort();
}
