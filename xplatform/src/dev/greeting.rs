//! The greeting of `xp dev`: where the platform answers, and lines to paste.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use xp_protocol::TimeMs;
use xp_runtime::config::LISTEN;
use xp_runtime::{Config, Grant, Secret};

use crate::command_line::Dev;
use crate::process::log_place;

/// Everything the greeting names.
pub(super) struct Greeting<'a> {
    pub(super) program: &'a str,
    pub(super) asked: &'a Dev,
    pub(super) config: &'a Config,
    pub(super) addr: SocketAddr,
    pub(super) categories: &'a [&'static str],
    /// `None` when only other keys count.
    pub(super) token: Option<String>,
    pub(super) took: Duration,
}

/// A token for ana.
pub(super) fn token(secret: &Secret, now: TimeMs) -> String {
    secret.sign(&Grant::of("ana"), now)
}

impl Greeting<'_> {
    fn url(&self) -> String {
        let scheme = if self.config.edge.tls.is_some() {
            "wss"
        } else {
            "ws"
        };
        format!("{scheme}://{}", self.addr)
    }

    /// The first kind of entity; any id will do, because an entity exists from its first event.
    fn entity(&self) -> String {
        format!("{}/1", self.categories.first().unwrap_or(&"category"))
    }

    fn connect(&self, subject: &str) -> String {
        let line = format!(
            "{} connect {} --as {subject}{}",
            self.program,
            self.entity(),
            self.sources()
        );
        if self.addr == LISTEN {
            line
        } else {
            format!("{line} --url {}", self.url())
        }
    }

    /// The flags by which another command finds the same configuration.
    fn sources(&self) -> String {
        let sources = &self.asked.sources;
        let config = sources
            .config
            .as_ref()
            .map(|file| format!(" --config {}", file.display()));
        let data = sources
            .data
            .as_ref()
            .map(|dir| format!(" --data {}", dir.display()));
        config.unwrap_or_default() + &data.unwrap_or_default()
    }

    fn websocket(&self, f: &mut fmt::Formatter<'_>, token: &str) -> fmt::Result {
        let connection = "00000000-0000-4000-8000-000000000001";
        let url = format!(
            "{}/v1/{}?connection={connection}",
            self.url(),
            self.entity()
        );
        writeln!(
            f,
            "or with any websocket client (choose a connection id of your own for each):\n"
        )?;
        writeln!(
            f,
            "    websocat --protocol xp.v1 -H 'Authorization: Bearer {token}' '{url}'\n"
        )?;
        writeln!(
            f,
            "and send `send 1 <JSON>`, `send 2 <JSON>` … More tokens: {} token --sub bob{}",
            self.program,
            self.sources()
        )
    }
}

impl fmt::Display for Greeting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "listening on {} after {:.1} s",
            self.url(),
            self.took.as_secs_f64()
        )?;
        writeln!(f, "hosting      {}", self.categories.join(", "))?;
        writeln!(f, "data in      {}", self.config.data.display())?;
        if self.config.kafka.is_some() {
            writeln!(f, "log          {}", log_place(self.config))?;
        }
        if let Some(token) = &self.token {
            writeln!(f, "token        {token}\n")?;
            writeln!(f, "talk to {} from two terminals:\n", self.entity())?;
            writeln!(
                f,
                "    {}\n    {}\n",
                self.connect("ana"),
                self.connect("bob")
            )?;
            self.websocket(f, token)?;
        }
        write!(f, "Ctrl-C stops it.")
    }
}
