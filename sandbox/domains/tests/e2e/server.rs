//! A running `xp dev`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::timeout;

use crate::process::{Process, xp};

pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) addr: SocketAddr,
}

fn spawn(listen: &str, data: &Path) -> Process {
    Process::spawn(&mut xp(&["dev", "--listen", listen], data))
}

impl Server {
    /// Starts on a free port and waits until it says where.
    pub(crate) async fn start(data: &Path) -> Self {
        Self::start_on("127.0.0.1:0", data).await
    }

    /// Starts, with everything that can be logged, and with its messages going there.
    pub(crate) async fn start_telling(messages: Stdio, data: &Path) -> Self {
        let mut command = xp(&["dev", "--listen", "127.0.0.1:0"], data);
        let process = Process::spawn_telling(command.env("RUST_LOG", "trace"), messages);
        Self::greeted(process).await
    }

    /// Starts where an earlier one listened, so that its clients find it again.
    pub(crate) async fn start_on(listen: &str, data: &Path) -> Self {
        Self::greeted(spawn(listen, data)).await
    }

    /// One that was spawned, once it says where it listens.
    pub(crate) async fn greeted(mut process: Process) -> Self {
        let first = process.says("listening on ws://").await;
        let addr = first.split(' ').next().unwrap().parse();
        let addr = addr.unwrap_or_else(|_| panic!("not a greeting: {first}"));
        Self { process, addr }
    }

    /// Starts and is killed when it greets or after `within`, whichever comes first: mostly while it starts.
    pub(crate) async fn start_and_kill(listen: &str, data: &Path, within: Duration) {
        let mut process = spawn(listen, data);
        // Both are what is wanted.
        let _ = timeout(within, process.next_line()).await;
        process.kill().await;
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.addr)
    }

    pub(crate) async fn kill(self) {
        self.process.kill().await;
    }

    pub(crate) async fn terminate(self) -> Option<i32> {
        self.process.terminate().await
    }
}
