//! The requirements of the suite on a backend, and the suite's own way of reading.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use xp_protocol::{Offset, PartitionId};
use xp_transport::{Log, Reader, Record, Stored, TopicPartition};

/// A durable topic of [`PARTITIONS`] partitions.
pub(crate) const DURABLE: &str = "suite.events";
/// A topic of [`PARTITIONS`] partitions that may be gone after a restart.
pub(crate) const VOLATILE: &str = "suite.inbound";
/// A topic of one partition, of which a megabyte is more than retention leaves.
pub(crate) const SHORT: &str = "suite.short";
pub(crate) const PARTITIONS: u32 = 8;

/// Waiting longer than this for anything is a failure.
const DEADLINE: Duration = Duration::from_secs(30);

/// Behaviours that a backend may lack. Each must be named in its `LACKS`; all others are required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Optional {
    /// Volatile topics begin anew, under a new identity, with every restart.
    VolatileTopics,
    /// Retention is fast enough to be watched.
    PromptRetention,
    /// A reader may hold what the log no longer has.
    ReadsAhead,
}

/// A backend with the topics named above, empty at the start.
pub(crate) trait Backend: Send {
    const LACKS: &'static [Optional];

    /// The open log.
    fn log(&self) -> Arc<dyn Log>;

    /// The same log through a handle of its own, as another node has it.
    fn rival(&self) -> Arc<dyn Log>;

    /// The log as the next process finds it.
    fn restart(&mut self);

    /// Called between appends to `SHORT`, for a backend whose retention does not act by itself.
    fn retain(&self) {}
}

pub(crate) fn has<B: Backend>(_: &B, behaviour: Optional) -> bool {
    !B::LACKS.contains(&behaviour)
}

/// One test per behaviour, for one backend.
macro_rules! conformance {
    (@tests $backend:expr; $($behaviour:ident)*) => {
        $(
            #[tokio::test]
            async fn $behaviour() {
                crate::behaviours::$behaviour($backend).await;
            }
        )*
    };
    ($backend:expr) => {
        crate::suite::conformance! { @tests $backend;
            the_order_of_the_calls_is_the_order_in_the_log
            acknowledgements_rise_and_tell_where_the_record_is
            offsets_are_dense_from_zero
            two_readers_see_the_same
            a_reader_starts_in_the_middle
            a_reader_at_the_end_is_woken
            a_dropped_read_loses_nothing
            a_dropped_acknowledgement_does_not_undo_the_append
            an_offset_above_the_end_is_out_of_range
            an_offset_below_what_is_left_is_out_of_range
            a_reader_that_falls_behind_retention_is_told
            what_does_not_exist_is_unknown
            an_identity_is_stable_while_the_log_is_open
            a_durable_topic_survives_a_restart
            a_volatile_topic_begins_anew_with_a_new_identity
            bounds_follow_the_log
            empty_parts_survive
            a_label_is_for_strangers_alone
            appending_nothing_is_acknowledged_with_nothing
            large_records_survive_and_batches_stay_bounded
            partitions_do_not_mix
            tasks_that_append_at_once_keep_their_own_order
            rivals_interleave_and_keep_their_own_order
            records_carry_the_time_at_which_they_were_taken
        }
    };
}
pub(crate) use conformance;

pub(crate) fn at(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition {
        topic: topic.into(),
        partition: PartitionId(partition),
    }
}

/// A record that can be told from every other.
pub(crate) fn record(text: impl Into<String>) -> Record {
    let text = text.into();
    Record {
        key: Bytes::from(format!("board/{text}")),
        header: Bytes::from_static(b"\x01header"),
        value: Bytes::from(text),
        ..Record::default()
    }
}

pub(crate) fn records(texts: impl IntoIterator<Item = String>) -> Vec<Record> {
    texts.into_iter().map(record).collect()
}

pub(crate) fn text(stored: &Stored) -> String {
    String::from_utf8(stored.record.value.to_vec()).unwrap()
}

/// Waits, but not for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future)
        .await
        .expect("it should have happened long ago")
}

pub(crate) async fn append(
    log: &dyn Log,
    at: &TopicPartition,
    records: Vec<Record>,
) -> Vec<Offset> {
    let acknowledged = soon(log.append(at, records)).await;
    acknowledged.into_iter().map(Result::unwrap).collect()
}

/// At least `count` records from the reader; exactly, when no more are there.
pub(crate) async fn take(reader: &mut dyn Reader, count: usize) -> Vec<Stored> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let batch = soon(reader.next()).await.unwrap();
        assert!(!batch.is_empty(), "a batch has at least one record");
        taken.extend(batch);
    }
    taken
}

pub(crate) async fn take_from(
    log: &dyn Log,
    at: &TopicPartition,
    from: u64,
    count: usize,
) -> Vec<Stored> {
    take(&mut *log.read(at, Offset(from)), count).await
}
