//! Reading and writing the `cluster` log.

use xp_protocol::cluster::Member;
use xp_protocol::lane::CLUSTER_TOPIC;
use xp_protocol::notice::{self, Notice};
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

/// A member's message as a record.
#[must_use]
pub fn record(member: &Member) -> Record {
    Record {
        header: codec::encode(member).into(),
        ..Record::default()
    }
}

/// Appends a member's message, and returns where it is.
///
/// # Errors
/// When the log did not take it, or did not say so.
pub async fn append(log: &dyn Log, member: &Member) -> Result<Offset, AppendError> {
    put(log, record(member)).await
}

/// Appends a notice, which no fold takes, and returns where it is.
///
/// # Errors
/// When the log did not take it, or did not say so.
pub async fn tell(log: &dyn Log, notice: &Notice) -> Result<Offset, AppendError> {
    put(log, notice_record(notice)).await
}

async fn put(log: &dyn Log, record: Record) -> Result<Offset, AppendError> {
    let mut answers = log.append(&topic(), vec![record]).await;
    answers.pop().unwrap_or_else(|| {
        Err(AppendError::Unacknowledged {
            at: topic(),
            reason: "the log gave no answer".to_owned(),
        })
    })
}

/// A notice as a record.
#[must_use]
pub fn notice_record(notice: &Notice) -> Record {
    Record {
        key: notice::KEY.into(),
        header: codec::encode(notice).into(),
        ..Record::default()
    }
}

/// The notice in a stored record; `None` also for one of a later version, which nobody has to read.
#[must_use]
pub fn notice(stored: &Stored) -> Option<Notice> {
    is_notice(stored).then(|| codec::decode(&stored.record.header).ok())?
}

fn is_notice(stored: &Stored) -> bool {
    stored.record.key == notice::KEY
}

/// The message of a member in a stored record. What no member of this version says is told once and passed over.
#[must_use]
pub fn member(stored: &Stored) -> Option<Member> {
    if is_notice(stored) {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use xp_protocol::Incarnation;
    use xp_protocol::codec::Format;

    use super::*;

    fn stored(record: Record) -> Stored {
        Stored {
            offset: Offset(0),
            time: TimeMs(0),
            record,
        }
    }

    #[test]
    fn a_notice_is_no_word_of_a_member_for_builds_that_know_it_and_for_those_that_do_not() {
        let incarnation = Incarnation(Uuid::nil());
        let member_says = stored(record(&Member::Leave { incarnation }));
        assert!(member(&member_says).is_some() && notice(&member_says).is_none());
        let asked = Notice::Disconnect {
            id: Uuid::nil(),
            subject: "ana".into(),
        };
        let asked_for = stored(notice_record(&asked));
        assert_eq!(notice(&asked_for), Some(asked));
        assert_eq!(member(&asked_for), None);
        // A build before it looks at no key, and at the header as at a member's.
        assert!(codec::decode::<Member>(&asked_for.record.header).is_err());
        assert_ne!(Notice::VERSION, Member::VERSION);
        let mut later = asked_for;
        later.record.header = vec![99, 7].into();
        assert_eq!((notice(&later), member(&later)), (None, None));
    }
}
