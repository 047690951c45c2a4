//! A question over HTTP whether a process is ready, as a load balancer asks it.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use xp_background::wait_for;

/// How long one answer may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// How many times in a row it must say so: right after a start placement may give it more to do.
const TIMES: u32 = 5;

/// Waits until it is ready, and stays so; the error says what it said last.
pub(super) fn wait(at: &str, within: Duration) -> Result<()> {
    let (mut times, mut last) = (0, String::new());
    let ready = wait_for(within, || {
        match ask(at) {
            Ok(Answer { status: 200, .. }) => times += 1,
            Ok(answer) => (times, last) = (0, answer.body),
            Err(error) => (times, last) = (0, format!("{error:#}")),
        }
        (times == TIMES).then_some(())
    });
    if ready.is_none() {
        bail!("not ready within {within:?}: {}", last.trim());
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    body: String,
}

fn ask(at: &str) -> Result<Answer> {
    let address = at
        .parse()
        .with_context(|| format!("{at:?} is no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, ANSWERED_WITHIN)?;
    stream.set_read_timeout(Some(ANSWERED_WITHIN))?;
    // In one piece: who answers after the first one may have closed before the next.
    let request = format!("GET /ready HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    parse(&answer)
}

fn parse(answer: &str) -> Result<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|code| code.parse().ok());
    Ok(Answer {
        status: status.with_context(|| format!("that is no HTTP: {head:?}"))?,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Answers each request with the next status, and with the last one from then on.
    fn server(statuses: &'static [u16]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for index in 0.. {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 512];
                let _ = stream.read(&mut request);
                let status = statuses[index.min(statuses.len() - 1)];
                let answer = format!("HTTP/1.1 {status} X\r\n\r\nanswer {status}\n");
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        at
    }

    #[test]
    fn who_is_ready_only_for_a_moment_is_waited_for() {
        let at = server(&[503, 200, 503, 200]);
        wait(&at, Duration::from_secs(20)).unwrap();
    }

    #[test]
    fn who_does_not_get_ready_is_quoted() {
        let at = server(&[503]);
        let said = wait(&at, Duration::from_millis(300)).unwrap_err();
        assert!(said.to_string().ends_with("answer 503"), "{said}");
    }

    #[test]
    fn nobody_there_is_no_answer() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let said = wait(&free.unwrap().to_string(), Duration::from_millis(100));
        assert!(said.is_err());
    }
}
