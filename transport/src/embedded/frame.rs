//! A batch of records as it stands in a segment file.
//!
//! ```text
//! magic "XPB" 1 | crc32c u32 | body length u32 | partition u32 | count u32 | base offset u64 | time u64 | synced u64 | body
//! body: per record three variable-length numbers (key, header, value lengths) and the three
//! ```
//! A batch without a body is a hole: so many records were there, and compaction took them.
//!
//! The checksum covers everything after itself and also the topic's identity, the segment's number
//! and the position in it: a frame that was copied elsewhere, or lies inside a record's value, is
//! never taken for one of the log's own.
//!
//! `synced` is how much of the segment was on the platter before this frame was written. It tells a
//! torn write, of which any page may be missing, from damage to what was safe.

use bytes::Bytes;
use xp_protocol::{LogIdentity, Offset, PartitionId, TimeMs};

use super::bytes::{Cursor, put_varint, varint_size};
use crate::log::{Record, Stored};

/// Starts every frame; the last byte is the format's version.
pub(super) const MAGIC: [u8; 4] = *b"XPB\x01";
/// The bytes before the body.
pub(super) const HEAD_BYTES: usize = 44;
const CHECKED_FROM: usize = 8;

/// Records of one partition that lie together and were taken at the same moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) partition: PartitionId,
    pub(super) base: Offset,
    pub(super) time: TimeMs,
    pub(super) records: Vec<Record>,
}

/// Which segment of which topic: part of every checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentId {
    pub(super) identity: LogIdentity,
    pub(super) segment: u64,
}

/// What is wrong with stored bytes, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) position: u64,
    pub(super) what: &'static str,
}

/// A frame's fixed part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    crc: u32,
    pub(super) body_bytes: u32,
    pub(super) partition: PartitionId,
    pub(super) count: u32,
    pub(super) base: Offset,
    pub(super) time: TimeMs,
    pub(super) synced: u64,
}

impl Batch {
    /// The offset after the last record.
    pub(super) fn next(&self) -> Offset {
        Offset(self.base.0 + self.records.len() as u64)
    }

    /// The records from `from` on, as readers get them.
    pub(super) fn stored_from(&self, from: Offset) -> impl Iterator<Item = Stored> {
        let skipped = from.0.saturating_sub(self.base.0);
        let numbered = (self.base.0..).zip(&self.records);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        numbered.skip(skipped).map(|(offset, record)| Stored {
            offset: Offset(offset),
            time: self.time,
            record: record.clone(),
        })
    }

    /// Appends the frame to `out`, which will be written so that the frame starts at `position`.
    pub(super) fn encode(
        &self,
        segment_id: SegmentId,
        position: u64,
        synced: u64,
        out: &mut Vec<u8>,
    ) {
        self.encode_as(count_of(&self.records), segment_id, position, synced, out);
    }

    /// The same for a batch without records that stands for `count` of them.
    pub(super) fn encode_hole(
        &self,
        count: u32,
        segment_id: SegmentId,
        position: u64,
        out: &mut Vec<u8>,
    ) {
        self.encode_as(count, segment_id, position, 0, out);
    }

    fn encode_as(
        &self,
        count: u32,
        segment_id: SegmentId,
        position: u64,
        synced: u64,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.partition.0.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&self.base.0.to_le_bytes());
        out.extend_from_slice(&self.time.0.to_le_bytes());
        out.extend_from_slice(&synced.to_le_bytes());
        self.records
            .iter()
            .for_each(|record| put_record(out, record));
        let body_bytes = u32::try_from(out.len() - start - HEAD_BYTES)
            .expect("batches are bounded far below 4 GiB by the configuration, which is checked");
        out[start + 8..start + 12].copy_from_slice(&body_bytes.to_le_bytes());
        let crc = checksum(segment_id, position, &out[start + CHECKED_FROM..]);
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }
}

fn count_of(records: &[Record]) -> u32 {
    u32::try_from(records.len()).expect("a batch is bounded in bytes, so in records")
}

/// How many bytes a record takes in a frame's body.
pub(super) fn record_bytes(record: &Record) -> usize {
    [&record.key, &record.header, &record.value]
        .iter()
        .map(|part| varint_size(part.len() as u64) + part.len())
        .sum()
}

