//! A segment file that is written anew, with holes where records were.

use std::fs::File;
use std::io;
use std::path::Path;

use xp_protocol::{Offset, PartitionId, TimeMs};

use super::frame::Batch;
use super::head::SegmentHead;
use super::index::{Index, Run};
use super::machine::Machine;

/// How much is written at once.
const WRITE_BYTES: usize = 1 << 20;
/// How much is synced at once, so that other topics never wait for the disk to take all of it.
const SYNC_BYTES: u64 = 8 << 20;

/// The file so far.
pub(super) struct Rewriting<'a> {
    machine: &'a dyn Machine,
    file: File,
    head: SegmentHead,
    /// The offset behind the last record or hole of each partition.
    nexts: Vec<Offset>,
    index: Index,
    /// What is in the file, and what of it is synced.
    written: u64,
    synced: u64,
    waiting: Vec<u8>,
}

impl<'a> Rewriting<'a> {
    /// Begins the file at `path` with this head.
    pub(super) fn begin(
        machine: &'a dyn Machine,
        path: &Path,
        head: SegmentHead,
    ) -> io::Result<Self> {
        Ok(Self {
            machine,
            file: machine.create(path)?,
            nexts: head.bases.clone(),
            index: Index::new(head.bases.len()),
            written: 0,
            synced: 0,
            waiting: head.encode(),
            head,
        })
    }

    fn position(&self) -> u64 {
        self.written + self.waiting.len() as u64
    }

    /// The next records of a partition, behind a hole if there are some missing.
    pub(super) fn put(&mut self, batch: &Batch) -> io::Result<()> {
        self.hole(batch.partition, batch.base);
        let position = self.position();
        batch.encode(self.head.segment_id, position, 0, &mut self.waiting);
        self.note(batch.partition, batch.base, position, batch.next());
        if self.waiting.len() >= WRITE_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn note(&mut self, partition: PartitionId, base: Offset, position: u64, next: Offset) {
        let bytes = self.position() - position;
        let run = Run {
            base,
            position,
            bytes,
        };
        self.index.add(partition, run);
        self.nexts[partition.0 as usize] = next;
    }

    /// Says that there is nothing up to `upto`.
    fn hole(&mut self, partition: PartitionId, upto: Offset) {
        loop {
            let base = self.nexts[partition.0 as usize];
            let missing = upto.0.saturating_sub(base.0);
            if missing == 0 {
                return;
            }
            let count = u32::try_from(missing).unwrap_or(u32::MAX);
            let hole = Batch {
                partition,
                base,
                time: TimeMs(0),
                records: Vec::new(),
            };
            let position = self.position();
            hole.encode_hole(count, self.head.segment_id, position, &mut self.waiting);
            self.note(partition, base, position, Offset(base.0 + u64::from(count)));
        }
    }

    fn write(&mut self) -> io::Result<()> {
        self.machine
            .write_at(&self.file, &self.waiting, self.written)?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        if self.written - self.synced >= SYNC_BYTES {
            self.machine.sync(&self.file)?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Ends where the next segment begins: all of the file is on the platter. Returns its index.
    pub(super) fn finish(mut self, nexts: &[Offset]) -> io::Result<Vec<u8>> {
        for (partition, next) in (0..).map(PartitionId).zip(nexts) {
            self.hole(partition, *next);
        }
        self.write()?;
        self.machine.sync(&self.file)?;
        Ok(self.index.encode(self.head.segment_id, self.written))
    }
}
