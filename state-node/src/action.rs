//! Actions: what a partition asks its shell to do. Effects are data: the core itself moves no bytes.

use bytes::Bytes;
use xp_protocol::events::Tell;
use xp_protocol::{Address, LogIdentity, Offset, PartitionId, Revision, Seq, TimeMs};
use xp_transport::{Now, Record};

use crate::store::Batch;
use crate::tells::TellId;

/// One thing for the shell to do, in order.
#[derive(Debug)]
pub enum Action {
    /// Append a claim to `events`; answer a failure with `claim_failed`.
    Claim(Record),
    /// Append records to `events`, dense from `first`; answer with `appended`, `round` included.
    Append {
        /// The first record's number.
        first: Seq,
        /// Which time these numbers are appended; late answers of an earlier one are told apart by it.
        round: u64,
        /// In the order of their numbers, which are dense from `first` on.
        records: Vec<Record>,
    },
    /// Read `events` from `from` up to and including `upto`; answer with `gap`.
    ReadGap {
        /// The first offset.
        from: Offset,
        /// The last offset.
        upto: Offset,
    },
    /// Append a chain record to `outbound`; answer with `emitted`.
    Emit {
        /// Names it for the answer.
        id: u64,
        /// Where it goes.
        partition: PartitionId,
        /// A record of the chain.
        record: Record,
    },
    /// Append a record to `outbound` that may be lost.
    Speak {
        /// Where it goes.
        partition: PartitionId,
        /// A record outside the chain.
        record: Record,
    },
    /// Append a tell, or a confirmation of tells, to another partition's `inbound`; with an id, answer with `told`.
    Tell(Box<Telling>),
    /// The partition is owned: stop following `events` and read `inbound` from here.
    ReadInbound {
        /// The first offset.
        from: Offset,
    },
    /// Say that nobody needs the records of `inbound` before this offset any more: what they came to is committed.
    ReleaseInbound {
        /// The oldest offset that is still needed.
        before: Offset,
    },
    /// Ask where `inbound` ends now; answer with `inbound_end` (R16).
    FindInboundEnd,
    /// Read a portion of the log for resumes; answer with `rescanned`. It may hold
    /// records behind `upto`.
    Rescan {
        /// Names it for the answer.
        id: u64,
        /// The first offset of `events` to read.
        from: Offset,
        /// Where to stop: the first offset not to read.
        upto: Offset,
        /// With how many bytes the portion is enough.
        bytes_max: usize,
    },
    /// Fold entities anew from the beginning of `events`, each up to its revision, with a `FoldingAnew` that reads up to
    /// `upto`; answer with `folded_anew`.
    FoldAnew {
        /// Where to stop: the first offset not to read.
        upto: Offset,
        /// Which entities, and up to which revision.
        entities: Vec<(Address, Revision)>,
    },
    /// Write a snapshot; answer with `saved`.
    Save(Batch),
    /// Tell people that the domain's code comes to another state of this entity than the owner's did, from the same
    /// events.
    Diverged(Address),
    /// The snapshot cannot be used: clear the store before the partition is opened anew, behind every write that was
    /// asked for before, which would fill the cleared store in part otherwise. `Lost` follows.
    Clear,
    /// The ownership is over: throw the memory away and open the partition anew (R18).
    Lost(&'static str),
    /// The partition released its ownership, and follows `events` from here on.
    Follow {
        /// The first offset it wants.
        from: Offset,
    },
    /// The partition cannot go on; a person must look.
    Stop(String),
}

/// A tell, or a confirmation of tells, to another partition.
#[derive(Debug)]
pub struct Telling {
    /// The inbound topic's lane and partition.
    pub target: xp_protocol::LanePartition,
    /// Names it for the answer.
    pub id: Option<TellId>,
    /// The record for `inbound` that carries the tell.
    pub record: Record,
}

/// What starts with a partition's shell.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The life of the inbound log (R4).
    pub inbound: LogIdentity,
    /// The oldest offset of `events`.
    pub first: Offset,
    /// The offset that its next record will take.
    pub next: Offset,
    /// The owner's clock.
    pub now: Now,
}

/// The record of a tell.
#[must_use]
pub fn tell_record(source: &xp_protocol::LanePartition, time: TimeMs, tell: &Tell) -> Record {
    let message = xp_protocol::inbound::Message::Tell {
        source: source.clone(),
        number: tell.number,
        from: tell.from.clone(),
        what: tell.what.clone(),
    };
    let header = xp_protocol::inbound::Inbound {
        time,
        trace: None,
        message,
    };
    Record {
        key: Bytes::copy_from_slice(tell.to.as_str().as_bytes()),
        header: xp_protocol::codec::encode(&header).into(),
        value: tell.payload.clone(),
        ..Record::default()
    }
}
