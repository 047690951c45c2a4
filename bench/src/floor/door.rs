//! The door of a bare server: it accepts, reads the request and says what the platform says to a new client.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Result, bail};

use crate::frames::append;

/// The answer to the key that the generator always sends; nobody looks at it.
const UPGRADE: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: xp.v1\r\n\r\n";
/// A request is shorter.
const HEAD_MAX: usize = 8_192;

/// Listens on a port that is free, and prints where.
#[expect(clippy::print_stdout, reason = "the benchmark waits for this line")]
pub(super) fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("bare, on ws://{}", listener.local_addr()?);
    Ok(listener)
}

/// The next client: its request is checked, and answered with an upgrade and a welcome. It blocks, for a client says at
/// once what it wants.
pub(super) fn accept(
    listener: &TcpListener,
    check: impl FnOnce(&[u8]) -> Result<()>,
) -> Result<TcpStream> {
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut head = vec![0; HEAD_MAX];
    let mut read = 0;
    while !head[..read].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[read..])? {
            0 => bail!("no request came"),
            more => read += more,
        }
    }
    check(&head[..read])?;
    let mut answer = UPGRADE.to_vec();
    append(&mut answer, b"welcome 1 0 fresh []");
    stream.write_all(&answer)?;
    Ok(stream)
}
