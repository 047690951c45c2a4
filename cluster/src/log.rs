//! Reading and writing the `cluster` log.

use xp_protocol::cluster::Member;
use xp_protocol::lane::CLUSTER_TOPIC;
use xp_protocol::{Offset, PartitionId, TimeMs, codec};
use xp_transport::{AppendError, Log, ReadError, Reader, Record, Stored, TopicPartition};

use crate::members::{self, Members};
use crate::timing::TAIL;

/// The one partition of the log.
#[must_use]
pub fn topic() -> TopicPartition {
    TopicPartition {
        topic: CLUSTER_TOPIC.into(),
        partition: PartitionId(0),
    }
}

/// A member's word as a record.
#[must_use]
pub fn record(member: &Member) -> Record {
    Record {
        header: codec::encode(member).into(),
        ..Record::default()
    }
}

/// Appends a member's word, and returns where it is.
///
/// # Errors
/// When the log did not take it, or did not say so.
pub async fn append(log: &dyn Log, member: &Member) -> Result<Offset, AppendError> {
    let mut answers = log.append(&topic(), vec![record(member)]).await;
    answers.pop().unwrap_or_else(|| {
        Err(AppendError::Unacknowledged {
            at: topic(),
            reason: "the log gave no answer".to_owned(),
        })
    })
}

/// The word in a stored record. What no member of this version says is told once and passed over.
#[must_use]
pub fn member(stored: &Stored) -> Option<Member> {
    codec::decode(&stored.record.header)
        .inspect_err(|error| {
            tracing::warn!(offset = %stored.offset, %error, "a cluster record is ignored");
        })
        .ok()
}

/// The fold up to the present end of the log, and a reader that goes on from there (R37).
///
/// # Errors
/// When the log cannot be read.
pub async fn enter(
    log: &dyn Log,
    generation: u64,
) -> Result<(Members, Box<dyn Reader>), ReadError> {
    let bounds = log.bounds(&topic()).await?;
    let near = Offset(bounds.next.0.saturating_sub(TAIL)).max(bounds.first);
    for from in [near, bounds.first] {
        let (records, reader) = read(log, from, bounds.next).await?;
        if let Some(members) = members::enter(generation, (bounds.first, from), &records) {
            return Ok((members, reader));
        }
    }
    unreachable!("what is read from the first offset on can always be folded")
}

type Records = Vec<(Offset, TimeMs, Member)>;

/// All records up to `end`, in order; and those behind it that came with the last of them.
async fn read(
    log: &dyn Log,
    from: Offset,
    end: Offset,
) -> Result<(Records, Box<dyn Reader>), ReadError> {
    let mut reader = log.read(&topic(), from);
    let mut next = from;
    let mut records = Vec::new();
    while next < end {
        for stored in reader.next().await? {
            next = stored.offset.next();
            if let Some(member) = member(&stored) {
                records.push((stored.offset, stored.time, member));
            }
        }
    }
    Ok((records, reader))
}
