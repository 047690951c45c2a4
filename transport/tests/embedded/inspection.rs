//! Reading a directory without opening the log.

use xp_protocol::{Offset, PartitionId};
use xp_transport::Log;
use xp_transport::embedded::{Retention, inspect, topics};

use crate::rig::{EVENTS, at, fill, flip, length, open, record, segment, small_segments, soon};

#[tokio::test]
async fn a_log_can_be_read_beside_the_process_that_has_it_and_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small_segments(1500)).unwrap();
    for number in 0..60 {
        fill(&log, 0, number..number + 1).await;
        fill(&log, 1, number..number + 1).await;
    }
    for log in [Some(log), None] {
        for from in [0, 1, 30, 59, 60] {
            let found = inspect(dir.path(), EVENTS, PartitionId(1), Offset(from)).unwrap();
            let found = found
                .map(Result::unwrap)
                .map(|stored| (stored.offset, stored.record));
            assert!(found.eq((from..60).map(|number| (Offset(number), record(number)))));
        }
        drop(log);
    }
    assert_eq!(topics(dir.path()).unwrap(), [(EVENTS.to_owned(), 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspection_beside_a_busy_writer_sees_a_whole_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small_segments(100_000)).unwrap();
    let writer = log.clone();
    let writing = tokio::spawn(async move { fill(&writer, 0, 0..3000).await });
    let mut seen = 0;
    while seen < 3000 {
        let found = inspect(dir.path(), EVENTS, PartitionId(0), Offset(0)).unwrap();
        let found: Vec<_> = found.map(|stored| stored.unwrap().record).collect();
        assert!(found.len() >= seen);
        assert!(
            found
                .iter()
                .cloned()
                .eq((0..found.len() as u64).map(record))
        );
        seen = found.len();
    }
    writing.await.unwrap();
}

#[tokio::test]
async fn damage_ends_the_inspection_with_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small_segments(1500)).unwrap();
    fill(&log, 0, 0..60).await;
    drop(log);
    flip(&segment(dir.path(), 1), length(&segment(dir.path(), 1)) / 2);
    let found: Vec<_> = inspect(dir.path(), EVENTS, PartitionId(0), Offset(0))
        .unwrap()
        .collect();
    let (last, before) = found.split_last().unwrap();
    assert!(before.iter().all(Result::is_ok));
    let error = last.as_ref().unwrap_err().to_string();
    assert!(error.contains("00001.log is damaged at byte"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), small_segments(1500)).unwrap());
    let error = |topic, partition| {
        inspect(dir.path(), topic, PartitionId(partition), Offset(0))
            .err()
            .unwrap()
            .to_string()
    };
    assert!(error("main.nothing", 0).contains("\"main.nothing\" is not a durable topic"));
    assert!(error(EVENTS, 2).contains("has fewer partitions"));
}

#[tokio::test]
async fn an_inspection_says_where_retention_left_the_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let config = small_segments(2000).keeping(Retention {
        bytes: Some(4000),
        age_ms: None,
    });
    let log = open(dir.path(), config).unwrap();
    // The quiet partition's only record goes with the others of its time.
    fill(&log, 1, 0..1).await;
    fill(&log, 0, 0..300).await;
    for partition in 0..2 {
        let bounds = soon(log.bounds(&at(partition))).await.unwrap();
        let found = inspect(dir.path(), EVENTS, PartitionId(partition), Offset(0)).unwrap();
        assert!(bounds.first > Offset(0));
        assert_eq!(found.first(), bounds.first);
    }
}
