//! The sending half of a socket: writes whole frames, many at once.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// How many frames go into one write.
const FRAMES_PER_WRITE: usize = 64;
/// With more than this waiting, the connection reads no further: a client that does not listen is not heard.
const BACKLOG_BYTES_MAX: usize = 256 << 10;

struct Queued {
    rest: Bytes,
    /// Its size, when it counts towards the send queue's bounds.
    counted: Option<usize>,
}

/// The frames, and their bytes, that a client's socket has taken and that no longer count towards the bounds of its send
/// queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrote {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

/// The sending half of a socket.
pub(crate) struct Writer {
    write: Box<dyn AsyncWrite + Send + Unpin>,
    queue: VecDeque<Queued>,
    bytes: usize,
    /// Part of the first frame is out, so the rest of it must follow.
    started: bool,
    unflushed: bool,
    /// What was written and not told yet.
    wrote: Wrote,
}

impl Writer {
    pub(crate) fn new(write: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            write: Box::new(write),
            queue: VecDeque::new(),
            bytes: 0,
            started: false,
            unflushed: false,
            wrote: Wrote::default(),
        }
    }

    pub(crate) fn push(&mut self, frame: Bytes) {
        self.add(frame, None);
    }

    pub(crate) fn push_counted(&mut self, frame: Bytes) {
        let counted = Some(frame.len());
        self.add(frame, counted);
    }

    fn add(&mut self, rest: Bytes, counted: Option<usize>) {
        self.bytes += rest.len();
        self.queue.push_back(Queued { rest, counted });
    }

    pub(crate) fn has_more(&self) -> bool {
        !self.queue.is_empty() || self.unflushed
    }

    pub(crate) fn has_room(&self) -> bool {
        self.bytes <= BACKLOG_BYTES_MAX
    }

    /// Leaves out what the client has not begun to receive.
    pub(crate) fn drop_unstarted(&mut self) {
        self.queue.truncate(usize::from(self.started));
        self.bytes = self.queue.iter().map(|queued| queued.rest.len()).sum();
    }

    /// One vectored write, and what it brought to its end. Cancel-safe: what was written is kept account
    /// of, and told by the next call.
    pub(crate) async fn write_some(&mut self) -> io::Result<Wrote> {
        poll_fn(|cx| self.poll_some(cx)).await?;
        Ok(std::mem::take(&mut self.wrote))
    }

    /// Writes as much as the socket takes without waiting. What it does not take stays, and [`Writer::has_more`]: nobody
    /// is woken for it, so whoever comes next must wait with [`Writer::write_some`].
    pub(crate) fn write_now(&mut self) -> io::Result<Wrote> {
        let mut cx = Context::from_waker(Waker::noop());
        while self.has_more()
            && let Poll::Ready(wrote) = self.poll_some(&mut cx)
        {
            wrote?;
        }
        Ok(std::mem::take(&mut self.wrote))
    }

    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.queue.is_empty() {
            let bytes = ready!(self.poll_write(cx))?;
            self.advance(bytes);
        }
        if self.queue.is_empty() {
            ready!(Pin::new(&mut self.write).poll_flush(cx))?;
            self.unflushed = false;
            self.queue.shrink_to(FRAMES_PER_WRITE);
        }
        Poll::Ready(Ok(()))
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
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        while self.has_more() {
            self.write_some().await?;
        }
        self.write.shutdown().await
    }
}
