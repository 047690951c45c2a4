//! The installation that is one process: `xp dev` on the embedded log.

use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use xplatform::runtime::Secret;
use xplatform::runtime::config::secret_file;

use crate::installation::{Installation, Pace, Signer, Victim, installation_tests};
use crate::process;
use crate::server::Server;

installation_tests!(Embedded);

const ALL: Victim = Victim("xp dev");

struct Embedded {
    data: TempDir,
    /// Where the first one listened, so that clients find the next one again.
    listen: String,
    /// `None` after it was killed or terminated.
    server: Option<Server>,
}

impl Embedded {
    fn running(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }

    fn take(&mut self) -> Server {
        self.server.take().expect("it runs")
    }
}

impl Installation for Embedded {
    const PACE: Pace = Pace {
        kills: 80,
        pauses: 3,
        drains: 5,
        cuts: 1_500,
    };

    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path()).await;
        Self {
            data,
            listen: server.addr.to_string(),
            server: Some(server),
        }
    }

    fn urls(&self) -> Vec<String> {
        vec![format!("ws://{}", self.listen)]
    }

    fn xp(&self, words: &[&str]) -> Command {
        process::xp(words, self.data.path())
    }

    fn signer(&self) -> Signer {
        let secret = Secret::load(&secret_file(self.data.path())).unwrap();
        Signer(secret.expect("xp dev makes one"))
    }

    fn victims(&self) -> Vec<Victim> {
        vec![ALL]
    }

    fn edges(&self) -> Vec<Victim> {
        vec![ALL]
    }

    async fn kill(&mut self, _: Victim) {
        self.take().kill().await;
    }

    async fn restart(&mut self, _: Victim) {
        self.server = Some(Server::start_on(&self.listen, self.data.path()).await);
    }

    async fn restart_and_kill(&mut self, _: Victim, within: Duration) {
        Server::start_and_kill(&self.listen, self.data.path(), within).await;
    }

    async fn pause(&mut self, _: Victim) {
        self.running().process.signal("STOP").await;
    }

    async fn resume(&mut self, _: Victim) {
        self.running().process.signal("CONT").await;
    }

    async fn terminate(&mut self, _: Victim) -> Option<i32> {
        self.take().terminate().await
    }

    async fn end(&mut self) {
        assert_eq!(self.terminate(ALL).await, Some(0));
    }
}
