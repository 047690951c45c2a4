//! The one writer of a durable topic: everything that arrived during the last sync is written with
//! one write and made safe with one sync, then acknowledged. It clocks itself: alone, a record waits
//! for nothing but the disk; under load the groups grow.

mod retention;
mod compacting;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use xp_protocol::{Offset, TimeMs};

use super::files;
use super::frame::{Batch, SegmentId};
use super::group::Group;
use super::head::{SegmentHead, segment_path};
use super::index::{Index, Run};
use super::machine::Machine;
use super::queue::{Append, Taken};
use super::segment::{Segment, Segments};
use super::topic::Topic;

/// How often retention by age is looked after when nothing is appended.
const PATIENCE: Duration = Duration::from_secs(30);

/// Owns the end of the active segment.
pub(super) struct Journal {
    topic: Arc<Topic>,
    dir: PathBuf,
    active: Active,
    nexts: Vec<Offset>,
    /// Since when retention has waited for a release.
    held: Option<retention::Held>,
    /// The compaction that was begun last.
    compacting: Option<JoinHandle<()>>,
    /// Why nothing can be appended until the log is opened anew.
    stopped: Option<String>,
}

/// The segment that is appended to.
pub(super) struct Active {
    pub(super) file: File,
    pub(super) segment: Arc<Segment>,
    /// Up to here everything is on the platter; the file ends here between two groups.
    pub(super) synced: u64,
    pub(super) created: TimeMs,
}

