//! Opening a durable topic: its meta file, its segments, and the end of the last one.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xp_protocol::{LogIdentity, Offset};

use super::config::TopicConfig;
use super::error::OpenError;
use super::files;
use super::frame::{Damage, SegmentId};
use super::head::{SegmentHead, segment_number, segment_path};
use super::index::{self, index_path};
use super::journal::{Active, Journal, begin};
use super::machine::Machine;
use super::meta::Meta;
use super::partition::Partition;
use super::scan::was_synced;
use super::segment::{Segment, Segments, Survey, remove_segment, superseded};
use super::topic::Topic;

/// Opens a durable topic, making it when it is new.
pub(super) fn open_durable(
    dir: PathBuf,
    config: TopicConfig,
    machine: Arc<dyn Machine>,
) -> Result<(Arc<Topic>, Journal), OpenError> {
    crate::private::make_dir(&dir).map_err(OpenError::io("make", &dir))?;
    files::sync_parent(&dir).map_err(OpenError::io("sync", &dir))?;
    let numbers = segment_numbers(&dir)?;
    let meta = meta(&dir, &config, &*machine, numbers.is_empty())?;
    tidy_up(&dir)?;
    match numbers.split_last() {
        None => open_new(dir, config, meta.identity, machine),
        Some((last, sealed)) => open_old(dir, config, meta.identity, machine, sealed, *last),
    }
}

fn meta(
    dir: &Path,
    config: &TopicConfig,
    machine: &dyn Machine,
    is_empty: bool,
) -> Result<Meta, OpenError> {
    match Meta::read(dir)? {
        Some(meta) if meta.partitions == config.partitions => Ok(meta),
        Some(meta) => Err(OpenError::Partitions {
            topic: config.name.to_string(),
            stored: meta.partitions,
            configured: config.partitions,
        }),
        None if is_empty => {
            let meta = Meta {
                identity: machine.fresh_identity(),
                partitions: config.partitions,
            };
            meta.write(machine, dir)?;
            Ok(meta)
        }
        None => Err(OpenError::damaged(
            &dir.join(super::meta::NAME),
            0,
            "it is missing beside segment files",
        )),
    }
}

fn names(dir: &Path) -> Result<Vec<String>, OpenError> {
    let entries = fs::read_dir(dir).map_err(OpenError::io("list", dir))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names
        .collect::<Result<_, _>>()
        .map_err(OpenError::io("list", dir))
}

/// The numbers of the segment files, which follow each other.
pub(super) fn segment_numbers(dir: &Path) -> Result<Vec<u64>, OpenError> {
    let mut numbers: Vec<_> = names(dir)?
        .iter()
        .filter_map(|name| segment_number(name))
        .collect();
    numbers.sort_unstable();
    match numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        Some(pair) => Err(OpenError::damaged(
            &segment_path(dir, pair[0] + 1),
            0,
            "this segment is missing between others",
        )),
        None => Ok(numbers),
    }
}

/// Removes what a crash left half written.
fn tidy_up(dir: &Path) -> Result<(), OpenError> {
    for name in names(dir)?.iter().filter(|name| files::is_unfinished(name)) {
        let path = dir.join(name);
        fs::remove_file(&path).map_err(OpenError::io("remove", &path))?;
    }
    Ok(())
}

fn open_new(
    dir: PathBuf,
    config: TopicConfig,
    identity: LogIdentity,
    machine: Arc<dyn Machine>,
) -> Result<(Arc<Topic>, Journal), OpenError> {
    let nexts = vec![Offset(0); config.partitions as usize];
    let head = SegmentHead {
        segment_id: SegmentId {
            identity,
            segment: 0,
        },
        created: machine.now(),
        bases: nexts.clone(),
    };
    let active = begin(&*machine, &dir, head).map_err(OpenError::io("begin a segment in", &dir))?;
    Ok(assemble(
        dir,
        config,
        machine,
        Opened {
            firsts: nexts.clone(),
            nexts,
            sealed: Segments::new(),
            active,
        },
    ))
}

