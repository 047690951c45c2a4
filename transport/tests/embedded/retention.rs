//! Retention: old records go, in whole segments from disk and in batches from memory; those that are left are right.

use xp_protocol::Offset;
use xp_transport::embedded::{Embedded, Retention, TopicConfig};
use xp_transport::{Bounds, Log, ReadError};

use crate::lines::lines;
use crate::rig::{
    Rigged, append, at, fill, one_topic, open, read_all, record, segment, segments, small_segments,
    soon,
};

async fn bounds(log: &Embedded, partition: u32) -> Bounds {
    soon(log.bounds(&at(partition))).await.unwrap()
}

async fn check_tail_is_right(log: &Embedded, partition: u32) {
    let (found, error) = read_all(log, partition).await;
    assert!(error.is_none(), "{}", error.unwrap());
    assert!(
        found
            .iter()
            .all(|stored| stored.record == record(stored.offset.0))
    );
}

#[tokio::test]
async fn on_disk_the_oldest_segments_go_when_the_topic_is_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let config = small_segments(2000).keeping(Retention {
        bytes: Some(4000),
        age_ms: None,
    });
    let log = open(dir.path(), config.clone()).unwrap();
    // The quiet partition's only record goes with the others of its time.
    fill(&log, 1, 0..1).await;
    fill(&log, 0, 0..300).await;
    let before = bounds(&log, 0).await;
    assert!(
        before.first > Offset(100) && before.next == Offset(300),
        "{before:?}"
    );
    assert_eq!(
        bounds(&log, 1).await,
        Bounds {
            first: Offset(1),
            next: Offset(1)
        }
    );
    assert!(
        segments(dir.path()) <= 6,
        "2 partitions of 4000 bytes are 4 segments of 2000"
    );
    assert!(!segment(dir.path(), 0).exists());
    check_tail_is_right(&log, 0).await;
    drop(log);
    let log = open(dir.path(), config).unwrap();
    assert_eq!(bounds(&log, 0).await, before);
    fill(&log, 1, 1..2).await;
    check_tail_is_right(&log, 0).await;
}

#[tokio::test]
async fn on_disk_old_records_go_even_when_hardly_anything_is_appended() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Rigged::new();
    let config = small_segments(64 << 20).keeping(Retention {
        bytes: None,
        age_ms: Some(60_000),
    });
    let log = Embedded::open_on(dir.path(), one_topic(config), machine.clone()).unwrap();
    fill(&log, 0, 0..10).await;
    machine.clock.advance(61_000);
    fill(&log, 0, 10..11).await;
    assert_eq!(
        bounds(&log, 0).await.first,
        Offset(0),
        "the segment of old records ended just now"
    );
    machine.clock.advance(61_000);
    fill(&log, 0, 11..12).await;
    assert_eq!(
        bounds(&log, 0).await,
        Bounds {
            first: Offset(10),
            next: Offset(12)
        }
    );
    check_tail_is_right(&log, 0).await;
}

#[tokio::test]
async fn a_reader_on_disk_that_retention_overtakes_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let config = TopicConfig {
        read_bytes: 1,
        ..small_segments(2000)
    };
    let log = open(
        dir.path(),
        config.keeping(Retention {
            bytes: Some(2000),
            age_ms: None,
        }),
    )
    .unwrap();
    fill(&log, 0, 0..10).await;
    let mut reader = log.read(&at(0), Offset(0));
    assert!(!soon(reader.next()).await.unwrap().is_empty());
    fill(&log, 0, 10..300).await;
    let error = soon(reader.next()).await.unwrap_err();
    assert!(matches!(error, ReadError::OutOfRange { .. }), "{error}");
}

#[tokio::test]
async fn in_memory_the_oldest_records_go_by_size_and_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Rigged::new();
    let retention = Retention {
        bytes: Some(10_000),
        age_ms: Some(60_000),
    };
    let config = TopicConfig::memory(crate::rig::EVENTS, 2, 0).keeping(retention);
    let log = Embedded::open_on(dir.path(), one_topic(config), machine.clone()).unwrap();
    fill(&log, 0, 0..500).await;
    let kept = bounds(&log, 0).await;
    assert!(
        kept.first > Offset(400) && kept.next == Offset(500),
        "{kept:?}"
    );
    check_tail_is_right(&log, 0).await;
    machine.clock.advance(61_000);
    append(&log, 0, 500).await.unwrap();
    assert_eq!(
        bounds(&log, 0).await,
        Bounds {
            first: Offset(500),
            next: Offset(501)
        }
    );
}

