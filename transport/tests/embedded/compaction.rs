//! The newest record of each key stays, the topic stays small, and no crash between two steps loses or repeats any.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use xp_protocol::Offset;
use xp_transport::embedded::{Compaction, Embedded, Retention, TopicConfig};
use xp_transport::{Log, Record, Stored};

use crate::rig::{
    Rigged, at, copy, events, flip, index, length, one_topic, open, segment, segments,
    small_segments, soon, topic_dir,
};

const SEGMENT_BYTES: u64 = 2000;
const KEYS: u64 = 10;

fn plain() -> TopicConfig {
    TopicConfig {
        read_bytes: 300,
        ..small_segments(SEGMENT_BYTES)
    }
}

fn compacted() -> TopicConfig {
    plain().compacted(Compaction {
        tombstones_ms: 60_000,
    })
}

/// Record number `n` of a partition replaces number `n - KEYS`.
fn replacing(number: u64) -> Record {
    Record {
        key: Bytes::from(format!("key {}", number % KEYS)),
        header: Bytes::from_static(b"header"),
        value: Bytes::from(format!("{number} {}", "x".repeat((number % 40) as usize))),
        ..Record::default()
    }
}

fn tombstone(key: u64) -> Record {
    Record {
        value: Bytes::new(),
        ..replacing(key)
    }
}

async fn put(log: &Embedded, partition: u32, record: Record) -> Offset {
    let appended = soon(log.append(&at(partition), vec![record])).await;
    appended[0].clone().unwrap()
}

async fn fill(log: &Embedded, numbers: Range<u64>) {
    for number in numbers {
        for partition in 0..2 {
            let offset = put(log, partition, replacing(number)).await;
            assert_eq!(offset, Offset(number));
        }
    }
}

async fn read(log: &Embedded, partition: u32) -> Vec<Stored> {
    let next = soon(log.bounds(&at(partition))).await.unwrap().next;
    let mut reader = log.read(&at(partition), Offset(0));
    let mut found: Vec<Stored> = Vec::new();
    while found.last().is_none_or(|last| last.offset.next() < next) {
        found.extend(soon(reader.next()).await.unwrap());
    }
    found
}

/// Every record is where and what it was, and the newest of each key is there.
async fn check(log: &Embedded, written: u64) {
    for partition in 0..2 {
        let found = read(log, partition).await;
        let mut newest = BTreeMap::new();
        let mut last = None;
        for stored in &found {
            assert!(last < Some(stored.offset), "offsets rise");
            last = Some(stored.offset);
            assert_eq!(stored.record, replacing(stored.offset.0));
            newest.insert(stored.record.key.clone(), stored.offset.0);
        }
        let newest: Vec<_> = newest.into_values().collect();
        let mut wanted: Vec<_> = (written - KEYS..written).collect();
        wanted.sort_by_key(|number| number % KEYS);
        assert_eq!(newest, wanted);
    }
}

fn bytes(dir: &Path) -> u64 {
    let files = fs::read_dir(topic_dir(dir)).unwrap();
    files
        .map(|file| file.unwrap().metadata().map_or(0, |data| data.len()))
        .sum()
}

async fn until(mut is_so: impl FnMut() -> bool) {
    soon(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_compacted_topic_stays_small_and_keeps_the_newest_of_each_key() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), compacted()).unwrap();
    fill(&log, 0..1500).await;
    // One compacted segment, two that may wait, the active one and their indexes; 3000 records are 300 KB.
    until(|| bytes(dir.path()) < 8 * SEGMENT_BYTES).await;
    check(&log, 1500).await;
    drop(log);
    for again in 1..4 {
        let log = open(dir.path(), compacted()).unwrap();
        check(&log, 1500 + 100 * (again - 1)).await;
        fill(&log, 1500 + 100 * (again - 1)..1500 + 100 * again).await;
        check(&log, 1500 + 100 * again).await;
    }
}

/// A topic of plain segments, and the same after one compaction of all that are sealed.
struct Around {
    before: TempDir,
    after: TempDir,
    /// The last sealed segment.
    last: u64,
}

const WRITTEN: u64 = 300;

async fn around() -> Around {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), plain()).unwrap();
    fill(&log, 0..WRITTEN).await;
    drop(log);
    let last = segments(dir.path()) as u64 - 2;
    let after = copy(dir.path());
    let log = open(after.path(), compacted()).unwrap();
    until(|| segments(after.path()) == 2).await;
    drop(log);
    assert!(last > 10 && length(&segment(after.path(), last)) < 2 * SEGMENT_BYTES);
    Around {
        before: dir,
        after,
        last,
    }
}

