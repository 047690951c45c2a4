//! Reading a segment file frame by frame, and telling a torn end from damage.

use std::borrow::Borrow;
use std::fs::File;
use std::io;
use std::ops::Range;

use bytes::Bytes;

use super::frame::{self, Batch, Damage, HEAD_BYTES, Head, MAGIC, SegmentId};
use super::head::read_at_most;

/// How much a scan reads at once.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Walks the frames of a segment from a position to the end. Reads each byte once and copies none.
pub(super) struct Scan<F> {
    file: F,
    segment_id: SegmentId,
    position: u64,
    window: Vec<u8>,
    /// The part of the window that was read and not yet walked over.
    unread: Range<usize>,
}

/// One intact frame and where it lies.
pub(super) struct Found<'a> {
    pub(super) position: u64,
    pub(super) head: Head,
    frame: &'a [u8],
    segment_id: SegmentId,
}

impl Found<'_> {
    /// The frame's records.
    pub(super) fn batch(&self) -> Result<Batch, Damage> {
        let bytes = Bytes::copy_from_slice(self.frame);
        frame::decode(&bytes, self.segment_id, self.position).map(|(_, batch)| batch)
    }
}

/// How a scan stopped.
#[derive(Debug)]
pub(super) enum Stop {
    Damaged(Damage),
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl<F: Borrow<File>> Scan<F> {
    pub(super) fn new(file: F, segment_id: SegmentId, position: u64) -> Self {
        Self {
            file,
            segment_id,
            position,
            window: Vec::new(),
            unread: 0..0,
        }
    }

    pub(super) fn file(&self) -> &File {
        self.file.borrow()
    }

    /// The end of the last frame returned.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next frame; `None` at the very end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Found<'_>>, Stop> {
        self.want(HEAD_BYTES)?;
        if self.unread.is_empty() {
            return Ok(None);
        }
        let announced = Head::decode(self.ahead()).map_or(0, |head| head.frame_bytes());
        if announced > self.unread.len() as u64 && announced <= self.file().metadata()?.len() {
            self.want(usize::try_from(announced).unwrap_or(usize::MAX))?;
        }
        let head =
            frame::check(self.ahead(), self.segment_id, self.position).map_err(Stop::Damaged)?;
        Ok(Some(self.step(head)))
    }

    /// Lets the next frame be read from the file again.
    pub(super) fn forget_ahead(&mut self) {
        self.unread = 0..0;
    }

    fn ahead(&self) -> &[u8] {
        &self.window[self.unread.clone()]
    }

    fn step(&mut self, head: Head) -> Found<'_> {
        let size =
            usize::try_from(head.frame_bytes()).expect("the frame was just checked in memory");
        let start = self.unread.start;
        let position = self.position;
        self.unread.start += size;
        self.position += head.frame_bytes();
        Found {
            position,
            head,
            frame: &self.window[start..start + size],
            segment_id: self.segment_id,
        }
    }

    /// Makes the window hold `bytes` bytes ahead, if the file does.
    fn want(&mut self, bytes: usize) -> io::Result<()> {
        if self.unread.len() >= bytes {
            return Ok(());
        }
        let size = bytes.max(CHUNK_BYTES).max(self.window.len());
        self.window.resize(size, 0);
        let got = read_at_most(self.file.borrow(), &mut self.window, self.position)?;
        self.unread = 0..got;
        Ok(())
    }
}

/// Whether something behind `damaged` proves that the bytes there had been synced: an intact frame
/// that was written when the segment was already safe beyond `damaged`. Frames of the same write as
/// the damaged one prove nothing, because a power loss may keep any of its pages.
pub(super) fn was_synced(file: &File, segment_id: SegmentId, damaged: u64) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut bytes = vec![0; usize::try_from(length.saturating_sub(damaged)).unwrap_or(usize::MAX)];
    let got = read_at_most(file, &mut bytes, damaged)?;
    bytes.truncate(got);
    Ok((1..bytes.len()).any(|at| proves(&bytes[at..], segment_id, damaged + at as u64, damaged)))
}

fn proves(bytes: &[u8], segment_id: SegmentId, position: u64, damaged: u64) -> bool {
    if !bytes.starts_with(&MAGIC) {
        return false;
    }
    Head::decode(bytes).is_some_and(|head| {
        let size = usize::try_from(head.frame_bytes()).unwrap_or(usize::MAX);
        let frame = bytes.get(..size);
        head.synced > damaged
            && frame.is_some_and(|frame| head.is_intact(frame, segment_id, position))
    })
}
