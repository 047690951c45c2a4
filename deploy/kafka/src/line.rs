//! A line between clients and a broker that can be cut: whatever is on its way stays there, nobody hears an end, and
//! new connections find nobody, as with a pulled cable.

use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// One line, to one broker. Dropping it takes nobody new; what is connected ends with either side.
pub(crate) struct Line {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Now {
    #[default]
    Whole,
    Cut,
    Over,
}

impl Line {
    /// A line to the broker that listens, or will listen, on this port.
    pub(crate) fn to(broker: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.context("there is no port for a line to a broker")?;
        let line = Self {
            port: listener.local_addr()?.port(),
            state: Arc::default(),
        };
        let state = Arc::clone(&line.state);
        thread::spawn(move || accept(&listener, broker, &state));
        Ok(line)
    }

    /// Where clients reach the broker by it.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn cut(&self) {
        self.state.set(Now::Cut);
    }

    pub(crate) fn mend(&self) {
        self.state.set(Now::Whole);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.state.set(Now::Over);
        // Whoever accepts wakes up, and sees that it is over.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, now: Now) {
        *self.lock() = now;
        self.changed.notify_all();
    }

    /// Waits while the line is cut; false when it is over.
    fn passes(&self) -> bool {
        let cut = |now: &mut Now| *now == Now::Cut;
        let now = self.changed.wait_while(self.lock(), cut);
        *now.unwrap_or_else(PoisonError::into_inner) != Now::Over
    }
}

fn accept(listener: &TcpListener, broker: u16, state: &Arc<State>) {
    while let Ok((client, _)) = listener.accept() {
        if *state.lock() == Now::Over {
            return;
        }
        let state = Arc::clone(state);
        thread::spawn(move || connect(client, broker, state));
    }
}

/// A client whose broker does not run finds its connection closed.
fn connect(client: TcpStream, broker: u16, state: Arc<State>) {
    if !state.passes() {
        return;
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, broker)) else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    if let (Ok(from_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) {
        let up = Arc::clone(&state);
        thread::spawn(move || pass(from_client, to_server, &up));
        pass(server, client, &state);
    }
}

/// Until one side ends, and the other one is told so as soon as the line lets it through.
fn pass(mut from: TcpStream, mut to: TcpStream, state: &State) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut bytes).unwrap_or(0);
        if !state.passes() || read == 0 || to.write_all(&bytes[..read]).is_err() {
            let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Whoever answers says what it heard.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut heard, _) = listener.accept().unwrap();
            let mut said = heard.try_clone().unwrap();
            std::io::copy(&mut heard, &mut said).unwrap();
        });
        port
    }

    fn heard(client: &mut TcpStream) -> std::io::Result<String> {
        let mut bytes = [0; 5];
        client.read_exact(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn what_is_said_on_a_cut_line_arrives_when_it_is_mended() {
        let line = Line::to(echo()).unwrap();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, line.port())).unwrap();
        client.write_all(b"first").unwrap();
        assert_eq!(heard(&mut client).unwrap(), "first");
        line.cut();
        client.write_all(b"later").unwrap();
        client
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        heard(&mut client).unwrap_err();
        line.mend();
        client.set_read_timeout(None).unwrap();
        assert_eq!(heard(&mut client).unwrap(), "later");
    }
}