#[tokio::test]
async fn a_crash_between_any_two_steps_of_a_compaction_loses_nothing() {
    let Around {
        before,
        after,
        last,
    } = around().await;
    let check_left = async |dir: TempDir, what: &str| {
        eprintln!("{what}");
        let log = open(dir.path(), compacted()).unwrap();
        check(&log, WRITTEN).await;
        fill(&log, WRITTEN..WRITTEN + 50).await;
        check(&log, WRITTEN + 50).await;
        drop(log);
        check(&open(dir.path(), compacted()).unwrap(), WRITTEN + 50).await;
        until(|| segments(dir.path()) < 8).await;
    };
    let begun = copy(before.path());
    let unfinished = segment(begun.path(), last).with_extension("log.unfinished");
    fs::write(unfinished, b"half").unwrap();
    check_left(begun, "the new segment is half written").await;

    let without = copy(before.path());
    fs::remove_file(index(without.path(), last)).unwrap();
    check_left(without, "the old index is gone").await;

    for left in [0, 1, last / 2, last - 1, last] {
        for has_index in [false, true] {
            let renamed = copy(before.path());
            for number in 0..left {
                fs::remove_file(segment(renamed.path(), number)).unwrap();
                fs::remove_file(index(renamed.path(), number)).unwrap();
            }
            let (from, to) = (after.path(), renamed.path());
            fs::copy(segment(from, last), segment(to, last)).unwrap();
            match has_index {
                true => drop(fs::copy(index(from, last), index(to, last)).unwrap()),
                false => fs::remove_file(index(to, last)).unwrap(),
            }
            let what = format!("{left} of {last} old segments are removed, index: {has_index}");
            check_left(renamed, &what).await;
        }
    }
}

/// The index of the segment whose place it takes would lead into the middle of other records.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_go_on_while_segments_are_replaced() {
    let seed: u64 = std::env::var("XP_SEED").map_or(11, |seed| seed.parse().unwrap());
    eprintln!("XP_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), compacted()).unwrap();
    fill(&log, 0..KEYS).await;
    let writer = log.clone();
    let writing = tokio::spawn(async move { fill(&writer, KEYS..WRITTEN_BESIDE).await });
    let readers = (0..8).map(|reader| tokio::spawn(read_on(log.clone(), seed + reader)));
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
    writing.await.unwrap();
    check(&log, WRITTEN_BESIDE).await;
}

const WRITTEN_BESIDE: u64 = 2500;

/// Reads from anywhere to the end, again and again.
async fn read_on(log: Embedded, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut next = Offset(KEYS);
    while next < Offset(WRITTEN_BESIDE) {
        next = soon(log.bounds(&at(0))).await.unwrap().next;
        let from = Offset(random.random_range(0..next.0));
        let mut reader = log.read(&at(0), from);
        let mut last = None;
        while last < Some(Offset(next.0 - 1)) {
            for stored in soon(reader.next()).await.unwrap() {
                assert!(stored.offset >= from && Some(stored.offset) > last);
                assert_eq!(stored.record, replacing(stored.offset.0));
                last = Some(stored.offset);
            }
        }
    }
}

#[tokio::test]
async fn tombstones_go_after_their_time_and_readers_wait_behind_the_hole() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Rigged::new();
    let open = || Embedded::open_on(dir.path(), one_topic(compacted()), machine.clone()).unwrap();
    let log = open();
    fill(&log, 0..KEYS).await;
    for key in 0..KEYS {
        put(&log, 0, tombstone(key)).await;
    }
    // The other partition fills segments, one record for each key.
    let mut number = KEYS;
    let mut go_on = async |log: &Embedded| {
        for _ in 0..200 {
            put(log, 1, replacing(number)).await;
            number += 1;
        }
        until(|| bytes(dir.path()) < 8 * SEGMENT_BYTES).await;
    };
    go_on(&log).await;
    let values = |found: &[Stored]| found.iter().filter(|s| !s.record.value.is_empty()).count();
    let found = read(&log, 0).await;
    assert_eq!((found.len() as u64, values(&found)), (KEYS, 0));
    machine.clock.advance(61_000);
    go_on(&log).await;
    drop(log);
    let log = open();
    let mut reader = log.read(&at(0), Offset(0));
    let mut waiting = std::pin::pin!(reader.next());
    let early = tokio::time::timeout(std::time::Duration::from_millis(50), waiting.as_mut()).await;
    assert!(early.is_err(), "{early:?}");
    let offset = put(&log, 0, replacing(0)).await;
    assert_eq!(offset, Offset(2 * KEYS));
    assert_eq!(soon(waiting).await.unwrap()[0].offset, offset);
}

#[tokio::test]
async fn damage_in_what_would_be_compacted_is_told_and_nothing_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), plain()).unwrap();
    fill(&log, 0..WRITTEN).await;
    drop(log);
    let before = segments(dir.path());
    flip(&segment(dir.path(), 3), SEGMENT_BYTES / 2);
    let lines = crate::lines::lines();
    let log = open(dir.path(), compacted()).unwrap();
    let name = segment(dir.path(), 3).display().to_string();
    until(|| {
        let told = lines.saying("is not compacted");
        told.iter().any(|line| line.contains(&name))
    })
    .await;
    drop(log);
    assert_eq!(segments(dir.path()), before);
}

#[test]
fn a_topic_that_cannot_be_compacted_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let compaction = Compaction { tombstones_ms: 1 };
    let error = |config: TopicConfig| open(dir.path(), config).err().unwrap().to_string();
    let memory = || TopicConfig::memory(crate::rig::EVENTS, 1, 1000);
    for config in [memory().compacted(compaction), memory().once_released()] {
        let said = error(config);
        assert!(
            said.contains("in memory") && said.contains("make it durable"),
            "{said}"
        );
    }
    let kept = Retention {
        bytes: Some(1),
        age_ms: None,
    };
    let said = error(events().compacted(compaction).keeping(kept));
    assert!(said.contains("choose one"), "{said}");
}
