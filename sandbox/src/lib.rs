//! The platform for a domain developer's tests: real websockets and tokens, a real log in a directory of its own,
//! and a clock that can be moved.

mod visitor;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use xp_client::{Options, Tokens};
use xp_domain_sdk::{Domain, Entity, State};
use xp_settings::Span;
use xp_transport::Clock;

use xp_runtime::config::secret_file;
use xp_runtime::{Grant, Platform, Secret, StartError};

pub use visitor::Visitor;
pub use xp_runtime::Config;

/// What a sandbox will host, and how.
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    domain: Domain,
    tune: Box<dyn FnOnce(&mut Config) + Send>,
}

/// A running platform that only this test knows. Dropped, it is gone with all its data.
pub struct Sandbox {
    platform: Option<Platform>,
    config: Config,
    domain: Domain,
    clock: Clock,
    secret: Secret,
    _data: TempDir,
}

/// Somebody who can connect.
#[derive(Clone)]
pub struct User {
    grant: Grant,
    secret: Secret,
    clock: Clock,
    addr: SocketAddr,
}

/// Why a sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// There is no place for its data.
    #[error("the sandbox has no directory for its data")]
    Data(#[from] std::io::Error),
    /// It has no way to sign tokens.
    #[error(transparent)]
    Secret(#[from] xp_runtime::secret::SecretError),
    /// The platform itself.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Builder {
    /// Hosts a kind of entity.
    ///
    /// # Panics
    /// When its category is hosted already.
    pub fn host<E: Entity + State>(mut self) -> Self {
        self.domain = self.domain.host::<E>();
        self
    }

    /// Changes the configuration before the start, such as the grace of a session.
    pub fn configure(mut self, tune: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        self.tune = Box::new(tune);
        self
    }

    /// Starts it on a free port.
    ///
    /// # Errors
    /// [`SandboxError`] names what to mend.
    pub async fn start(self) -> Result<Sandbox, SandboxError> {
        let data = tempfile::tempdir()?;
        let mut config = Config::development(data.path());
        config.edge.listen.set_port(0);
        config.edge.timing.drain.spread = Span::from_millis(0);
        (self.tune)(&mut config);
        let clock = Clock::system();
        let secret = Secret::load_or_make(&secret_file(data.path()))?;
        let registry = self.domain.registry().clone();
        let platform = Platform::start(config.clone(), registry, clock.clone()).await?;
        // Whoever is connected finds the platform again after a restart.
        config.edge.listen = platform.addr();
        Ok(Sandbox {
            platform: Some(platform),
            config,
            domain: self.domain,
            clock,
            secret,
            _data: data,
        })
    }
}

impl Sandbox {
    /// Begins to say what is hosted.
    pub fn builder() -> Builder {
        Builder {
            domain: Domain::new(),
            tune: Box::new(|_| {}),
        }
    }

    /// Where it listens, for clients of the test's own.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.config.edge.listen
    }

    /// Somebody with a token for `subject`.
    #[must_use]
    pub fn user(&self, subject: &str) -> User {
        User {
            grant: Grant::of(subject),
            secret: self.secret.clone(),
            clock: self.clock.clone(),
            addr: self.addr(),
        }
    }

    /// Lets time pass at once: what is due by then fires, as if it had been waited for.
    pub fn advance(&self, time: Duration) {
        self.clock
            .advance(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// Ends the platform as a crash would and starts it again on the same data. Users come back by themselves.
    ///
    /// # Errors
    /// When it does not start again.
    pub async fn kill_and_restart_node(&mut self) -> Result<(), StartError> {
        if let Some(platform) = self.platform.take() {
            platform.kill().await;
        }
        let registry = self.domain.registry().clone();
        let platform = Platform::start(self.config.clone(), registry, self.clock.clone()).await?;
        self.platform = Some(platform);
        Ok(())
    }

    /// Ends in order: users are told, snapshots are written.
    pub async fn shutdown(mut self) {
        if let Some(platform) = self.platform.take() {
            // What a test's own log left undone, nobody misses.
            drop(platform.stop().await);
        }
    }
}

impl User {
    /// Adds a claim to the token.
    #[must_use]
    pub fn claim(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.grant.claims.insert(key.to_owned(), value.into());
        self
    }

    /// A token as of now.
    #[must_use]
    pub fn token(&self) -> String {
        self.secret.sign(&self.grant, self.clock.now())
    }

    /// Connects to `category/id` over a real websocket and waits to be let in.
    ///
    /// # Panics
    /// When `address` is none, or the entity does not let this user in; the message says why.
    pub async fn connect(&self, address: &str) -> Visitor {
        let address = address.parse().unwrap_or_else(|error| panic!("{error}"));
        let user = self.clone();
        let tokens = Tokens::from_fn(move || std::future::ready(Ok(user.token())));
        Visitor::enter(Options::new(format!("ws://{}", self.addr), address, tokens)).await
    }
}
