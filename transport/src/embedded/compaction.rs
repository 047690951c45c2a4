//! Compaction of a durable topic by key, as Kafka's brokers do it: what is left of all sealed segments is written into
//! one, which takes the place and the name of the last of them.
//!
//! A crash leaves the old segments, or the new one and some of the old ones that it stands for; opening removes these.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::{fs, io};

use bytes::Bytes;
use xp_protocol::{Offset, PartitionId};

use super::error::OpenError;
use super::files;
use super::frame::Batch;
use super::head::{SegmentHead, segment_number};
use super::index::index_path;
use super::rewriting::Rewriting;
use super::scan::{Scan, Stop};
use super::segment::{Segment, Segments, remove_segment};
use super::topic::Topic;
use crate::log::Record;

/// The newest offset of each key.
type Newest = HashMap<(PartitionId, Bytes), Offset>;

/// Why a compaction ended early; the segments are as they were, or the new one is in their place.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("{}", .0.full())]
    Damaged(#[from] OpenError),
    #[error(transparent)]
    Failed(#[from] io::Error),
    /// Not an error: the next process goes on.
    #[error("the log is closed")]
    Closed,
}

/// Whether the sealed segments should be compacted: the first holds what the last compaction left, and as much or two
/// segments have come since. So at most half of what they hold is of no use, or two segments.
pub(super) fn is_due(topic: &Topic) -> bool {
    if topic.config.cleanup.compaction().is_none() {
        return false;
    }
    let segments = sealed(topic);
    let mut sizes = segments.iter().map(|segment| segment.bytes());
    let first = sizes.next().unwrap_or_default();
    sizes.sum::<u64>() >= first.max(2 * topic.config.segment_bytes)
}

/// Compacts all sealed segments. Blocks on the disk; readers wait only while the new segment takes its place.
pub(super) fn compact(topic: &Topic, dir: &Path) -> Result<(), Ended> {
    let sealed = sealed(topic);
    let (Some(first), Some(last)) = (sealed.first(), sealed.last()) else {
        return Ok(());
    };
    remove_leftovers(dir, first.segment_id.segment)?;
    let newest = newest(topic, &sealed)?;
    let head = SegmentHead {
        segment_id: last.segment_id,
        created: last.head()?.created,
        bases: first.head()?.bases.clone(),
    };
    let unfinished = files::unfinished(&last.path);
    let rewritten = rewrite(topic, &sealed, &newest, &unfinished, head);
    let index = rewritten.inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    replace(topic, &sealed, &index)?;
    for segment in &sealed[..sealed.len() - 1] {
        remove_segment(&segment.path)?;
    }
    Ok(())
}

fn sealed(topic: &Topic) -> Segments {
    let segments = topic
        .segments
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    let count = segments.len().saturating_sub(1);
    segments[..count].to_vec()
}

/// Removes what an earlier compaction could not: a gap between segments would be taken for a loss.
fn remove_leftovers(dir: &Path, first: u64) -> io::Result<()> {
    let mut left = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let number = segment_number(&entry.file_name().to_string_lossy());
        left.extend(
            number
                .filter(|number| *number < first)
                .map(|n| (n, entry.path())),
        );
    }
    left.sort();
    left.iter().try_for_each(|(_, path)| remove_segment(path))
}

fn newest(topic: &Topic, sealed: &[Arc<Segment>]) -> Result<Newest, Ended> {
    let mut newest = Newest::new();
    each(topic, sealed, |batch| {
        for (offset, record) in (batch.base.0..).zip(&batch.records) {
            // A copy, or the key would keep its whole batch in memory.
            let key = Bytes::copy_from_slice(&record.key);
            newest.insert((batch.partition, key), Offset(offset));
        }
        Ok(())
    })?;
    Ok(newest)
}

/// What is left, in a file that has not its name yet; returns its index.
fn rewrite(
    topic: &Topic,
    sealed: &[Arc<Segment>],
    newest: &Newest,
    path: &Path,
    head: SegmentHead,
) -> Result<Vec<u8>, Ended> {
    let tombstones_ms = topic.config.cleanup.compaction();
    let tombstones_ms = tombstones_ms.map_or(0, |compaction| compaction.tombstones_ms);
    let now = topic.machine.now();
    let mut rewriting = Rewriting::begin(&*topic.machine, path, head)?;
    each(topic, sealed, |batch| {
        let is_gone =
            |record: &Record| record.value.is_empty() && now.since_ms(batch.time) >= tombstones_ms;
        let stays = |offset, record: &Record| {
            let key = (batch.partition, record.key.clone());
            newest.get(&key) == Some(&offset) && !is_gone(record)
        };
        for run in runs(&batch, stays) {
            rewriting.put(&run)?;
        }
        Ok(())
    })?;
    Ok(rewriting.finish(&nexts(topic, sealed)?)?)
}

/// Where the segment behind the last sealed one begins.
fn nexts(topic: &Topic, sealed: &[Arc<Segment>]) -> Result<Vec<Offset>, OpenError> {
    let segments = topic
        .segments
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    Ok(segments[sealed.len()].head()?.bases.clone())
}

/// The records of a batch that stay, in batches without holes.
fn runs(batch: &Batch, stays: impl Fn(Offset, &Record) -> bool) -> Vec<Batch> {
    let mut runs: Vec<Batch> = Vec::new();
    for (offset, record) in (batch.base.0..).map(Offset).zip(&batch.records) {
        if !stays(offset, record) {
            continue;
        }
        match runs.last_mut().filter(|run| run.next() == offset) {
            Some(run) => run.records.push(record.clone()),
            None => runs.push(Batch {
                partition: batch.partition,
                base: offset,
                time: batch.time,
                records: vec![record.clone()],
            }),
        }
    }
    runs
}

/// Hands out all batches of these segments, in their order.
fn each(
    topic: &Topic,
    sealed: &[Arc<Segment>],
    mut take: impl FnMut(Batch) -> io::Result<()>,
) -> Result<(), Ended> {
    for segment in sealed {
        let start = SegmentHead::bytes(segment.head()?.bases.len()) as u64;
        let file = fs::File::open(&segment.path)?;
        let mut scan = Scan::new(file, segment.segment_id, start);
        let damaged = |damage| OpenError::from_damage(&segment.path, damage);
        loop {
            if topic.queue.is_closed() {
                return Err(Ended::Closed);
            }
            match scan.next() {
                Ok(Some(found)) => take(found.batch().map_err(damaged)?)?,
                Ok(None) => break,
                Err(Stop::Damaged(damage)) => return Err(damaged(damage).into()),
                Err(Stop::Failed(error)) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Puts the new segment in the place of the old ones. Nobody reads meanwhile: an old index would lead into the new file.
fn replace(topic: &Topic, sealed: &[Arc<Segment>], index: &[u8]) -> io::Result<()> {
    let last = sealed.last().expect("there is something to replace");
    let mut segments = topic
        .segments
        .write()
        .unwrap_or_else(PoisonError::into_inner);
    files::remove(&index_path(&last.path))?;
    fs::rename(files::unfinished(&last.path), &last.path)?;
    let fresh = Segment::sealed(last.path.clone(), last.segment_id, topic.partitions.len());
    segments.splice(..sealed.len(), [Arc::new(fresh)]);
    files::sync_parent(&last.path)?;
    // Missing, it is made again when it is needed.
    files::put(&*topic.machine, &index_path(&last.path), index).map(drop)
}
