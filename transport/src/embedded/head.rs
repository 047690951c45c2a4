//! The start of a segment file: whose it is, and at which offset each partition stands where it begins.
//!
//! ```text
//! magic "XPSEG" 0 0 1 | identity 16 bytes | number u64 | created u64 | partitions u32 | base offset u64 per partition | crc32c u32
//! ```
//! With the base offsets, opening a log reads its last segment only. A segment comes into being under
//! its name with the whole head synced, so a damaged head is damage and never a torn write.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;
use xp_protocol::{LogIdentity, Offset, TimeMs};

use super::bytes::Cursor;
use super::error::OpenError;
use super::frame::SegmentId;

/// The last byte is the format's version.
const MAGIC: [u8; 8] = *b"XPSEG\0\0\x01";
const VERSION: u8 = 1;
const FIXED_BYTES: usize = 44;

/// What a segment file begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentHead {
    pub(super) segment_id: SegmentId,
    pub(super) created: TimeMs,
    pub(super) bases: Vec<Offset>,
}

impl SegmentHead {
    /// How many bytes the head of a topic with so many partitions takes.
    pub(super) fn bytes(partitions: usize) -> usize {
        FIXED_BYTES + 8 * partitions + 4
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let count = u32::try_from(self.bases.len()).expect("the partition count is a u32");
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(self.segment_id.identity.0.as_bytes());
        out.extend_from_slice(&self.segment_id.segment.to_le_bytes());
        out.extend_from_slice(&self.created.0.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        for base in &self.bases {
            out.extend_from_slice(&base.0.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the head of the segment that should be `segment_id`.
    pub(super) fn read(
        file: &File,
        path: &Path,
        segment_id: SegmentId,
        partitions: usize,
    ) -> Result<Self, OpenError> {
        let mut bytes = vec![0; Self::bytes(partitions)];
        let got = read_at_most(file, &mut bytes, 0).map_err(OpenError::io("read", path))?;
        bytes.truncate(got);
        check_version(&bytes, path)?;
        Self::decode(&bytes)
            .filter(|head| head.segment_id == segment_id && head.bases.len() == partitions)
            .ok_or_else(|| {
                OpenError::damaged(path, 0, "the segment's head is not what was written")
            })
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (checked, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(checked) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut cursor = Cursor::new(checked);
        cursor.array::<8>()?;
        let identity = LogIdentity(Uuid::from_bytes(cursor.array()?));
        let segment_id = SegmentId {
            identity,
            segment: cursor.u64()?,
        };
        let created = TimeMs(cursor.u64()?);
        let count = cursor.u32()?;
        let bases = (0..count)
            .map(|_| cursor.u64().map(Offset))
            .collect::<Option<_>>()?;
        Some(Self {
            segment_id,
            created,
            bases,
        })
    }
}

fn check_version(bytes: &[u8], path: &Path) -> Result<(), OpenError> {
    match bytes.get(..8) {
        Some(magic) if magic[..7] == MAGIC[..7] && magic[7] != VERSION => Err(OpenError::Version {
            file: path.to_owned(),
            found: magic[7].to_string(),
            known: VERSION,
        }),
        _ => Ok(()),
    }
}

/// Reads until `bytes` is full or the file ends; returns how much was read.
pub(super) fn read_at_most(file: &File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], position + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// The file of segment `number`.
pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.log"))
}

/// The segment number in a file's name, when it is one.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}
