//! Reading a log's directory without opening the log, also while a process has it open.

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use xp_protocol::{Offset, PartitionId};

use super::error::OpenError;
use super::frame::{Batch, Damage, SegmentId};
use super::head::{SegmentHead, segment_path};
use super::meta::Meta;
use super::opening::segment_numbers;
use super::scan::{Scan, Stop, was_synced};
use super::segment::{Segment, holding};
use crate::log::Stored;

/// The names of the durable topics in a log's directory, with their partition counts, sorted.
///
/// # Errors
/// When the directory or a topic's meta file cannot be read.
pub fn topics(dir: &Path) -> Result<Vec<(String, u32)>, OpenError> {
    let entries = std::fs::read_dir(dir).map_err(OpenError::io("list", dir))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(OpenError::io("list", dir))?;
        if entry.path().is_dir()
            && let Some(meta) = Meta::read(&entry.path())?
        {
            found.push((
                entry.file_name().to_string_lossy().into_owned(),
                meta.partitions,
            ));
        }
    }
    found.sort();
    Ok(found)
}

/// The records of one partition from `from`, or from the oldest one left, to the end as it is now.
/// Changes nothing. Beside a process that has the log open, the last records may not be synced yet.
///
/// # Errors
/// When the topic or the partition is not there, or its files cannot be read.
pub fn inspect(
    dir: &Path,
    topic: &str,
    partition: PartitionId,
    from: Offset,
) -> Result<Inspection, OpenError> {
    let dir = dir.join(topic);
    let meta = Meta::read(&dir)?.ok_or(OpenError::Config {
        topic: topic.to_owned(),
        what: "is not a durable topic of this directory: look at the names in it",
    })?;
    if partition.0 >= meta.partitions {
        return Err(OpenError::Config {
            topic: topic.to_owned(),
            what: "has fewer partitions: they are counted from 0",
        });
    }
    let segments = segments(&dir, meta)?;
    let first = match segments.first() {
        Some(segment) => segment.head()?.bases[partition.0 as usize],
        None => Offset(0),
    };
    let begin =
        holding(&segments, partition, from)?.map_or(0, |(segment, _)| segment.segment_id.segment);
    Ok(Inspection {
        partition,
        first,
        from,
        segments: segments
            .into_iter()
            .filter(|segment| segment.segment_id.segment >= begin)
            .collect(),
        scan: None,
        found: VecDeque::new(),
    })
}

fn segments(dir: &Path, meta: Meta) -> Result<Vec<Arc<Segment>>, OpenError> {
    let segment = |number| {
        let segment_id = SegmentId {
            identity: meta.identity,
            segment: number,
        };
        Arc::new(Segment::sealed(
            segment_path(dir, number),
            segment_id,
            meta.partitions as usize,
        ))
    };
    Ok(segment_numbers(dir)?.into_iter().map(segment).collect())
}

/// Goes through the records of one partition.
pub struct Inspection {
    partition: PartitionId,
    first: Offset,
    from: Offset,
    segments: VecDeque<Arc<Segment>>,
    scan: Option<(Arc<Segment>, Scan<File>)>,
    found: VecDeque<Stored>,
}

impl Inspection {
    /// The oldest offset that was not deleted, whether or not a record was appended there already.
    #[must_use]
    pub fn first(&self) -> Offset {
        self.first
    }

    /// The next batch of the partition; `None` at the end.
    fn batch(&mut self) -> Result<Option<Batch>, OpenError> {
        loop {
            let Some((segment, scan)) = &mut self.scan else {
                let Some(segment) = self.segments.pop_front() else {
                    return Ok(None);
                };
                self.scan = Some(begin(segment)?);
                continue;
            };
            let is_last = self.segments.is_empty();
            match next_of(self.partition, segment, scan, is_last)? {
                None => self.scan = None,
                found => return Ok(found),
            }
        }
    }

    fn refill(&mut self) -> Result<(), OpenError> {
        while self.found.is_empty() {
            let Some(found) = self.batch()? else {
                return Ok(());
            };
            self.found.extend(found.stored_from(self.from));
            // A crash may have left segments beside the one that stands for them.
            self.from = self.from.max(found.next());
        }
        Ok(())
    }
}

fn begin(segment: Arc<Segment>) -> Result<(Arc<Segment>, Scan<File>), OpenError> {
    let start = SegmentHead::bytes(segment.head()?.bases.len()) as u64;
    let file = File::open(&segment.path).map_err(OpenError::io("open", &segment.path))?;
    let scan = Scan::new(file, segment.segment_id, start);
    Ok((segment, scan))
}

/// The next batch of one partition in a segment; `None` at the segment's end.
fn next_of(
    partition: PartitionId,
    segment: &Segment,
    scan: &mut Scan<File>,
    is_last: bool,
) -> Result<Option<Batch>, OpenError> {
    let damaged = |damage| OpenError::from_damage(&segment.path, damage);
    let mut suspect = None;
    loop {
        match scan.next() {
            Ok(None) => return Ok(None),
            Ok(Some(found)) if found.head.partition == partition => {
                return found.batch().map(Some).map_err(damaged);
            }
            Ok(Some(_)) => {}
            Err(Stop::Failed(error)) => return Err(OpenError::io("read", &segment.path)(error)),
            Err(Stop::Damaged(damage)) if is_last && suspect != Some(damage.position) => {
                if !is_proven(segment, scan, &damage)? {
                    return Ok(None);
                }
                // A process that has the log open may have been writing it just then: look again.
                suspect = Some(damage.position);
                scan.forget_ahead();
            }
            Err(Stop::Damaged(damage)) => return Err(damaged(damage)),
        }
    }
}

/// Whether the damage is in what was safe; if not, the log is torn here, which is its end.
fn is_proven(segment: &Segment, scan: &Scan<File>, damage: &Damage) -> Result<bool, OpenError> {
    was_synced(scan.file(), segment.segment_id, damage.position)
        .map_err(OpenError::io("read", &segment.path))
}

impl Iterator for Inspection {
    type Item = Result<Stored, OpenError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.refill() {
            Ok(()) => self.found.pop_front().map(Ok),
            Err(error) => {
                self.scan = None;
                self.segments.clear();
                Some(Err(error))
            }
        }
    }
}
