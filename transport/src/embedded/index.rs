//! The index of a segment: the position of each partition's batches in it, so that reading one partition skips the
//! others.
//!
//! The file beside a sealed segment:
//! ```text
//! magic "XPIDX" 0 0 1 | identity 16 bytes | segment u64 | covered bytes u64 | partitions u32
//! | per partition: block length u32, block crc32c u32 | crc32c u32 | blocks
//! block: per run three variable-length numbers: offset and position since the last run's, length
//! ```
//! It is a copy of what the segment says: missing or damaged, it is made again. For the active
//! segment it is written when the log closes, and then says how much of it was safe.

use std::fs::File;
use std::path::{Path, PathBuf};

use uuid::Uuid;
use xp_protocol::{LogIdentity, Offset, PartitionId};

use super::bytes::{Cursor, put_varint};
use super::frame::SegmentId;
use super::head::read_at_most;

const MAGIC: [u8; 8] = *b"XPIDX\0\0\x01";
const FIXED_BYTES: usize = 44;
/// Neighbouring batches of one partition form one run up to this size.
const RUN_BYTES: u64 = 64 * 1024;

/// Batches of one partition that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) base: Offset,
    pub(super) position: u64,
    pub(super) bytes: u64,
}

/// The runs of every partition in one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    runs: Vec<Vec<Run>>,
}

impl Index {
    pub(super) fn new(partitions: usize) -> Self {
        Self {
            runs: vec![Vec::new(); partitions],
        }
    }

    /// Takes note of a batch; batches come in the order in which they lie.
    pub(super) fn add(&mut self, partition: PartitionId, fresh: Run) {
        let runs = &mut self.runs[partition.0 as usize];
        match runs.last_mut() {
            Some(last)
                if last.position + last.bytes == fresh.position
                    && last.bytes + fresh.bytes <= RUN_BYTES =>
            {
                last.bytes += fresh.bytes;
            }
            _ => runs.push(fresh),
        }
    }

    /// The runs of one partition from the one that holds `from`, until they make up `bytes_max`; at
    /// least one when there is one.
    pub(super) fn from(&self, partition: PartitionId, from: Offset, bytes_max: u64) -> Vec<Run> {
        choose(&self.runs[partition.0 as usize], from, bytes_max)
    }

