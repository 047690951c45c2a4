//! Readiness of all nodes over HTTP, asked for again and again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::owners::pause;
use crate::figures::now;

/// How often all are asked.
const LOOK: Duration = Duration::from_millis(50);
/// How long one may think about the question; one that does not answer is not ready.
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);
/// For how long all must have been ready: who has not noticed yet is ready for a moment.
const CALM: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until all of them are ready and stay so, and says when that began.
pub(super) fn all_ready(nodes: &[SocketAddr]) -> Result<Instant> {
    let began = now();
    let mut since = None;
    while began.elapsed() < PATIENCE {
        let asked = now();
        match nodes.iter().all(|node| is_ready(*node)) {
            true => drop(since.get_or_insert(asked)),
            false => since = None,
        }
        if let Some(since) = since.filter(|since| since.elapsed() >= CALM) {
            return Ok(since);
        }
        pause(LOOK);
    }
    bail!("not all nodes are ready within {PATIENCE:?}")
}

fn is_ready(node: SocketAddr) -> bool {
    answer(node).is_ok_and(|answer| says_ready(&answer))
}

fn says_ready(answer: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200")
}

fn answer(node: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect_timeout(&node, ANSWERS_WITHIN)?;
    socket.set_read_timeout(Some(ANSWERS_WITHIN))?;
    socket.write_all(b"GET /ready HTTP/1.0\r\nHost: bench\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut piece = [0; 512];
    // The status line is enough.
    while !answer.contains(&b'\n') {
        match socket.read(&mut piece)? {
            0 => break,
            read => answer.extend_from_slice(&piece[..read]),
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_200_is_ready() {
        assert!(says_ready(b"HTTP/1.1 200 OK\r\n"));
        assert!(says_ready(b"HTTP/1.0 200 OK\r\n"));
        assert!(!says_ready(b"HTTP/1.1 503 Service Unavailable\r\n200"));
        assert!(!says_ready(b""));
    }
}
