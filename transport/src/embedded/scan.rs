//! Reading a segment file frame by frame, and telling a torn end from damage.

use std::borrow::Borrow;
use std::fs::File;
use std::io;

use bytes::{Bytes, BytesMut};

use super::frame::{self, Batch, Damage, HEAD_BYTES, Head, MAGIC, Place};
use super::head::read_at_most;

/// How much a scan reads at once.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Walks the frames of a segment from a position to the end.
pub(super) struct Scan<F> {
    file: F,
    place: Place,
    position: u64,
    window: Bytes,
}

/// One intact frame and where it lies.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) position: u64,
    pub(super) bytes: u64,
    pub(super) batch: Batch,
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
    pub(super) fn new(file: F, place: Place, position: u64) -> Self {
        Self {
            file,
            place,
            position,
            window: Bytes::new(),
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
    pub(super) fn next(&mut self) -> Result<Option<Found>, Stop> {
        self.want(HEAD_BYTES)?;
        if self.window.is_empty() {
            return Ok(None);
        }
        let announced = Head::decode(&self.window).map_or(0, |head| head.frame_bytes());
        if announced > self.window.len() as u64 && announced <= self.file().metadata()?.len() {
            self.want(usize::try_from(announced).unwrap_or(usize::MAX))?;
        }
        let (head, batch) =
            frame::decode(&self.window, self.place, self.position).map_err(Stop::Damaged)?;
        Ok(Some(self.step(&head, batch)))
    }

    fn step(&mut self, head: &Head, batch: Batch) -> Found {
        let found = Found {
            position: self.position,
            bytes: head.frame_bytes(),
            batch,
        };
        let size = usize::try_from(found.bytes).expect("the frame was just decoded from memory");
        self.window = self.window.slice(size..);
        self.position += found.bytes;
        found
    }

    /// Makes the window hold `bytes` bytes, if the file does.
    fn want(&mut self, bytes: usize) -> io::Result<()> {
        if self.window.len() >= bytes {
            return Ok(());
        }
        let mut fresh = BytesMut::zeroed(bytes.max(CHUNK_BYTES));
        let got = read_at_most(self.file(), &mut fresh, self.position)?;
        fresh.truncate(got);
        self.window = fresh.freeze();
        Ok(())
    }
}

/// Whether something behind `damaged` proves that the bytes there had been synced: an intact frame
/// that was written when the segment was already safe beyond `damaged`. Frames of the same write as
/// the damaged one prove nothing, because a power loss may keep any of its pages.
pub(super) fn was_synced(file: &File, place: Place, damaged: u64) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut bytes = vec![0; usize::try_from(length.saturating_sub(damaged)).unwrap_or(usize::MAX)];
    let got = read_at_most(file, &mut bytes, damaged)?;
    bytes.truncate(got);
    Ok((1..bytes.len()).any(|at| proves(&bytes[at..], place, damaged + at as u64, damaged)))
}

fn proves(bytes: &[u8], place: Place, position: u64, damaged: u64) -> bool {
    if !bytes.starts_with(&MAGIC) {
        return false;
    }
    Head::decode(bytes).is_some_and(|head| {
        let size = usize::try_from(head.frame_bytes()).unwrap_or(usize::MAX);
        let frame = bytes.get(..size);
        head.synced > damaged && frame.is_some_and(|frame| head.is_intact(frame, place, position))
    })
}
