//! A node on a log in a directory, which can crash and come back.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use uuid::Uuid;
use xp_domain_sdk::Domain;
use xp_protocol::Incarnation;
use xp_state_node::{Config, Handle, Lane, Lanes, Limits};
use xp_transport::embedded::{Config as LogConfig, Embedded, TopicConfig};
use xp_transport::{Clock, Log};

use crate::edge::Edge;
use crate::ledger::Ledger;

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) lanes: Lanes,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    starts: u128,
    pub(crate) log: Embedded,
    pub(crate) node: Option<Handle>,
}

/// The usual bounds, but for some.
pub(crate) fn bounded(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

pub(crate) fn open(dir: &Path) -> Embedded {
    let topics = vec![
        TopicConfig::durable("cluster", 1),
        TopicConfig::durable("main.events", 4),
        TopicConfig::memory("main.inbound", 4, 16 << 20),
        TopicConfig::memory("main.outbound", 1, 16 << 20),
    ];
    Embedded::open(dir.join("log"), LogConfig { topics }).unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lanes = Lanes::default().with(Lane::new("main", 4, 1), ["ledger"]);
        let log = open(dir.path());
        let clock = Clock::system();
        let mut world = Self {
            dir,
            lanes,
            clock,
            limits,
            starts: 0,
            log,
            node: None,
        };
        world.start().await;
        world
    }

    pub(crate) async fn start(&mut self) {
        self.starts += 1;
        let mut config = Config::named("node");
        config.snapshots = Some(self.dir.path().join("snapshots"));
        config.settings.limits = self.limits.clone();
        let domain = Domain::new().host::<Ledger>();
        let incarnation = Incarnation(Uuid::from_u128(1000 + self.starts));
        let (lanes, log) = (self.lanes.clone(), self.log());
        let node = xp_state_node::start(
            config,
            lanes,
            domain.registry().clone(),
            log,
            self.clock.clone(),
            incarnation,
        );
        let node = node.await.unwrap();
        node.ready().await.unwrap();
        self.node = Some(node);
    }

    pub(crate) fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.log.clone())
    }

    /// The process dies and starts again: memory is gone, and with it `inbound` and `outbound`.
    pub(crate) async fn crash(&mut self) {
        self.node.take().unwrap().kill().await;
        self.reopen().await;
    }

    pub(crate) async fn restart(&mut self) {
        self.node.take().unwrap().stop().await.unwrap();
        self.reopen().await;
    }

    pub(crate) async fn reopen(&mut self) {
        self.log.close();
        self.log = open(self.dir.path());
        self.start().await;
    }

    pub(crate) async fn edge(&mut self) -> Edge {
        self.starts += 1;
        Edge::join(&self.log(), &self.lanes, &self.clock, self.starts).await
    }
}

pub(crate) fn add(entry: &str) -> String {
    format!(r#"{{"type":"Add","data":{{"entry":"{entry}"}}}}"#)
}
