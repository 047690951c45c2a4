//! A websocket of the generator's own, cheap enough that a thousand of them do not measure the generator.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TEXT: u8 = 0x81;
const PONG: u8 = 0x8a;
/// Opcode, mask bit and length for more than 125 bytes, and a mask that changes nothing.
const MASKED: u8 = 0x80;
const MASK: u32 = 0;

pub(crate) struct Wire {
    stream: TcpStream,
    unread: BytesMut,
    out: BytesMut,
}

impl Wire {
    /// Opens the socket alone.
    pub(crate) async fn connect(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            unread: BytesMut::with_capacity(4096),
            out: BytesMut::new(),
        })
    }

    /// Opens the socket and shakes hands.
    pub(crate) async fn open(addr: SocketAddr, path: &str, token: &str) -> Result<Self> {
        let mut wire = Self::connect(addr).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {addr}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\
             sec-websocket-protocol: xp.v1\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        wire.stream.write_all(request.as_bytes()).await?;
        wire.head().await?;
        Ok(wire)
    }

    async fn head(&mut self) -> Result<()> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill().await?;
        };
        let head = self.unread.split_to(end);
        if !head.starts_with(b"HTTP/1.1 101") {
            bail!(
                "the handshake was answered {}",
                String::from_utf8_lossy(&head)
            );
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        self.unread.reserve(4096);
        if self.stream.read_buf(&mut self.unread).await? == 0 {
            bail!("the server closed the socket");
        }
        Ok(())
    }

    /// Queues a text frame; [`flush`](Self::flush) sends what is queued.
    pub(crate) fn queue(&mut self, text: &[u8]) {
        self.frame(TEXT, text);
    }

    fn frame(&mut self, first: u8, payload: &[u8]) {
        frame(&mut self.out, first, payload);
    }

    /// The stream, and what was read from it already.
    pub(crate) fn into_parts(self) -> (TcpStream, BytesMut) {
        (self.stream, self.unread)
    }

    pub(crate) async fn flush(&mut self) -> Result<()> {
        self.stream.write_all_buf(&mut self.out).await?;
        Ok(())
    }

    /// The next frame that carries something.
    pub(crate) async fn next(&mut self) -> Result<Bytes> {
        loop {
            let Some((first, payload)) = taken(&mut self.unread) else {
                self.fill().await?;
                continue;
            };
            match first & 0x0f {
                0x1 | 0x2 => return Ok(payload),
                0x9 => {
                    self.frame(PONG, &payload);
                    self.flush().await?;
                }
                0x8 => {
                    let code = payload.get(..2).map(|mut code| code.get_u16());
                    bail!("the server closed with {}", code.context("no code")?);
                }
                other => bail!("a frame of kind {other} came"),
            }
        }
    }
}

fn frame(out: &mut BytesMut, first: u8, payload: &[u8]) {
    out.put_u8(first);
    match payload.len() {
        short @ 0..126 => out.put_u8(MASKED | short as u8),
        long => {
            out.put_u8(MASKED | 126);
            out.put_u16(u16::try_from(long).expect("the generator's frames are small"));
        }
    }
    out.put_u32(MASK);
    out.put_slice(payload);
}

/// A text frame as a client sends it.
pub(crate) fn text(payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 8);
    frame(&mut out, TEXT, payload);
    out.freeze()
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 8);
    frame(&mut out, PONG, payload);
    out.freeze()
}

/// A whole frame, if one was read: its first byte and its payload.
pub(crate) fn taken(unread: &mut BytesMut) -> Option<(u8, Bytes)> {
    let (&first, &short) = (unread.first()?, unread.get(1)?);
    let (head, len) = match short {
        126 => (4, usize::from(unread.get(2..4)?.get_u16())),
        127 => (10, unread.get(2..10)?.get_u64() as usize),
        short => (2, usize::from(short)),
    };
    if unread.len() < head + len {
        return None;
    }
    unread.advance(head);
    Some((first, unread.split_to(len).freeze()))
}
