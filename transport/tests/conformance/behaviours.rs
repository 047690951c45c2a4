//! The behaviours, one function each, in the words of the trait's documentation.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Duration, timeout};
use xp_protocol::{Offset, Revision, TimeMs};
use xp_transport::{Bounds, Label, Log, ReadError, Record};

use crate::suite::{
    Backend, DURABLE, Optional, PARTITIONS, SHORT, VOLATILE, append, at, has, record, records,
    soon, take, take_from, text,
};

fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}{number}"))
        .collect()
}

pub(crate) async fn the_order_of_the_calls_is_the_order_in_the_log(backend: impl Backend) {
    let log = backend.log();
    for topic in [DURABLE, VOLATILE] {
        let at = at(topic, 1);
        let texts = numbered("", 500);
        // Nobody waits for an acknowledgement before the next call.
        let pending: Vec<_> = texts
            .iter()
            .map(|text| log.append(&at, vec![record(text)]))
            .collect();
        for acknowledged in pending {
            soon(acknowledged).await.remove(0).unwrap();
        }
        let found: Vec<_> = take_from(&*log, &at, 0, 500)
            .await
            .iter()
            .map(text)
            .collect();
        assert_eq!(found, texts, "{topic}");
    }
}

pub(crate) async fn acknowledgements_rise_and_tell_where_the_record_is(backend: impl Backend) {
    let log = backend.log();
    let at = at(DURABLE, 0);
    let pending: Vec<_> = numbered("", 50)
        .into_iter()
        .map(|text| log.append(&at, records([format!("{text}a"), format!("{text}b")])))
        .collect();
    let mut offsets = Vec::new();
    for acknowledged in pending {
        offsets.extend(soon(acknowledged).await.into_iter().map(Result::unwrap));
    }
    assert_eq!(offsets.len(), 100);
    assert!(offsets.is_sorted_by(|a, b| a < b), "{offsets:?}");
    let found = take_from(&*log, &at, offsets[7].0, 1).await;
    assert_eq!(
        (found[0].offset, text(&found[0])),
        (offsets[7], "3b".to_owned())
    );
}

pub(crate) async fn offsets_are_dense_from_zero(backend: impl Backend) {
    let log = backend.log();
    for topic in [DURABLE, VOLATILE] {
        let at = at(topic, 2);
        append(&*log, &at, records(numbered("", 300))).await;
        let found = take_from(&*log, &at, 0, 300).await;
        let offsets: Vec<_> = found.iter().map(|stored| stored.offset.0).collect();
        assert_eq!(offsets, (0..300).collect::<Vec<_>>(), "{topic}");
    }
}

pub(crate) async fn two_readers_see_the_same(backend: impl Backend) {
    let log = backend.log();
    let at = at(DURABLE, 0);
    let mut early = log.read(&at, Offset(0));
    append(&*log, &at, records(numbered("x", 20))).await;
    append(&*log, &at, records(numbered("y", 20))).await;
    let seen_early = take(&mut *early, 40).await;
    let seen_late = take_from(&*log, &at, 0, 40).await;
    assert_eq!(seen_early, seen_late);
}

pub(crate) async fn a_reader_starts_in_the_middle(backend: impl Backend) {
    let log = backend.log();
    let at = at(DURABLE, 0);
    // One call, so that the backend may keep all of them in one batch.
    append(&*log, &at, records(numbered("", 100))).await;
    for from in [1, 50, 99] {
        let found = take_from(&*log, &at, from, 1).await;
        assert_eq!(
            (found[0].offset, text(&found[0])),
            (Offset(from), from.to_string())
        );
    }
}

