//! Guards of appending to the log: `cargo xtask guards` counts their instructions.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use xp_guards::counted;
use xp_protocol::Offset;
use xp_transport::embedded::{Embedded, TopicConfig};
use xp_transport::{Log, Record};

use crate::rig::{EVENTS, Rigged, at, one_topic, record};

/// In memory every append is answered at once.
fn append(log: &Embedded, records: Vec<Record>) -> Vec<Offset> {
    let appended = pin!(log.append(&at(0), records));
    match appended.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(results) => results.into_iter().map(Result::unwrap).collect(),
        Poll::Pending => panic!("an append to memory waits"),
    }
}

/// A log in memory that is as full as it may be, so that what is old leaves it.
fn full(dir: &tempfile::TempDir) -> Embedded {
    let config = one_topic(TopicConfig::memory(EVENTS, 2, 20_000));
    let log = Embedded::open_on(dir.path(), config, Rigged::new()).unwrap();
    (0..500).for_each(|number| drop(append(&log, vec![record(number)])));
    log
}

#[test]
fn a_record_is_appended_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let log = full(&dir);
    let records = vec![record(500)];
    assert_eq!(counted(|| append(&log, records)), [Offset(500)]);
}

#[test]
fn a_batch_of_records_is_appended_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let log = full(&dir);
    let records = (500..532).map(record).collect();
    let offsets = counted(|| append(&log, records));
    assert!(offsets.into_iter().eq((500..532).map(Offset)));
}
