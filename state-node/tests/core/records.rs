//! Records as the test writes and reads them.

use bytes::Bytes;
use uuid::Uuid;
use xp_protocol::events::{Claim, Event, RULES};
use xp_protocol::outbound::{Item, Outbound};
use xp_protocol::{
    ClaimAttempt, ClaimId, Incarnation, LanePartition, LogIdentity, Offset, PartitionId, TimeMs,
    View, codec,
};
use xp_transport::{AppendError, Record, Stored, TopicPartition};

pub(crate) fn partition() -> LanePartition {
    LanePartition {
        lane: "main".into(),
        partition: PartitionId(0),
    }
}

pub(crate) fn add(entry: &str) -> String {
    format!(r#"{{"type":"Add","data":{{"entry":"{entry}"}}}}"#)
}

pub(crate) fn failed() -> AppendError {
    AppendError::Unacknowledged {
        at: TopicPartition {
            topic: "main.events".into(),
            partition: PartitionId(0),
        },
        reason: "a test".to_owned(),
    }
}

pub(crate) fn at(offset: u64, record: Record) -> Stored {
    Stored {
        offset: Offset(offset),
        time: TimeMs(0),
        record,
    }
}

pub(crate) fn event(record: &Record) -> Event {
    codec::decode(&record.header).unwrap()
}

/// A claim of another node that has folded more of the cluster's log.
pub(crate) fn foreign_claim(view: u64) -> Record {
    let claim = Claim {
        id: ClaimId(Uuid::from_u128(5000 + u128::from(view))),
        incarnation: Incarnation(Uuid::from_u128(5000)),
        view: View {
            generation: 1,
            offset: Offset(view),
        },
        attempt: ClaimAttempt(0),
        rules: RULES,
        inbound: LogIdentity(Uuid::from_u128(1)),
    };
    Record {
        header: codec::encode(&Event::Claim(claim)).into(),
        ..Record::default()
    }
}

/// The deliveries of an outbound record, as a client would read them.
pub(crate) fn words(record: &Record) -> Vec<String> {
    let header: Outbound = codec::decode(&record.header).unwrap();
    let parts = header.split(&record.value).unwrap();
    let word = |(delivery, payload): &(&xp_protocol::outbound::Delivery, Bytes)| {
        let text = std::str::from_utf8(payload).unwrap();
        match &delivery.item {
            Item::Event { revision, .. } => format!("event {revision} {text}"),
            Item::Ephemeral { .. } => format!("ephemeral {text}"),
            Item::Reply { id, revision, .. } => format!("reply {id} {revision} {text}"),
            Item::Reject { id, revision, .. } => format!("reject {id} {revision} {text}"),
            Item::Fault { id, revision, code } => format!("fault {id} {revision} {}", code.name()),
            Item::Welcome { revision, n, .. } => format!("welcome {revision} {n} {text}"),
            Item::Resumed { since, upto, .. } => format!("resumed {since} {upto}"),
            Item::Close { code } => format!("close {}", code.name()),
            Item::Taken { upto, .. } => format!("taken {upto}"),
            Item::StillThere { .. } => "still there?".to_owned(),
            Item::Piece { index, .. } => format!("piece {index}"),
            Item::LastPiece { index, .. } => format!("last piece {index}"),
            Item::Resuming { since, upto, .. } => format!("resuming {since}..{upto}"),
        }
    };
    parts.iter().map(word).collect()
}
