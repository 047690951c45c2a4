//! The adapter: what the model does reaches those who use the trait, in tokio's time.

use std::time::Duration;

use tokio::time::Instant;
use xp_protocol::{Offset, TimeMs};
use xp_transport::simulated::{Faults, Simulated};
use xp_transport::{AppendError, Log, ReadError};

use crate::rig::{START, TOPIC, at, record};

fn with(faults: Faults) -> Simulated {
    Simulated::with_faults(&[(TOPIC, 1)], START, 1, faults)
}

#[tokio::test(start_paused = true)]
async fn a_delayed_record_wakes_its_reader_when_it_lands() {
    let log = with(Faults {
        delay_ms: 700..=700,
        ..Faults::none()
    });
    let began = Instant::now();
    drop(log.append(&at(0), vec![record("a")]));
    let found = log.read(&at(0), Offset(0)).next().await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_millis(700));
    assert_eq!(found[0].time, START.plus_ms(700));
}

#[tokio::test(start_paused = true)]
async fn silence_becomes_a_failure_at_the_timeout() {
    let log = with(Faults {
        loss: 1.0,
        silence: 1.0,
        timeout_ms: 3000,
        ..Faults::none()
    });
    let began = Instant::now();
    let answers = log.append(&at(0), vec![record("a"), record("b")]).await;
    assert_eq!(began.elapsed(), Duration::from_millis(3000));
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Err(AppendError::Unacknowledged { .. }))),
        "{answers:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn each_record_of_a_call_has_its_own_fate() {
    let log = with(Faults {
        error_after_append: 0.5,
        ..Faults::none()
    });
    let answers = log
        .append(
            &at(0),
            (0..50).map(|number| record(number.to_string())).collect(),
        )
        .await;
    assert_eq!(answers.len(), 50);
    let acknowledged = (0..)
        .zip(&answers)
        .filter_map(|(number, answer)| answer.as_ref().ok().map(|offset| (number, offset.0)));
    let acknowledged: Vec<(u64, u64)> = acknowledged.collect();
    assert!(acknowledged.len() > 5 && acknowledged.len() < 45);
    assert!(acknowledged.iter().all(|(number, offset)| number == offset));
}

#[tokio::test(start_paused = true)]
async fn a_truncation_reaches_the_reader() {
    let log = with(Faults::none());
    log.append(&at(0), vec![record("a"), record("b")]).await;
    let mut reader = log.read(&at(0), Offset(0));
    assert_eq!(reader.next().await.unwrap().len(), 2);
    log.with_model(|model| model.truncate(&at(0), Offset(1)));
    log.append(&at(0), vec![record("c"), record("d")]).await;
    for _ in 0..2 {
        let error = reader.next().await.unwrap_err();
        assert!(
            matches!(
                error,
                ReadError::OutOfRange {
                    wanted: Offset(2),
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn time_passes_with_tokios() {
    let log = with(Faults::none());
    tokio::time::advance(Duration::from_secs(60)).await;
    log.append(&at(0), vec![record("a")]).await;
    let found = log.read(&at(0), Offset(0)).next().await.unwrap();
    assert_eq!(found[0].time, TimeMs(START.0 + 60_000));
}
