//! The writer of a socket: whole frames, many in one write.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// How many frames go into one write.
const FRAMES_PER_WRITE: usize = 64;
/// With more than this waiting, the connection reads no further: a client that does not listen is not heard.
const BACKLOG_BYTES_MAX: usize = 256 << 10;

struct Queued {
    rest: Bytes,
    /// Its size, when it counts towards the outlet's bounds.
    counted: Option<usize>,
}

/// What left the bounds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wrote {
    pub(super) frames: usize,
    pub(super) bytes: usize,
}

/// The sending half of a socket.
pub(super) struct Writer<W> {
    write: W,
    queue: VecDeque<Queued>,
    bytes: usize,
    /// Part of the first frame is out, so the rest of it must follow.
    started: bool,
    unflushed: bool,
    /// What was written and not told yet.
    wrote: Wrote,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(super) fn new(write: W) -> Self {
        Self {
            write,
            queue: VecDeque::new(),
            bytes: 0,
            started: false,
            unflushed: false,
            wrote: Wrote::default(),
        }
    }

    pub(super) fn push(&mut self, frame: Bytes) {
        self.add(frame, None);
    }

    pub(super) fn push_counted(&mut self, frame: Bytes) {
        let counted = Some(frame.len());
        self.add(frame, counted);
    }

    fn add(&mut self, rest: Bytes, counted: Option<usize>) {
        self.bytes += rest.len();
        self.queue.push_back(Queued { rest, counted });
    }

    pub(super) fn has_more(&self) -> bool {
        !self.queue.is_empty() || self.unflushed
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes <= BACKLOG_BYTES_MAX
    }

    /// Leaves out what the client has not begun to receive.
    pub(super) fn drop_unstarted(&mut self) {
        self.queue.truncate(usize::from(self.started));
        self.bytes = self.queue.iter().map(|queued| queued.rest.len()).sum();
    }

    /// One vectored write, and what it brought to its end. Cancel-safe: what was written is kept account
    /// of, and told by the next call.
    pub(super) async fn write_some(&mut self) -> io::Result<Wrote> {
        if !self.queue.is_empty() {
            let bytes = poll_fn(|cx| self.poll_write(cx)).await?;
            self.advance(bytes);
        }
        if self.queue.is_empty() {
            self.write.flush().await?;
            self.unflushed = false;
            self.queue.shrink_to(FRAMES_PER_WRITE);
        }
        Ok(std::mem::take(&mut self.wrote))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE];
        let mut count = 0;
        for (slice, queued) in slices.iter_mut().zip(&self.queue) {
            *slice = IoSlice::new(&queued.rest);
            count += 1;
        }
        match Pin::new(&mut self.write).poll_write_vectored(cx, &slices[..count]) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            polled => polled,
        }
    }

    fn advance(&mut self, mut bytes: usize) {
        self.unflushed = true;
        self.bytes -= bytes;
        while let Some(first) = self.queue.front_mut() {
            if bytes < first.rest.len() {
                first.rest.advance(bytes);
                self.started |= bytes > 0;
                return;
            }
            bytes -= first.rest.len();
            if let Some(size) = first.counted {
                self.wrote.frames += 1;
                self.wrote.bytes += size;
            }
            self.queue.pop_front();
            self.started = false;
        }
    }

    /// Writes all that is left and ends the sending half.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        while self.has_more() {
            self.write_some().await?;
        }
        self.write.shutdown().await
    }
}