pub(crate) async fn a_reader_at_the_end_is_woken(backend: impl Backend) {
    let log = backend.log();
    for topic in [DURABLE, VOLATILE] {
        let at = at(topic, 3);
        let mut reader = log.read(&at, Offset(0));
        let waiting = tokio::spawn(async move { take(&mut *reader, 1).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "there is nothing to read yet");
        append(&*log, &at, vec![record("news")]).await;
        assert_eq!(text(&soon(waiting).await.unwrap()[0]), "news");
    }
}

pub(crate) async fn a_dropped_read_loses_nothing(backend: impl Backend) {
    let log = backend.log();
    let at = at(DURABLE, 0);
    let mut reader = log.read(&at, Offset(0));
    let mut found = Vec::new();
    for number in 0..40 {
        let acknowledged = log.append(&at, vec![record(number.to_string())]);
        // Sometimes too short for the record to come, sometimes just long enough.
        if let Ok(batch) = timeout(Duration::from_micros(number * 50), reader.next()).await {
            found.extend(batch.unwrap());
        }
        soon(acknowledged).await.remove(0).unwrap();
    }
    if found.len() < 40 {
        found.extend(take(&mut *reader, 40 - found.len()).await);
    }
    let found: Vec<_> = found.iter().map(text).collect();
    assert_eq!(found, numbered("", 40));
}

pub(crate) async fn a_dropped_acknowledgement_does_not_undo_the_append(backend: impl Backend) {
    let log = backend.log();
    let at = at(DURABLE, 0);
    drop(log.append(&at, vec![record("kept")]));
    append(&*log, &at, vec![record("after")]).await;
    let found: Vec<_> = take_from(&*log, &at, 0, 2).await.iter().map(text).collect();
    assert_eq!(found, ["kept", "after"]);
}

pub(crate) async fn an_offset_above_the_end_is_out_of_range(backend: impl Backend) {
    let log = backend.log();
    let at = at(DURABLE, 0);
    append(&*log, &at, records(numbered("", 3))).await;
    let mut reader = log.read(&at, Offset(4));
    for _ in 0..2 {
        let error = soon(reader.next()).await.unwrap_err();
        assert!(
            matches!(
                error,
                ReadError::OutOfRange {
                    wanted: Offset(4),
                    first: Offset(0),
                    next: Offset(3),
                    ..
                }
            ),
            "{error}"
        );
    }
}

/// Appends to `SHORT` until retention has taken something.
async fn outgrow(backend: &impl Backend, log: &dyn Log) -> Bounds {
    let at = at(SHORT, 0);
    let value = Bytes::from(vec![7; 10_000]);
    for _ in 0..1000 {
        let large = Record {
            value: value.clone(),
            ..Record::default()
        };
        append(log, &at, vec![large]).await;
        backend.retain();
        let bounds = soon(log.bounds(&at)).await.unwrap();
        if bounds.first > Offset(5) {
            return bounds;
        }
    }
    panic!("10 MB were appended and retention took nothing");
}

pub(crate) async fn an_offset_below_what_is_left_is_out_of_range(backend: impl Backend) {
    if !has(&backend, Optional::PromptRetention) {
        return;
    }
    let log = backend.log();
    let bounds = outgrow(&backend, &*log).await;
    let error = soon(log.read(&at(SHORT, 0), Offset(2)).next())
        .await
        .unwrap_err();
    assert!(
        matches!(error, ReadError::OutOfRange { wanted: Offset(2), first, .. } if first == bounds.first),
        "{error}"
    );
    let found = take_from(&*log, &at(SHORT, 0), bounds.first.0, 1).await;
    assert_eq!(found[0].offset, bounds.first);
}

pub(crate) async fn a_reader_that_falls_behind_retention_is_told(backend: impl Backend) {
    if !has(&backend, Optional::PromptRetention) {
        return;
    }
    let log = backend.log();
    let at = at(SHORT, 0);
    append(&*log, &at, records(numbered("", 2))).await;
    let mut reader = log.read(&at, Offset(0));
    take(&mut *reader, 2).await;
    let bounds = outgrow(&backend, &*log).await;
    // Some backends read ahead. Whatever a reader has at hand, there is no hole in it that it is not told of.
    let mut expected = Offset(2);
    while expected < bounds.next {
        match soon(reader.next()).await {
            Ok(batch) => {
                let offsets: Vec<_> = batch.iter().map(|stored| stored.offset.0).collect();
                let dense = expected.0..expected.0 + offsets.len() as u64;
                assert!(
                    offsets.iter().copied().eq(dense),
                    "{offsets:?} after {expected}"
                );
                expected = Offset(expected.0 + offsets.len() as u64);
            }
            Err(ReadError::OutOfRange { wanted, .. }) => {
                assert_eq!(wanted, expected);
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(has(&backend, Optional::ReadsAhead), "it was never told");
}

pub(crate) async fn what_does_not_exist_is_unknown(backend: impl Backend) {
    let log = backend.log();
    for at in [at("suite.nothing", 0), at(DURABLE, PARTITIONS)] {
        let read = soon(log.read(&at, Offset(0)).next()).await.unwrap_err();
        assert!(matches!(read, ReadError::Unknown { .. }), "{read}");
        let bounds = soon(log.bounds(&at)).await.unwrap_err();
        assert!(matches!(bounds, ReadError::Unknown { .. }), "{bounds}");
        let identity = soon(log.identity(&at)).await.unwrap_err();
        assert!(matches!(identity, ReadError::Unknown { .. }), "{identity}");
        let appended = soon(log.append(&at, records(numbered("", 2)))).await;
        assert!(
            appended.len() == 2 && appended.iter().all(Result::is_err),
            "{appended:?}"
        );
    }
    assert_eq!(soon(log.partitions("suite.nothing")).await, None);
    assert_eq!(soon(log.partitions(DURABLE)).await, Some(PARTITIONS));
}

pub(crate) async fn an_identity_is_stable_while_the_log_is_open(backend: impl Backend) {
    let log = backend.log();
    for topic in [DURABLE, VOLATILE] {
        let before = soon(log.identity(&at(topic, 1))).await.unwrap();
        append(&*log, &at(topic, 1), records(numbered("", 10))).await;
        assert_eq!(soon(log.identity(&at(topic, 1))).await.unwrap(), before);
        assert_eq!(
            soon(backend.rival().identity(&at(topic, 1))).await.unwrap(),
            before
        );
    }
}

pub(crate) async fn a_durable_topic_survives_a_restart(mut backend: impl Backend) {
    let at = at(DURABLE, 5);
    let log = backend.log();
    let identity = soon(log.identity(&at)).await.unwrap();
    append(&*log, &at, records(numbered("", 30))).await;
    drop(log);
    backend.restart();
    let log = backend.log();
    assert_eq!(soon(log.identity(&at)).await.unwrap(), identity);
    let offsets = append(&*log, &at, vec![record("30")]).await;
    assert_eq!(offsets, [Offset(30)]);
    let found: Vec<_> = take_from(&*log, &at, 0, 31)
        .await
        .iter()
        .map(text)
        .collect();
    assert_eq!(found, numbered("", 31));
}

pub(crate) async fn a_volatile_topic_begins_anew_with_a_new_identity(mut backend: impl Backend) {
    if !has(&backend, Optional::VolatileTopics) {
        return;
    }
    let at = at(VOLATILE, 0);
    let log = backend.log();
    let identity = soon(log.identity(&at)).await.unwrap();
    append(&*log, &at, records(numbered("", 3))).await;
    drop(log);
    backend.restart();
    let log = backend.log();
    assert_ne!(soon(log.identity(&at)).await.unwrap(), identity);
    assert_eq!(append(&*log, &at, vec![record("first")]).await, [Offset(0)]);
}

pub(crate) async fn bounds_follow_the_log(backend: impl Backend) {
    let log = backend.log();
    for topic in [DURABLE, VOLATILE] {
        let at = at(topic, 7);
        let bounds = |next| Bounds {
            first: Offset(0),
            next: Offset(next),
        };
        assert_eq!(soon(log.bounds(&at)).await.unwrap(), bounds(0));
        append(&*log, &at, records(numbered("", 12))).await;
        // Whoever has read a record, finds it within the bounds.
        take_from(&*log, &at, 0, 12).await;
        assert_eq!(soon(log.bounds(&at)).await.unwrap(), bounds(12));
    }
}

pub(crate) async fn empty_parts_survive(backend: impl Backend) {
    let log = backend.log();
    let part = || Bytes::from_static(b"x\0 \xff");
    let sent = vec![
        Record::default(),
        Record {
            key: part(),
            ..Record::default()
        },
        Record {
            header: part(),
            ..Record::default()
        },
        Record {
            value: part(),
            ..Record::default()
        },
    ];
    for topic in [DURABLE, VOLATILE] {
        append(&*log, &at(topic, 0), sent.clone()).await;
        let found = take_from(&*log, &at(topic, 0), 0, 4).await;
        let found: Vec<_> = found.into_iter().map(|stored| stored.record).collect();
        assert_eq!(found, sent, "{topic}");
    }
}

/// Whoever reads from memory, from a disk or from a broker gets the same.
pub(crate) async fn a_label_is_for_strangers_alone(backend: impl Backend) {
    let log = backend.log();
    let label = Label {
        time: TimeMs(7),
        revision: Revision(3),
        subject: Some("ana".into()),
    };
    let sent = Record {
        label: Some(Arc::new(label)),
        ..record("labelled")
    };
    for topic in [DURABLE, VOLATILE] {
        append(&*log, &at(topic, 0), vec![sent.clone()]).await;
        let found = take_from(&*log, &at(topic, 0), 0, 1).await.remove(0);
        assert_eq!(found.record, record("labelled"), "{topic}");
    }
}

pub(crate) async fn appending_nothing_is_acknowledged_with_nothing(backend: impl Backend) {
    let log = backend.log();
    for topic in [DURABLE, VOLATILE] {
        assert!(append(&*log, &at(topic, 0), Vec::new()).await.is_empty());
        assert_eq!(
            append(&*log, &at(topic, 0), vec![record("next")]).await,
            [Offset(0)]
        );
    }
}

pub(crate) async fn large_records_survive_and_batches_stay_bounded(backend: impl Backend) {
    const RECORD_BYTES: usize = 900 * 1024;
    const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
    let log = backend.log();
    for topic in [DURABLE, VOLATILE] {
        let at = at(topic, 0);
        let sent: Vec<_> = (0..20_u8)
            .map(|fill| Bytes::from(vec![fill; RECORD_BYTES]))
            .collect();
        for value in &sent {
            append(
                &*log,
                &at,
                vec![Record {
                    value: value.clone(),
                    ..Record::default()
                }],
            )
            .await;
        }
        let mut reader = log.read(&at, Offset(0));
        let mut found = Vec::new();
        while found.len() < sent.len() {
            let batch = soon(reader.next()).await.unwrap();
            assert!(
                batch.len() * RECORD_BYTES <= BATCH_BYTES_MAX,
                "{} records at once",
                batch.len()
            );
            found.extend(batch.into_iter().map(|stored| stored.record.value));
        }
        assert!(found == sent, "{topic}");
    }
}

pub(crate) async fn partitions_do_not_mix(backend: impl Backend) {
    let log = backend.log();
    for topic in [DURABLE, VOLATILE] {
        let mut pending = Vec::new();
        for round in 0..50 {
            for partition in 0..PARTITIONS {
                let text = format!("{partition}:{round}");
                pending.push(log.append(&at(topic, partition), vec![record(text)]));
            }
        }
        for acknowledged in pending {
            soon(acknowledged).await.remove(0).unwrap();
        }
        for partition in 0..PARTITIONS {
            let found = take_from(&*log, &at(topic, partition), 0, 50).await;
            let found: Vec<_> = found.iter().map(text).collect();
            assert_eq!(found, numbered(&format!("{partition}:"), 50));
        }
    }
}

/// Every handle's records are all there, in its own order.
async fn append_at_once(logs: Vec<Arc<dyn Log>>, topic: &str) {
    const EACH: usize = 200;
    let at = at(topic, 0);
    let total = logs.len() * EACH;
    let tasks: Vec<_> = logs
        .iter()
        .cloned()
        .enumerate()
        .map(|(task, log)| {
            let at = at.clone();
            tokio::spawn(async move {
                for number in 0..EACH {
                    append(&*log, &at, vec![record(format!("{task}:{number}"))]).await;
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
    let found = take_from(&*logs[0], &at, 0, total).await;
    assert_eq!(found.len(), total);
    let found: Vec<_> = found.iter().map(text).collect();
    for task in 0..logs.len() {
        let prefix = format!("{task}:");
        let own: Vec<_> = found
            .iter()
            .filter(|text| text.starts_with(&prefix))
            .cloned()
            .collect();
        assert_eq!(own, numbered(&prefix, EACH), "{topic}");
    }
}

pub(crate) async fn tasks_that_append_at_once_keep_their_own_order(backend: impl Backend) {
    for topic in [DURABLE, VOLATILE] {
        append_at_once(vec![backend.log(); 4], topic).await;
    }
}

pub(crate) async fn rivals_interleave_and_keep_their_own_order(backend: impl Backend) {
    for topic in [DURABLE, VOLATILE] {
        append_at_once(vec![backend.log(), backend.rival()], topic).await;
    }
}

pub(crate) async fn records_carry_the_time_at_which_they_were_taken(backend: impl Backend) {
    let log = backend.log();
    for topic in [DURABLE, VOLATILE] {
        append(&*log, &at(topic, 0), vec![record("a")]).await;
        append(&*log, &at(topic, 0), vec![record("b")]).await;
        let found = take_from(&*log, &at(topic, 0), 0, 2).await;
        let year_2020 = TimeMs(1_577_836_800_000);
        assert!(
            found.iter().all(|stored| stored.time > year_2020),
            "{found:?}"
        );
        assert!(
            found[0].time <= found[1].time,
            "one clock does not run backwards: {found:?}"
        );
    }
}
