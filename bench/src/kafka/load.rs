//! Commands at fixed moments over many sockets, and their replies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::pace::{Pace, Run};
use crate::client::{Client, head, put};
use crate::figures::now;
use crate::node::Door;
use crate::wire;

const SOCKETS: u32 = 50;
const BYTES: usize = 100;
/// How long a round waits for the last replies.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Load {
    writers: Arc<Vec<OwnedWriteHalf>>,
    /// Which socket got which reply, and when.
    replies: mpsc::UnboundedReceiver<(u32, u64, Instant)>,
    /// Commands that each socket has sent.
    sent: u64,
}

impl Load {
    /// One session on one entity for each socket.
    pub(super) async fn join(door: &Door) -> Result<Self> {
        let (heard, replies) = mpsc::unbounded_channel();
        let mut writers = Vec::new();
        for socket in 0..SOCKETS {
            let client = Client::join(door, &format!("cell/{socket}"), socket).await?;
            let (stream, unread) = client.into_wire().into_parts();
            let (reader, writer) = stream.into_split();
            writers.push(writer);
            tokio::spawn(listen(socket, reader, unread, heard.clone()));
        }
        Ok(Self {
            writers: Arc::new(writers),
            replies,
            sent: 0,
        })
    }

    pub(super) async fn run(&mut self, pace: Pace) -> Result<Run> {
        let (writers, sent) = (Arc::clone(&self.writers), self.sent);
        let began = now() + Duration::from_millis(50);
        let sending = tokio::task::spawn_blocking(move || {
            let payload = put(BYTES);
            pace.keep(began, |index| {
                let number = sent + u64::from(index / SOCKETS) + 1;
                let frame = wire::text(format!("send {number} {payload}").as_bytes());
                write(&writers[(index % SOCKETS) as usize], &frame)
            })
        });
        let mut latencies = Vec::new();
        while (latencies.len() as u64) < pace.count() {
            let reply = tokio::time::timeout(PATIENCE, self.replies.recv()).await;
            let (socket, number, at) = reply
                .context("replies are missing")?
                .context("all sockets ended")?;
            let index = u32::try_from(number - sent - 1)? * SOCKETS + socket;
            latencies.push(at.saturating_duration_since(pace.moment(began, index)));
        }
        self.sent += pace.count() / u64::from(SOCKETS);
        let achieved = sending.await??;
        Ok(Run {
            latencies,
            achieved,
        })
    }
}

/// Frames are far smaller than the kernel's buffer.
fn write(writer: &OwnedWriteHalf, frame: &Bytes) -> Result<()> {
    if writer.try_write(frame)? != frame.len() {
        bail!("the server reads too slowly");
    }
    Ok(())
}

async fn listen(
    socket: u32,
    mut reader: OwnedReadHalf,
    mut unread: BytesMut,
    heard: mpsc::UnboundedSender<(u32, u64, Instant)>,
) -> Result<()> {
    loop {
        while let Some((_, frame)) = wire::taken(&mut unread) {
            if let Ok((b"reply", number)) = head(&frame) {
                heard.send((socket, number, now()))?;
            }
        }
        if reader.read_buf(&mut unread).await? == 0 {
            return Ok(());
        }
    }
}
