//! One segment of a topic as readers see it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::BytesMut;
use xp_protocol::{Offset, PartitionId};

use super::error::OpenError;
use super::files;
use super::frame::{self, SegmentId};
use super::head::{SegmentHead, read_at_most};
use super::index::{self, Index, Run, index_path};
use super::machine::Machine;
use super::scan::{Found, Scan, Stop};
use crate::log::Stored;

/// A segment file. Its head and index are read when they are first needed.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) segment_id: SegmentId,
    partitions: usize,
    head: OnceLock<SegmentHead>,
    /// The index of the active segment; `None` once it is sealed and its index lies on disk.
    live: Mutex<Option<Index>>,
    /// Held while a missing index is made again, so that it is made once.
    mending: Mutex<()>,
}

impl Segment {
    /// How large its file is, in bytes; 0 where that cannot be told.
    pub(super) fn bytes(&self) -> u64 {
        self.path.metadata().map_or(0, |data| data.len())
    }

    pub(super) fn sealed(path: PathBuf, segment_id: SegmentId, partitions: usize) -> Self {
        Self {
            path,
            segment_id,
            partitions,
            head: OnceLock::new(),
            live: Mutex::new(None),
            mending: Mutex::new(()),
        }
    }

    pub(super) fn active(path: PathBuf, head: SegmentHead, index: Index) -> Self {
        let segment = Self::sealed(path, head.segment_id, head.bases.len());
        segment.with_live(|live| *live = Some(index));
        segment.head.get_or_init(|| head);
        segment
    }

    /// What the segment begins with.
    pub(super) fn head(&self) -> Result<&SegmentHead, OpenError> {
        if let Some(head) = self.head.get() {
            return Ok(head);
        }
        let file = self.open()?;
        let head = SegmentHead::read(&file, &self.path, self.segment_id, self.partitions)?;
        Ok(self.head.get_or_init(|| head))
    }

    /// Takes note of a batch in the active segment.
    pub(super) fn note(&self, partition: PartitionId, run: Run) {
        self.with_live(|live| {
            if let Some(index) = live {
                index.add(partition, run);
            }
        });
    }

    /// Writes the index of the active segment, of which `covered` bytes are synced.
    pub(super) fn persist_index(&self, machine: &dyn Machine, covered: u64) -> std::io::Result<()> {
        match self.with_live(|live| {
            live.as_ref()
                .map(|index| index.encode(self.segment_id, covered))
        }) {
            Some(bytes) => files::put(machine, &index_path(&self.path), &bytes).map(drop),
            None => Ok(()),
        }
    }

    /// From now on readers take the index from disk.
    pub(super) fn seal(&self) {
        self.with_live(|live| *live = None);
    }

