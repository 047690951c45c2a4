//! Disks that are full, read-only or broken: a clear error, and nothing acknowledged is lost.

use std::sync::atomic::Ordering;

use xp_protocol::Offset;
use xp_transport::embedded::Embedded;
use xp_transport::{AppendError, Log};

use crate::rig::{
    Rigged, append, at, check_holds, events, fill, length, one_topic, open, record, segment,
    small_segments, soon,
};

fn reason(error: AppendError) -> String {
    match error {
        AppendError::Broken { reason, .. } => reason,
        AppendError::Unacknowledged { .. } => panic!("this is for certain: {error}"),
    }
}

#[tokio::test]
async fn a_full_disk_refuses_appends_until_there_is_space_again() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Rigged::new();
    let log = Embedded::open_on(dir.path(), one_topic(events()), machine.clone()).unwrap();
    fill(&log, 0, 0..10).await;
    let safe = length(&segment(dir.path(), 0));
    machine.space.store(20, Ordering::SeqCst);
    for _ in 0..3 {
        let reason = reason(append(&log, 0, 10).await.unwrap_err());
        assert!(
            reason.contains("make sure that the disk has space"),
            "{reason}"
        );
        assert!(
            reason.contains(&*segment(dir.path(), 0).to_string_lossy()),
            "{reason}"
        );
        assert_eq!(
            length(&segment(dir.path(), 0)),
            safe,
            "the part that was written is taken back"
        );
        check_holds(&log, 0, 0..10).await;
    }
    machine.space.store(usize::MAX, Ordering::SeqCst);
    fill(&log, 0, 10..20).await;
    drop(log);
    let log = open(dir.path(), events()).unwrap();
    check_holds(&log, 0, 0..20).await;
}

#[tokio::test]
async fn a_disk_that_fills_up_while_a_segment_begins_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Rigged::new();
    let log =
        Embedded::open_on(dir.path(), one_topic(small_segments(1500)), machine.clone()).unwrap();
    let mut number = 0;
    while length(&segment(dir.path(), 0)) < 1500 {
        fill(&log, 0, number..number + 1).await;
        number += 1;
    }
    machine.space.store(20, Ordering::SeqCst);
    let reason = reason(append(&log, 0, number).await.unwrap_err());
    assert!(reason.contains("cannot begin the next segment"), "{reason}");
    check_holds(&log, 0, 0..number).await;
    machine.space.store(usize::MAX, Ordering::SeqCst);
    fill(&log, 0, number..number + 40).await;
    check_holds(&log, 0, 0..number + 40).await;
    drop(log);
    let log = open(dir.path(), small_segments(1500)).unwrap();
    check_holds(&log, 0, 0..number + 40).await;
}

#[tokio::test]
async fn a_disk_that_turns_read_only_refuses_appends_and_still_reads() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Rigged::new();
    let log = Embedded::open_on(dir.path(), one_topic(events()), machine.clone()).unwrap();
    fill(&log, 0, 0..10).await;
    machine.is_read_only.store(true, Ordering::SeqCst);
    let reason = reason(append(&log, 0, 10).await.unwrap_err());
    assert!(reason.contains("read-only"), "{reason}");
    check_holds(&log, 0, 0..10).await;
}

#[tokio::test]
async fn a_read_only_disk_cannot_be_opened_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Rigged::new();
    machine.is_read_only.store(true, Ordering::SeqCst);
    let error = Embedded::open_on(dir.path(), one_topic(events()), machine)
        .err()
        .unwrap();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        error
            .to_string()
            .contains("main.events/meta: make sure that"),
        "{error}"
    );
    assert!(source.contains("read-only"), "{source}");
}

/// The kernel may have dropped what it could not write and call the next sync a success.
#[tokio::test]
async fn after_a_failed_sync_nothing_is_appended_until_the_log_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Rigged::new();
    let log = Embedded::open_on(dir.path(), one_topic(events()), machine.clone()).unwrap();
    fill(&log, 0, 0..10).await;
    machine.syncs_fail.store(true, Ordering::SeqCst);
    let first = reason(append(&log, 0, 10).await.unwrap_err());
    assert!(
        first.contains("the drive reports an error") && first.contains("start the process again"),
        "{first}"
    );
    machine.syncs_fail.store(false, Ordering::SeqCst);
    assert_eq!(
        reason(append(&log, 0, 10).await.unwrap_err()),
        first,
        "the disk is not trusted again"
    );
    check_holds(&log, 0, 0..10).await;
    drop(log);
    let log = open(dir.path(), events()).unwrap();
    check_holds(&log, 0, 0..10).await;
    assert_eq!(append(&log, 0, 10).await.unwrap(), Offset(10));
}

#[tokio::test]
async fn a_reader_never_sees_what_was_not_synced() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Rigged::new();
    let log = Embedded::open_on(dir.path(), one_topic(events()), machine.clone()).unwrap();
    fill(&log, 0, 0..3).await;
    let mut reader = log.read(&at(0), Offset(3));
    machine.syncs_fail.store(true, Ordering::SeqCst);
    append(&log, 0, 3).await.unwrap_err();
    let bounds = soon(log.bounds(&at(0))).await.unwrap();
    assert_eq!(bounds.next, Offset(3));
    let nothing = tokio::time::timeout(std::time::Duration::from_millis(20), reader.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused_and_can_be_appended_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = xp_transport::embedded::TopicConfig {
        queue_bytes: 1000,
        ..events()
    };
    let log = open(dir.path(), config).unwrap();
    let calls = (0..2000)
        .map(|number| log.append(&at(0), vec![record(number)]))
        .collect::<Vec<_>>();
    let (mut landed, mut refused) = (0, 0);
    for call in calls {
        match soon(call).await.remove(0) {
            Ok(_) => landed += 1,
            Err(AppendError::Unacknowledged { reason, .. }) => {
                assert!(reason.contains("queue_bytes"), "{reason}");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0, "2000 calls are faster than their syncs");
    let bounds = soon(log.bounds(&at(0))).await.unwrap();
    assert_eq!(bounds.next, Offset(landed));
    append(&log, 0, 0).await.unwrap();
}

#[tokio::test]
async fn a_record_over_the_limit_is_refused_and_the_next_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let config = xp_transport::embedded::TopicConfig {
        record_bytes: 100,
        ..events()
    };
    let log = open(dir.path(), config).unwrap();
    let large = xp_transport::Record {
        value: vec![0; 101].into(),
        ..Default::default()
    };
    let refused = reason(
        soon(log.append(&at(0), vec![large]))
            .await
            .remove(0)
            .unwrap_err(),
    );
    assert!(refused.contains("record_bytes is 100"), "{refused}");
    assert_eq!(append(&log, 0, 0).await.unwrap(), Offset(0));
}

#[tokio::test]
async fn closing_finishes_what_was_appended_and_tells_everybody_else() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), events()).unwrap();
    let mut reader = log.read(&at(1), Offset(0));
    let pending: Vec<_> = (0..100)
        .map(|number| log.append(&at(0), vec![record(number)]))
        .collect();
    log.clone().close();
    for acknowledged in pending {
        soon(acknowledged).await.remove(0).unwrap();
    }
    let refused = reason(append(&log, 0, 100).await.unwrap_err());
    assert!(refused.contains("the log is closed"), "{refused}");
    assert!(
        soon(reader.next())
            .await
            .unwrap_err()
            .to_string()
            .contains("the log is closed")
    );
    let again = open(dir.path(), events()).unwrap();
    check_holds(&again, 0, 0..100).await;
}
