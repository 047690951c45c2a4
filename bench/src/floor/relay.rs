//! A bare relay: preframed frames from one socket, as they are, to all others. Nothing is parsed, queued or stored.

use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context, Result};

use super::door;
use crate::figures::now;
use crate::poller::Poller;

/// How long what does not fill a write waits for more.
const PATIENCE: Duration = Duration::from_millis(50);
const CHUNK: usize = 1 << 16;

const LISTENER: usize = 0;

pub(super) fn serve(per_write: usize, frame_bytes: usize) -> Result<()> {
    let listener = door::listen()?;
    let mut publisher = door::accept(&listener, |_| Ok(()))?;
    let mut subscribers = Vec::new();
    let mut poller = Poller::new()?;
    poller.add(&listener, LISTENER)?;
    poller.add(&publisher, LISTENER + 1)?;
    let full = per_write * frame_bytes;
    let (mut waiting, mut chunk) = (Vec::with_capacity(2 * CHUNK), vec![0; CHUNK]);
    loop {
        let mut is_quiet = true;
        for key in poller.wait(now() + PATIENCE)? {
            is_quiet = false;
            if key == LISTENER {
                subscribers.push(door::accept(&listener, |_| Ok(()))?);
                continue;
            }
            let read = publisher.read(&mut chunk)?;
            std::num::NonZero::new(read).context("the benchmark is over")?;
            waiting.extend(&chunk[..read]);
        }
        while waiting.len() >= full || is_quiet && !waiting.is_empty() {
            let frames = &waiting[..full.min(waiting.len())];
            for mut subscriber in &subscribers {
                subscriber.write_all(frames)?;
            }
            waiting.drain(..full.min(waiting.len()));
        }
    }
}
