//! A bare echo: what came together is appended and synced once, if that is wanted, and then answered.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::door;
use crate::figures::now;
use crate::frames::{append, scan};
use crate::poller::Poller;

/// A record of the log for a command of 100 bytes: there is room for an envelope.
const RECORD: [u8; 512] = [7; 512];
const CHUNK: usize = 1 << 16;
const A_WHILE: Duration = Duration::from_secs(1);

const LISTENER: usize = 0;

struct Socket {
    stream: TcpStream,
    /// The beginning of a frame.
    rest: Vec<u8>,
    answers: Vec<u8>,
}

pub(super) fn serve(sync: Option<PathBuf>) -> Result<()> {
    let mut log = sync.map(File::create).transpose()?;
    let listener = door::listen()?;
    let mut poller = Poller::new()?;
    poller.add(&listener, LISTENER)?;
    let mut sockets: Vec<Socket> = Vec::new();
    let mut chunk = vec![0; CHUNK];
    let (mut records, mut answered) = (Vec::new(), Vec::new());
    loop {
        let ready: Vec<usize> = poller.wait(now() + A_WHILE)?.collect();
        for key in ready {
            if key == LISTENER {
                let stream = door::accept(&listener, |_| Ok(()))?;
                sockets.push(Socket::of(stream));
                poller.add(&sockets[sockets.len() - 1].stream, sockets.len())?;
                continue;
            }
            let socket = &mut sockets[key - 1];
            match socket.read(&mut chunk) {
                Some(frames) => records.extend(std::iter::repeat_n(RECORD, frames)),
                None => poller.remove(&socket.stream)?,
            }
            answered.push(key - 1);
        }
        if let Some(log) = log.as_mut().filter(|_| !records.is_empty()) {
            log.write_all(records.as_flattened())?;
            log.sync_data()?;
        }
        records.clear();
        for socket in answered.drain(..) {
            let Socket {
                stream, answers, ..
            } = &mut sockets[socket];
            // Who has gone meanwhile is noticed by the next look.
            let _ = stream.write_all(answers);
            answers.clear();
        }
    }
}

impl Socket {
    fn of(stream: TcpStream) -> Self {
        Self {
            stream,
            rest: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// How many frames came; nothing at the end.
    fn read(&mut self, chunk: &mut [u8]) -> Option<usize> {
        let read = self.stream.read(chunk).ok().filter(|read| *read > 0)?;
        self.rest.extend(&chunk[..read]);
        let (answers, mut frames) = (&mut self.answers, 0);
        let taken = scan(&self.rest, |_, payload| {
            append(answers, payload);
            frames += 1;
        });
        self.rest.drain(..taken);
        Some(frames)
    }
}
