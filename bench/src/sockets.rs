//! Sockets of the generator under load: one thread reads them in large chunks into one buffer, and looks at frames where
//! they lie.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Result, bail};
use bytes::Bytes;

use crate::figures::now;
use crate::frames::{BINARY, CLOSE, PING, TEXT, scan};
use crate::http;
use crate::poller::Poller;
use crate::wire::{Wire, pong};

/// As much as the kernel keeps for one socket, or more.
const CHUNK: usize = 1 << 20;

/// The form of what comes from a server.
#[derive(Clone, Copy)]
pub(crate) enum Framing {
    Websocket,
    /// Answers of HTTP/1.1, shown whole.
    Http,
}

pub(crate) struct Sockets {
    poller: Poller,
    framing: Framing,
    sockets: Vec<Socket>,
    chunk: Vec<u8>,
    /// Reads that brought something, and the frames in them.
    reads: u64,
    frames: u64,
    open: usize,
    closed: u64,
}

struct Socket {
    stream: TcpStream,
    /// The beginning of a frame.
    rest: Vec<u8>,
}

/// A frame that carries something.
pub(crate) struct Heard<'a> {
    pub(crate) socket: usize,
    pub(crate) payload: &'a [u8],
    pub(crate) at: Instant,
}

impl Sockets {
    /// In this order they are numbered from 0.
    pub(crate) fn of(wires: Vec<Wire>, framing: Framing) -> Result<Self> {
        let poller = Poller::new()?;
        let mut sockets = Vec::with_capacity(wires.len());
        for wire in wires {
            let (stream, unread) = wire.into_parts();
            let stream = stream.into_std()?;
            poller.add(&stream, sockets.len())?;
            sockets.push(Socket {
                stream,
                rest: unread.to_vec(),
            });
        }
        Ok(Self {
            poller,
            framing,
            open: sockets.len(),
            sockets,
            chunk: vec![0; CHUNK],
            reads: 0,
            frames: 0,
            closed: 0,
        })
    }

    /// How many frames a read brought, on average, since the last call: about as many as the server wrote at once.
    pub(crate) fn frames_per_read(&mut self) -> f64 {
        let (frames, reads) = (self.frames, self.reads.max(1));
        (self.frames, self.reads) = (0, 0);
        frames as f64 / reads as f64
    }

    /// Sockets that the server has not closed.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// Sockets that the server has closed since the last call.
    pub(crate) fn closed(&mut self) -> u64 {
        std::mem::take(&mut self.closed)
    }

    /// Sends bytes, which are far fewer than the kernel's buffer takes. That a socket has ended shows when it is read.
    pub(crate) fn send(&self, socket: usize, bytes: &[u8]) -> Result<()> {
        let written = (&self.sockets[socket].stream).write(bytes);
        match written {
            Ok(all) if all == bytes.len() => Ok(()),
            Ok(_) => bail!("the server reads too slowly"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                bail!("the server reads too slowly")
            }
            Err(_) => Ok(()),
        }
    }

    /// Shows the frames that have come, and sends what is to be answered at once; waits for some until then.
    pub(crate) fn listen(
        &mut self,
        until: Instant,
        mut on: impl FnMut(Heard<'_>) -> Result<Option<Bytes>>,
    ) -> Result<()> {
        let mut gone = Vec::new();
        for socket in self.poller.wait(until)? {
            let Socket { stream, rest } = &mut self.sockets[socket];
            let kept = rest.len();
            self.chunk[..kept].copy_from_slice(rest);
            let read = match stream.read(&mut self.chunk[kept..]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Ok(0) | Err(_) => {
                    gone.push(socket);
                    continue;
                }
                Ok(read) => read,
            };
            let (at, mut result) = (now(), Ok(()));
            let frames = &mut self.frames;
            let before = *frames;
            let mut show = |first, payload: &[u8]| match first {
                TEXT | BINARY => {
                    *frames += 1;
                    if result.is_ok() {
                        let answer = on(Heard {
                            socket,
                            payload,
                            at,
                        });
                        result = answer.and_then(|answer| match answer {
                            Some(answer) => Ok(stream.write_all(&answer)?),
                            None => Ok(()),
                        });
                    }
                }
                PING => result = stream.write_all(&pong(payload)).map_err(Into::into),
                CLOSE => eprintln!("a socket is closed: {}", String::from_utf8_lossy(payload)),
                _ => {}
            };
            let came = &self.chunk[..kept + read];
            let taken = match self.framing {
                Framing::Websocket => scan(came, show),
                Framing::Http => http::scan(came, |answer| show(TEXT, answer)),
            };
            self.reads += u64::from(*frames > before);
            rest.clear();
            rest.extend(&self.chunk[taken..kept + read]);
            result?;
        }
        for socket in gone {
            // Its end would be ready to be read for ever.
            self.poller.remove(&self.sockets[socket].stream)?;
            self.closed += 1;
            self.open -= 1;
        }
        Ok(())
    }
}