    pub(super) fn encode(&self, segment_id: SegmentId, covered: u64) -> Vec<u8> {
        let blocks: Vec<_> = self.runs.iter().map(|runs| encode_block(runs)).collect();
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(segment_id.identity.0.as_bytes());
        out.extend_from_slice(&segment_id.segment.to_le_bytes());
        out.extend_from_slice(&covered.to_le_bytes());
        out.extend_from_slice(&len_u32(self.runs.len()).to_le_bytes());
        for block in &blocks {
            out.extend_from_slice(&len_u32(block.len()).to_le_bytes());
            out.extend_from_slice(&crc32c::crc32c(block).to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        blocks.iter().for_each(|block| out.extend_from_slice(block));
        out
    }
}

fn len_u32(length: usize) -> u32 {
    u32::try_from(length).expect("an index is far smaller than its segment")
}

fn choose(runs: &[Run], from: Offset, bytes_max: u64) -> Vec<Run> {
    let first = runs
        .partition_point(|run| run.base <= from)
        .saturating_sub(1);
    let mut left = bytes_max;
    let mut chosen = Vec::new();
    for run in &runs[first..] {
        if !chosen.is_empty() && run.bytes > left {
            break;
        }
        left = left.saturating_sub(run.bytes);
        chosen.push(*run);
    }
    chosen
}

fn encode_block(runs: &[Run]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut last = Run {
        base: Offset(0),
        position: 0,
        bytes: 0,
    };
    for run in runs {
        put_varint(&mut out, run.base.0 - last.base.0);
        put_varint(&mut out, run.position - last.position);
        put_varint(&mut out, run.bytes);
        last = *run;
    }
    out
}

fn decode_block(block: &[u8]) -> Option<Vec<Run>> {
    let mut cursor = Cursor::new(block);
    let mut runs: Vec<Run> = Vec::new();
    let (mut base, mut position) = (0_u64, 0_u64);
    while !cursor.is_at_end() {
        base = base.checked_add(cursor.varint()?)?;
        position = position.checked_add(cursor.varint()?)?;
        runs.push(Run {
            base: Offset(base),
            position,
            bytes: cursor.varint()?,
        });
    }
    Some(runs)
}

/// The index beside a segment file.
pub(super) fn index_path(segment: &Path) -> PathBuf {
    segment.with_extension("index")
}

/// The head of an index file that is what was written.
pub(super) struct Stored {
    file: File,
    /// How much of the segment it covers, all of it synced.
    pub(super) covered: u64,
    blocks: Vec<(u32, u32)>,
}

impl Stored {
    /// Opens the index of the segment `segment_id`; `None` when it is missing or damaged.
    pub(super) fn open(path: &Path, segment_id: SegmentId, partitions: usize) -> Option<Self> {
        let file = File::open(path).ok()?;
        let mut bytes = vec![0; FIXED_BYTES + 8 * partitions + 4];
        let got = read_at_most(&file, &mut bytes, 0).ok()?;
        bytes.truncate(got);
        let (checked, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(checked) != u32::from_le_bytes(*crc) {
            return None;
        }
        Self::decode(file, checked, segment_id, partitions)
    }

    fn decode(
        file: File,
        checked: &[u8],
        segment_id: SegmentId,
        partitions: usize,
    ) -> Option<Self> {
        let mut cursor = Cursor::new(checked);
        let fits = cursor.array()? == MAGIC
            && LogIdentity(Uuid::from_bytes(cursor.array()?)) == segment_id.identity
            && cursor.u64()? == segment_id.segment;
        let covered = cursor.u64()?;
        if !fits || cursor.u32()? as usize != partitions {
            return None;
        }
        let blocks = (0..partitions)
            .map(|_| Some((cursor.u32()?, cursor.u32()?)))
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            file,
            covered,
            blocks,
        })
    }

    /// As [`Index::from`]; `None` when the partition's block is damaged.
    pub(super) fn from(&self, partition: PartitionId, from: Offset, max: u64) -> Option<Vec<Run>> {
        let number = partition.0 as usize;
        let head = FIXED_BYTES + 8 * self.blocks.len() + 4;
        let before: u64 = self.blocks[..number]
            .iter()
            .map(|(length, _)| u64::from(*length))
            .sum();
        let (length, crc) = self.blocks[number];
        let mut block = vec![0; length as usize];
        let got = read_at_most(&self.file, &mut block, head as u64 + before).ok()?;
        if got < block.len() || crc32c::crc32c(&block) != crc {
            return None;
        }
        Some(choose(&decode_block(&block)?, from, max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(base: u64, position: u64, bytes: u64) -> Run {
        Run {
            base: Offset(base),
            position,
            bytes,
        }
    }

    #[test]
    fn neighbouring_batches_of_a_partition_become_one_run() {
        let mut index = Index::new(2);
        index.add(PartitionId(0), run(0, 100, 50));
        index.add(PartitionId(0), run(3, 150, 50));
        index.add(PartitionId(1), run(0, 200, 10));
        index.add(PartitionId(0), run(5, 210, 10));
        let runs = index.from(PartitionId(0), Offset(0), 1000);
        assert_eq!(runs, [run(0, 100, 100), run(5, 210, 10)]);
        assert_eq!(
            index.from(PartitionId(0), Offset(5), 1000),
            [run(5, 210, 10)]
        );
        assert_eq!(index.from(PartitionId(0), Offset(4), 1), [run(0, 100, 100)]);
    }

    #[test]
    fn a_block_survives_and_a_cut_one_is_none() {
        let runs = [
            run(7, 300, 90),
            run(9, 1 << 40, 1),
            run(1 << 50, 1 << 41, 70_000),
        ];
        let block = encode_block(&runs);
        assert_eq!(decode_block(&block).unwrap(), runs);
        assert_eq!(decode_block(&block[..block.len() - 1]), None);
    }
}
