//! The start of a peer: its processes, and what must be done until it can be spoken to. All of it on the loopback
//! interface.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::speech::Greeting;
use crate::figures::now;
use crate::http;
use crate::node::Process;
use crate::wire::Wire;

/// How long a peer may take until it can be spoken to.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// How long one client may wait until it is served.
const GREETING_PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);
/// As much of what a peer complained as a reader wants.
const COMPLAINT_BYTES: usize = 400;

/// How a peer is started.
pub(super) struct Plan {
    pub(super) commands: Vec<Command>,
    /// Where clients come in.
    pub(super) port: u16,
    /// In this order, each again until it is done.
    pub(super) errands: Vec<Errand>,
}

pub(super) enum Errand {
    /// A request of HTTP that must be answered with a 2xx.
    Post {
        port: u16,
        path: &'static str,
        json: String,
    },
    Greet(Greeting),
}

/// A running peer. Dropped, its processes are killed.
pub(super) struct Running {
    processes: Vec<Process>,
    addr: SocketAddr,
}

impl Running {
    /// `home` is where it may write; it is started there.
    pub(super) async fn start(plan: Plan, home: &Path) -> Result<Self> {
        let complaints = home.join("complaints");
        let mut running = Self {
            processes: Vec::new(),
            addr: at(plan.port),
        };
        for mut command in plan.commands {
            let process = Process::start_foreign(command.current_dir(home), &complaints)?;
            running.processes.push(process);
        }
        let ready = running.ready(&plan.errands).await;
        ready.map_err(|error| anyhow!("{error:#}; {}", complained(&complaints)))?;
        Ok(running)
    }

    async fn ready(&mut self, errands: &[Errand]) -> Result<()> {
        let until = now() + START_PATIENCE;
        let addr = self.addr;
        let listens = Errand::Greet(Greeting::default());
        for errand in std::iter::once(&listens).chain(errands) {
            while let Err(error) = errand.run(addr).await {
                for process in &mut self.processes {
                    ensure!(!process.has_ended()?, "it ended at its start");
                }
                if now() > until {
                    return Err(error.context(format!("not ready within {START_PATIENCE:?}")));
                }
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    pub(super) async fn dial(&self, greeting: &Greeting) -> Result<Wire> {
        dial(self.addr, greeting).await
    }

    /// User and system time of all its processes, in seconds.
    pub(super) fn cpu(&self) -> Result<f64> {
        self.processes.iter().map(Process::cpu).sum()
    }
}

impl Errand {
    async fn run(&self, addr: SocketAddr) -> Result<()> {
        let run = async {
            match self {
                Self::Greet(greeting) => dial(addr, greeting).await.map(drop),
                Self::Post { port, path, json } => post(*port, path, json).await,
            }
        };
        timeout(GREETING_PATIENCE, run).await.context("no answer")?
    }
}

async fn dial(addr: SocketAddr, greeting: &Greeting) -> Result<Wire> {
    let greet = async {
        let mut wire = match &greeting.path {
            Some(path) => Wire::open(addr, path, "peer").await?,
            None => Wire::connect(addr).await?,
        };
        for step in &greeting.steps {
            if !step.say.is_empty() {
                wire.queue(step.say.as_bytes());
                wire.flush().await?;
            }
            let until = step.until.as_bytes();
            while !wire
                .next()
                .await?
                .windows(until.len())
                .any(|part| part == until)
            {}
        }
        Ok(wire)
    };
    timeout(GREETING_PATIENCE, greet)
        .await
        .context("a client was not served")?
}

async fn post(port: u16, path: &str, json: &str) -> Result<()> {
    let mut stream = TcpStream::connect(at(port)).await?;
    stream
        .write_all(&http::post(path, "localhost", json))
        .await?;
    let mut answer = Vec::new();
    loop {
        ensure!(stream.read_buf(&mut answer).await? > 0, "no whole answer");
        let mut is_done = None;
        http::scan(&answer, |answer| {
            is_done = Some(answer.starts_with(b"HTTP/1.1 2"))
        });
        match is_done {
            Some(true) => return Ok(()),
            Some(false) => bail!("it said {}", String::from_utf8_lossy(&answer)),
            None => {}
        }
    }
}

fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(at(0))?;
    Ok(listener.local_addr()?.port())
}

/// The last that the peer said.
fn complained(log: &Path) -> String {
    let said = fs::read(log).unwrap_or_default();
    let end = &said[said.len().saturating_sub(COMPLAINT_BYTES)..];
    let words: Vec<_> = end
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .collect();
    format!(
        "it said last: {}",
        String::from_utf8_lossy(&words.join(&b' '))
    )
}