fn put_record(out: &mut Vec<u8>, record: &Record) {
    let parts = [&record.key, &record.header, &record.value];
    parts
        .iter()
        .for_each(|part| put_varint(out, part.len() as u64));
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

fn checksum(segment_id: SegmentId, position: u64, checked: &[u8]) -> u32 {
    let seed = crc32c::crc32c(segment_id.identity.0.as_bytes());
    let seed = crc32c::crc32c_append(seed, &segment_id.segment.to_le_bytes());
    let seed = crc32c::crc32c_append(seed, &position.to_le_bytes());
    crc32c::crc32c_append(seed, checked)
}

impl Head {
    /// Reads a frame's fixed part; `None` when it is short or no frame starts here.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        if cursor.array()? != MAGIC {
            return None;
        }
        Some(Self {
            crc: cursor.u32()?,
            body_bytes: cursor.u32()?,
            partition: PartitionId(cursor.u32()?),
            count: cursor.u32()?,
            base: Offset(cursor.u64()?),
            time: TimeMs(cursor.u64()?),
            synced: cursor.u64()?,
        })
    }

    /// The offset after the last record.
    pub(super) fn next(&self) -> Offset {
        Offset(self.base.0 + u64::from(self.count))
    }

    /// The whole frame's size.
    pub(super) fn frame_bytes(&self) -> u64 {
        HEAD_BYTES as u64 + u64::from(self.body_bytes)
    }

    /// Whether `frame`, which starts with this head, is what was written at `position`.
    pub(super) fn is_intact(&self, frame: &[u8], segment_id: SegmentId, position: u64) -> bool {
        frame.len() as u64 == self.frame_bytes()
            && checksum(segment_id, position, &frame[CHECKED_FROM..]) == self.crc
    }
}

/// Checks the frame at the start of `bytes`, which was stored at `position`.
pub(super) fn check(bytes: &[u8], segment_id: SegmentId, position: u64) -> Result<Head, Damage> {
    let damage = |what| Damage { position, what };
    let head = Head::decode(bytes).ok_or(damage("no batch starts here"))?;
    let size = usize::try_from(head.frame_bytes()).unwrap_or(usize::MAX);
    let frame = bytes.get(..size).ok_or(damage("the batch is cut off"))?;
    if !head.is_intact(frame, segment_id, position) {
        return Err(damage("the batch fails its checksum"));
    }
    Ok(head)
}

/// Reads the frame at the start of `bytes`, which was stored at `position`; its records share `bytes`. A hole is a batch
/// without records, of which the head says how many there were.
pub(super) fn decode(
    bytes: &Bytes,
    segment_id: SegmentId,
    position: u64,
) -> Result<(Head, Batch), Damage> {
    let head = check(bytes, segment_id, position)?;
    let size = usize::try_from(head.frame_bytes()).expect("the whole frame was just checked");
    let what = "the batch does not hold what it announces";
    let records = match head.body_bytes {
        0 => Vec::new(),
        _ => records_of(&bytes.slice(HEAD_BYTES..size), head.count)
            .ok_or(Damage { position, what })?,
    };
    let batch = Batch {
        partition: head.partition,
        base: head.base,
        time: head.time,
        records,
    };
    Ok((head, batch))
}

fn records_of(body: &Bytes, count: u32) -> Option<Vec<Record>> {
    let mut cursor = Cursor::new(body);
    let records = (0..count)
        .map(|_| record_of(body, &mut cursor))
        .collect::<Option<Vec<_>>>()?;
    cursor.is_at_end().then_some(records)
}

fn record_of(body: &Bytes, cursor: &mut Cursor<'_>) -> Option<Record> {
    let lengths = [
        cursor.varint_len()?,
        cursor.varint_len()?,
        cursor.varint_len()?,
    ];
    let mut part = |length: usize| {
        let start = cursor.position();
        cursor.take(length)?;
        Some(body.slice(start..start + length))
    };
    Some(Record {
        key: part(lengths[0])?,
        header: part(lengths[1])?,
        value: part(lengths[2])?,
        label: None,
    })
}