#[tokio::test]
async fn in_memory_what_is_released_goes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(
        dir.path(),
        TopicConfig::memory(crate::rig::EVENTS, 2, 1 << 20),
    )
    .unwrap();
    fill(&log, 0, 0..10).await;
    fill(&log, 1, 0..10).await;
    let mut reader = log.read(&at(0), Offset(0));
    soon(reader.next()).await.unwrap();
    assert_eq!(
        bounds(&log, 0).await.first,
        Offset(0),
        "reading is no release"
    );
    log.release(&at(0), Offset(7));
    let first = bounds(&log, 0).await.first;
    assert_eq!(first, Offset(7));
    assert_eq!(bounds(&log, 1).await.first, Offset(0));
    log.release(&at(0), Offset(3));
    log.release(&at(0), Offset(10));
    let empty = Bounds {
        first: Offset(10),
        next: Offset(10),
    };
    assert_eq!(bounds(&log, 0).await, empty);
    append(&log, 0, 10).await.unwrap();
    check_tail_is_right(&log, 0).await;
}

#[tokio::test]
async fn in_memory_what_all_readers_have_had_goes_where_it_is_wanted_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = TopicConfig::memory(crate::rig::EVENTS, 1, 1 << 20).once_read();
    let log = open(dir.path(), config).unwrap();
    fill(&log, 0, 0..10).await;
    let first = async || bounds(&log, 0).await.first;
    assert_eq!(first().await, Offset(0), "nobody reads");

    let mut slow = log.read(&at(0), Offset(4));
    let mut quick = log.read(&at(0), Offset(0));
    assert_eq!(soon(quick.next()).await.unwrap().len(), 10);
    assert_eq!(first().await, Offset(0), "it may still be busy with them");
    append(&log, 0, 10).await.unwrap();
    soon(quick.next()).await.unwrap();
    assert_eq!(first().await, Offset(4), "the slow one has had nothing");
    assert_eq!(soon(slow.next()).await.unwrap()[0].offset, Offset(4));
    drop(slow);
    append(&log, 0, 11).await.unwrap();
    soon(quick.next()).await.unwrap();
    assert_eq!(first().await, Offset(11), "who reads no more needs nothing");
}

fn waiting() -> TopicConfig {
    let kept = Retention {
        bytes: Some(4000),
        age_ms: None,
    };
    small_segments(2000).keeping(kept).once_released()
}

async fn begins_at(log: &Embedded, wanted: impl Fn(Offset) -> bool) -> Offset {
    soon(async {
        loop {
            let first = bounds(log, 0).await.first;
            if wanted(first) {
                return first;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// R36: what nobody has released stays, and nothing behind what was released goes; a restart forgets the releases.
#[tokio::test]
async fn nothing_goes_before_it_is_released_by_every_partition() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), waiting()).unwrap();
    fill(&log, 1, 0..1).await;
    fill(&log, 0, 0..300).await;
    assert_eq!(bounds(&log, 0).await.first, Offset(0));
    // The other partition's only record lies in the oldest segment.
    log.release(&at(0), Offset(200));
    fill(&log, 0, 300..400).await;
    assert_eq!(bounds(&log, 0).await.first, Offset(0));
    log.release(&at(1), Offset(1));
    // Whole segments go, and each holds fewer than 30 records.
    let first = begins_at(&log, |first| first > Offset(170)).await;
    assert!(first <= Offset(200), "{first}");
    // Word that comes late takes nothing back.
    log.release(&at(0), Offset(10));
    log.release(&at(0), Offset(260));
    let second = begins_at(&log, |second| second > Offset(230)).await;
    assert!(second <= Offset(260), "{second}");
    check_tail_is_right(&log, 0).await;
    drop(log);
    let log = open(dir.path(), waiting()).unwrap();
    fill(&log, 0, 400..600).await;
    assert_eq!(bounds(&log, 0).await.first, second);
    log.release(&at(0), Offset(600));
    log.release(&at(1), Offset(1));
    begins_at(&log, |third| third > Offset(500)).await;
}

#[tokio::test]
async fn a_person_is_told_when_retention_waits_for_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Rigged::new();
    let lines = lines();
    let log = Embedded::open_on(dir.path(), one_topic(waiting()), machine.clone()).unwrap();
    fill(&log, 0, 0..300).await;
    machine.clock.advance(14 * 60_000);
    fill(&log, 0, 300..400).await;
    assert_eq!(lines.saying("kept"), [""; 0]);
    machine.clock.advance(2 * 60_000);
    fill(&log, 0, 400..500).await;
    let told = lines.saying("are kept although");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("ERROR"), "{told:?}");
    assert!(
        told[0].contains("topic=main.events partition=0 released=0"),
        "{told:?}"
    );
    assert!(
        told[0].contains("Look for why publishing fails"),
        "{told:?}"
    );
    machine.clock.advance(61 * 60_000);
    fill(&log, 0, 500..600).await;
    assert_eq!(lines.saying("are kept although").len(), 2);
}