impl Journal {
    pub(super) fn new(topic: Arc<Topic>, dir: PathBuf, active: Active, nexts: Vec<Offset>) -> Self {
        Self {
            topic,
            dir,
            active,
            nexts,
            held: None,
            compacting: None,
            stopped: None,
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Serves the topic's queue until it is closed and empty.
    pub(super) fn run(mut self) {
        self.look_after();
        loop {
            match self
                .topic
                .queue
                .take(self.topic.config.group_bytes, PATIENCE)
            {
                Taken::Group(appends) => self.commit(appends),
                Taken::Idle => self.look_after(),
                Taken::Closed => break,
            }
        }
        self.finish_compaction();
        self.leave_mark();
    }

    /// Lets go of what may go.
    fn look_after(&mut self) {
        self.retain();
        self.compact_if_due();
    }

    fn commit(&mut self, appends: Vec<Append>) {
        let now = self.topic.machine.now();
        let group = Group::arrange(appends, &self.nexts, now, self.topic.config.batch_bytes);
        match self.write(&group, now) {
            Ok(runs) => self.succeed(group, runs),
            Err(reason) => {
                tracing::error!(topic = %self.topic.config.name, reason, "records were not appended: make room on the disk of the data directory, or mend it");
                group.fail(&self.topic, &reason);
            }
        }
    }

    fn write(&mut self, group: &Group, now: TimeMs) -> Result<Vec<Run>, String> {
        if let Some(reason) = &self.stopped {
            return Err(reason.clone());
        }
        self.roll_if_due(now)?;
        let (bytes, runs) = self.encode(&group.batches);
        let machine = &*self.topic.machine;
        if let Err(error) = machine.write_at(&self.active.file, &bytes, self.active.synced) {
            return Err(self.undo_write(&error));
        }
        if let Err(error) = machine.sync(&self.active.file) {
            return Err(self.stop_after_sync(&error));
        }
        self.active.synced += bytes.len() as u64;
        Ok(runs)
    }

    fn encode(&self, batches: &[Batch]) -> (Vec<u8>, Vec<Run>) {
        let synced = self.active.synced;
        let mut bytes = Vec::new();
        let mut runs = Vec::with_capacity(batches.len());
        for batch in batches {
            let position = synced + bytes.len() as u64;
            batch.encode(self.active.segment.segment_id, position, synced, &mut bytes);
            runs.push(Run {
                base: batch.base,
                position,
                bytes: synced + bytes.len() as u64 - position,
            });
        }
        (bytes, runs)
    }

    /// Takes away what a failed write left, so that the next one can be tried.
    fn undo_write(&mut self, error: &io::Error) -> String {
        let path = self.active.segment.path.display();
        let reason = format!(
            "cannot write {path}: {error}. Nothing acknowledged is lost; make sure that the disk has space and can be written, then append again"
        );
        if let Err(error) = self
            .topic
            .machine
            .cut(&self.active.file, self.active.synced)
        {
            self.stopped = Some(format!(
                "a failed write could not be taken back from {path}: {error}. Nothing acknowledged is lost; check the disk and start the process again"
            ));
        }
        reason
    }

    /// After a failed sync the kernel may show bytes that never reached the disk, and a second sync
    /// may succeed without them. So nothing is tried again: the unsynced end is cut away, best effort,
    /// and the next opening finds out what is there.
    fn stop_after_sync(&mut self, error: &io::Error) -> String {
        let _ = self
            .topic
            .machine
            .cut(&self.active.file, self.active.synced);
        let reason = format!(
            "cannot sync {}: {error}. Nothing acknowledged is lost; check the disk and start the process again",
            self.active.segment.path.display()
        );
        self.stopped = Some(reason.clone());
        reason
    }

    fn succeed(&mut self, group: Group, runs: Vec<Run>) {
        for (batch, run) in group.batches.into_iter().zip(runs) {
            self.nexts[batch.partition.0 as usize] = batch.next();
            // The index first: who sees the batch must find it on disk too.
            self.active.segment.note(batch.partition, run);
            let partition = &self.topic.partitions[batch.partition.0 as usize];
            partition.publish(batch, self.topic.config.tail_bytes as u64);
        }
        group
            .answers
            .into_iter()
            .for_each(|answer| answer.succeed());
    }

    fn roll_if_due(&mut self, now: TimeMs) -> Result<(), String> {
        let config = &self.topic.config;
        let is_old = config
            .cleanup
            .retention()
            .age_ms
            .is_some_and(|age_ms| now.since_ms(self.active.created) > age_ms);
        let is_empty = self.active.synced <= SegmentHead::bytes(self.nexts.len()) as u64;
        if self.active.synced < config.segment_bytes && (!is_old || is_empty) {
            return Ok(());
        }
        self.roll(now)?;
        self.look_after();
        Ok(())
    }

    /// Seals the active segment and begins the next one. A crash between any two steps leaves either
    /// the old segment active, or the new one, with an index to be made again.
    fn roll(&mut self, now: TimeMs) -> Result<(), String> {
        self.leave_mark();
        let head = SegmentHead {
            segment_id: SegmentId {
                segment: self.active.segment.segment_id.segment + 1,
                ..self.active.segment.segment_id
            },
            created: now,
            bases: self.nexts.clone(),
        };
        let fresh = begin(&*self.topic.machine, &self.dir, head).map_err(|error| {
            format!("cannot begin the next segment in {}: {error}. Nothing acknowledged is lost; make sure that the disk has space, then append again", self.dir.display())
        })?;
        self.segments(|segments| segments.push(Arc::clone(&fresh.segment)));
        let sealed = std::mem::replace(&mut self.active, fresh);
        sealed.segment.seal();
        Ok(())
    }

    fn segments<T>(&self, act: impl FnOnce(&mut Segments) -> T) -> T {
        act(&mut self
            .topic
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes the active segment's index, which also says how much of it is safe.
    fn leave_mark(&self) {
        let written = self
            .active
            .segment
            .persist_index(&*self.topic.machine, self.active.synced);
        if let Err(error) = written {
            tracing::warn!(topic = %self.topic.config.name, %error, "cannot write a segment's index; it is made again when it is needed");
        }
    }
}

/// Makes an empty segment.
pub(super) fn begin(machine: &dyn Machine, dir: &Path, head: SegmentHead) -> io::Result<Active> {
    let path = segment_path(dir, head.segment_id.segment);
    let bytes = head.encode();
    let file = files::put(machine, &path, &bytes)?;
    let created = head.created;
    let index = Index::new(head.bases.len());
    Ok(Active {
        file,
        segment: Arc::new(Segment::active(path, head, index)),
        synced: bytes.len() as u64,
        created,
    })
}