    fn with_live<T>(&self, act: impl FnOnce(&mut Option<Index>) -> T) -> T {
        act(&mut self.live.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn open(&self) -> Result<File, OpenError> {
        File::open(&self.path).map_err(OpenError::io("open", &self.path))
    }

    /// The records of one partition from `from` on, about `bytes_max` of them, below `until`. Empty
    /// when the segment has none. `next` is the segment after this one, if it is sealed.
    pub(super) fn read(
        &self,
        machine: &dyn Machine,
        wanted: &Wanted,
        next: Option<&Segment>,
    ) -> Result<Portion, OpenError> {
        let file = self.open()?;
        let runs = self.runs(machine, &file, wanted, next)?;
        let mut found = Portion {
            records: Vec::new(),
            reached: wanted.from,
        };
        for run in runs {
            self.read_run(&file, run, wanted, &mut found)?;
        }
        Ok(found)
    }

    fn runs(
        &self,
        machine: &dyn Machine,
        file: &File,
        wanted: &Wanted,
        next: Option<&Segment>,
    ) -> Result<Vec<Run>, OpenError> {
        let Wanted {
            partition,
            from,
            bytes_max,
            ..
        } = *wanted;
        let live = self.with_live(|live| {
            live.as_ref()
                .map(|index| index.from(partition, from, bytes_max))
        });
        if let Some(runs) = live {
            return Ok(runs);
        }
        let stored = || {
            index::Stored::open(&index_path(&self.path), self.segment_id, self.partitions)?
                .from(partition, from, bytes_max)
        };
        if let Some(runs) = stored() {
            return Ok(runs);
        }
        let _mending = self.mending.lock().unwrap_or_else(PoisonError::into_inner);
        match stored() {
            Some(runs) => Ok(runs),
            None => self.mend(machine, file, wanted, next),
        }
    }

    /// Makes a missing or damaged index again from the whole segment.
    fn mend(
        &self,
        machine: &dyn Machine,
        file: &File,
        wanted: &Wanted,
        next: Option<&Segment>,
    ) -> Result<Vec<Run>, OpenError> {
        let survey = Survey::of(file, &self.path, self.head()?)?;
        if let Some(damage) = survey.stopped {
            return Err(OpenError::from_damage(&self.path, damage));
        }
        if let Some(next) = next
            && next.head()?.bases != survey.nexts
        {
            let what = "the segment ends before the next one begins";
            return Err(OpenError::damaged(&self.path, survey.length, what));
        }
        let bytes = survey.index.encode(self.segment_id, survey.length);
        if let Err(error) = files::put(machine, &index_path(&self.path), &bytes) {
            tracing::warn!(segment = %self.path.display(), %error, "cannot keep a segment's index; it is made anew with every read");
        } else {
            tracing::info!(segment = %self.path.display(), "made a segment's missing index again");
        }
        Ok(survey
            .index
            .from(wanted.partition, wanted.from, wanted.bytes_max))
    }

    fn read_run(
        &self,
        file: &File,
        run: Run,
        wanted: &Wanted,
        found: &mut Portion,
    ) -> Result<(), OpenError> {
        let mut bytes = BytesMut::zeroed(usize::try_from(run.bytes).unwrap_or(usize::MAX));
        let got = read_at_most(file, &mut bytes, run.position)
            .map_err(OpenError::io("read", &self.path))?;
        bytes.truncate(got);
        let mut rest = bytes.freeze();
        let mut left = run.bytes;
        while left > 0 {
            let position = run.position + run.bytes - left;
            let (head, batch) = frame::decode(&rest, self.segment_id, position)
                .map_err(|damage| OpenError::from_damage(&self.path, damage))?;
            if batch.partition != wanted.partition {
                return Err(OpenError::damaged(
                    &self.path,
                    position,
                    "the index names another partition's batch",
                ));
            }
            found.records.extend(
                batch
                    .stored_from(wanted.from)
                    .take_while(|stored| stored.offset < wanted.until),
            );
            found.reached = found.reached.max(head.next().min(wanted.until));
            let size =
                usize::try_from(head.frame_bytes()).expect("it was just decoded from memory");
            rest = rest.slice(size..);
            left = left.saturating_sub(head.frame_bytes());
        }
        Ok(())
    }
}

/// What a reader asks of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) partition: PartitionId,
    pub(super) from: Offset,
    /// Nothing from here on: it is not synced yet.
    pub(super) until: Offset,
    pub(super) bytes_max: u64,
}

/// What a reader gets of a segment.
#[derive(Debug)]
pub(super) struct Portion {
    pub(super) records: Vec<Stored>,
    /// Before this offset there is nothing more: what compaction took leaves holes.
    pub(super) reached: Offset,
}

/// What a whole segment holds.
pub(super) struct Survey {
    pub(super) index: Index,
    pub(super) nexts: Vec<Offset>,
    /// The end of the last intact frame.
    pub(super) length: u64,
    /// What ended the survey before the end of the file.
    pub(super) stopped: Option<frame::Damage>,
}

impl Survey {
    /// Reads every frame of a segment, up to the first that is not intact or not in order.
    pub(super) fn of(file: &File, path: &Path, head: &SegmentHead) -> Result<Self, OpenError> {
        let start = SegmentHead::bytes(head.bases.len()) as u64;
        let mut scan = Scan::new(file, head.segment_id, start);
        let mut survey = Self {
            index: Index::new(head.bases.len()),
            nexts: head.bases.clone(),
            length: start,
            stopped: None,
        };
        loop {
            match scan.next() {
                Ok(Some(found)) => survey.add(&found, path)?,
                Ok(None) => break,
                Err(Stop::Damaged(damage)) => {
                    survey.stopped = Some(damage);
                    break;
                }
                Err(Stop::Failed(error)) => return Err(OpenError::io("read", path)(error)),
            }
            survey.length = scan.position();
        }
        Ok(survey)
    }

    fn add(&mut self, found: &Found<'_>, path: &Path) -> Result<(), OpenError> {
        let head = &found.head;
        let next = self.nexts.get_mut(head.partition.0 as usize);
        match next {
            Some(next) if *next == head.base => *next = head.next(),
            _ => {
                let what = format!(
                    "the batch at offset {} of partition {} does not follow the one before it",
                    head.base, head.partition
                );
                return Err(OpenError::damaged(path, found.position, what));
            }
        }
        let run = Run {
            base: head.base,
            position: found.position,
            bytes: head.frame_bytes(),
        };
        self.index.add(head.partition, run);
        Ok(())
    }
}

/// The segments of a topic, oldest first; the last one is active.
pub(super) type Segments = Vec<Arc<Segment>>;

/// Removes a segment file and its index for good.
pub(super) fn remove_segment(path: &Path) -> std::io::Result<()> {
    files::remove(path)?;
    files::remove(&index_path(path))
}

/// How many of the oldest segments a later one stands for: a compaction put what was left of them there, and was
/// interrupted before it had removed them.
pub(super) fn superseded(segments: &[Arc<Segment>]) -> Result<usize, OpenError> {
    let Some(oldest) = segments.first() else {
        return Ok(0);
    };
    let oldest = &oldest.head()?.bases;
    for (at, segment) in segments.iter().enumerate().skip(1).rev() {
        let bases = &segment.head()?.bases;
        if bases.iter().zip(oldest).all(|(base, first)| base <= first) {
            return Ok(at);
        }
    }
    Ok(0)
}

/// A segment, and the one after it, if it is sealed.
pub(super) type Holding = (Arc<Segment>, Option<Arc<Segment>>);

/// The segment that holds `from`.
pub(super) fn holding(
    segments: &[Arc<Segment>],
    partition: PartitionId,
    from: Offset,
) -> Result<Option<Holding>, OpenError> {
    let base = |at: usize| Ok::<_, OpenError>(segments[at].head()?.bases[partition.0 as usize]);
    let (mut low, mut high) = (0, segments.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if base(middle)? <= from {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let Some(at) = low.checked_sub(1) else {
        return Ok(None);
    };
    Ok(Some((
        Arc::clone(&segments[at]),
        segments.get(low).cloned(),
    )))
}
