//! Options of a local Kafka.

use crate::certificates::Certificates;
use crate::security::{self, Listener, User};
use std::path::PathBuf;
use std::time::Duration;

/// What is wanted of a local Kafka.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) brokers: u32,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) users: Vec<User>,
    pub(crate) acl: bool,
    pub(crate) detached: bool,
    pub(crate) ready_within: Duration,
}

impl Options {
    /// One broker, which is its own controller; every topic has one replica.
    #[must_use]
    pub fn one() -> Self {
        Self::brokers(1)
    }

    /// Three brokers, each a controller as well, which notice the failure of one in about a second. Internal topics
    /// have three replicas; topics that are made have as many as their creator asks for.
    #[must_use]
    pub fn three() -> Self {
        Self::brokers(3)
    }

    fn brokers(brokers: u32) -> Self {
        Self {
            brokers,
            dir: None,
            properties: Vec::new(),
            listeners: vec![Listener::Plaintext],
            users: Vec::new(),
            acl: false,
            detached: false,
            ready_within: Duration::from_secs(90),
        }
    }

    /// Keeps storage and logs there; what an earlier Kafka of as many brokers stored there is used. Without it a
    /// directory is made, and removed in the end.
    #[must_use]
    pub fn in_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Another line of `server.properties`, on every broker; it wins over what would be there.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.properties.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Also listens so, on another port: `LocalKafka::bootstrap_of` tells which. Certificates are made where TLS needs
    /// them: `LocalKafka::certificates`.
    #[must_use]
    pub fn listening(mut self, listener: Listener) -> Self {
        if !self.listeners.contains(&listener) {
            self.listeners.push(listener);
        }
        self
    }

    /// A user of [`Listener::SaslSsl`] and [`Listener::SaslPlaintext`], by PLAIN and both SCRAMs. Letters, digits, `-`,
    /// `_` and `.` only. Users are written when storage is formatted; storage that is used again keeps those it has.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push(User {
            name: name.to_owned(),
            password: password.to_owned(),
        });
        self
    }

    /// Users and certificates may do nothing that no ACL allows. Rights are given by
    /// `tool("org.apache.kafka.tools.AclCommand", &["--add", "--allow-principal", "User:ana", …])`, which comes over
    /// [`Listener::Plaintext`] and may do everything.
    #[must_use]
    pub fn acl(mut self) -> Self {
        self.acl = true;
        self
    }

    /// Brokers outlive this process, until [`Detached::stop`](crate::Detached::stop) ends them. Needs a
    /// directory.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// How long a broker may take until it serves; then its start has failed. 90 s without it, for busy machines.
    #[must_use]
    pub fn ready_within(mut self, deadline: Duration) -> Self {
        self.ready_within = deadline;
        self
    }

    /// Lines of `server.properties` that are the same for every broker: security, and then what the caller wants.
    pub(crate) fn lines(&self, certificates: Option<&Certificates>) -> Vec<(String, String)> {
        let mut lines = security::lines(&self.listeners, &self.users, self.acl, certificates);
        lines.extend(self.properties.iter().cloned());
        lines
    }
}