fn open_old(
    dir: PathBuf,
    config: TopicConfig,
    identity: LogIdentity,
    machine: Arc<dyn Machine>,
    sealed: &[u64],
    last: u64,
) -> Result<(Arc<Topic>, Journal), OpenError> {
    let partitions = config.partitions as usize;
    let segment_id = |segment| SegmentId { identity, segment };
    let sealed: Segments = sealed
        .iter()
        .map(|number| {
            Arc::new(Segment::sealed(
                segment_path(&dir, *number),
                segment_id(*number),
                partitions,
            ))
        })
        .collect();
    let sealed = match config.cleanup.compaction() {
        Some(_) => without_superseded(sealed)?,
        None => sealed,
    };
    let (active, nexts) = resume(
        &*machine,
        segment_path(&dir, last),
        segment_id(last),
        partitions,
    )?;
    let firsts = sealed
        .first()
        .unwrap_or(&active.segment)
        .head()?
        .bases
        .clone();
    Ok(assemble(
        dir,
        config,
        machine,
        Opened {
            firsts,
            nexts,
            sealed,
            active,
        },
    ))
}

/// Removes what a compaction that was interrupted has not.
fn without_superseded(mut sealed: Segments) -> Result<Segments, OpenError> {
    let kept = sealed.split_off(superseded(&sealed)?);
    for segment in sealed {
        remove_segment(&segment.path).map_err(OpenError::io("remove", &segment.path))?;
    }
    Ok(kept)
}

struct Opened {
    firsts: Vec<Offset>,
    nexts: Vec<Offset>,
    sealed: Segments,
    active: Active,
}

fn assemble(
    dir: PathBuf,
    config: TopicConfig,
    machine: Arc<dyn Machine>,
    opened: Opened,
) -> (Arc<Topic>, Journal) {
    let Opened {
        firsts,
        nexts,
        sealed: mut segments,
        active,
    } = opened;
    let bounds = firsts.iter().zip(&nexts);
    let partitions = bounds
        .map(|(first, next)| Partition::on_disk(*first, *next))
        .collect();
    segments.push(Arc::clone(&active.segment));
    let identity = active.segment.segment_id.identity;
    let topic = Arc::new(Topic::new(config, identity, machine, partitions, segments));
    let journal = Journal::new(Arc::clone(&topic), dir, active, nexts);
    (topic, journal)
}

/// Opens the last segment for appending, without its torn end if it has one.
fn resume(
    machine: &dyn Machine,
    path: PathBuf,
    segment_id: SegmentId,
    partitions: usize,
) -> Result<(Active, Vec<Offset>), OpenError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(OpenError::io("open", &path))?;
    let head = SegmentHead::read(&file, &path, segment_id, partitions)?;
    let survey = Survey::of(&file, &path, &head)?;
    cut_torn_end(machine, &file, &path, segment_id, &survey, partitions)?;
    // What a killed process had written but not synced is seen from here on, so it must be safe.
    machine.sync(&file).map_err(OpenError::io("sync", &path))?;
    let created = head.created;
    let active = Active {
        file,
        segment: Arc::new(Segment::active(path, head, survey.index)),
        synced: survey.length,
        created,
    };
    Ok((active, survey.nexts))
}

fn cut_torn_end(
    machine: &dyn Machine,
    file: &File,
    path: &Path,
    segment_id: SegmentId,
    survey: &Survey,
    partitions: usize,
) -> Result<(), OpenError> {
    let mark =
        index::Stored::open(&index_path(path), segment_id, partitions).map(|index| index.covered);
    if mark.is_some_and(|covered| covered > survey.length) {
        return Err(OpenError::damaged(
            path,
            survey.length,
            "this part of the segment was complete when the log was closed",
        ));
    }
    let Some(Damage { position, what }) = survey.stopped else {
        return Ok(());
    };
    if was_synced(file, segment_id, position).map_err(OpenError::io("read", path))? {
        return Err(OpenError::damaged(
            path,
            position,
            format!("{what}, and intact ones follow"),
        ));
    }
    tracing::warn!(segment = %path.display(), position, what, "cut the torn end of the log; nothing in it was acknowledged");
    machine
        .cut(file, survey.length)
        .map_err(OpenError::io("cut", path))
}
