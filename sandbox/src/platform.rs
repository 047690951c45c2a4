//! Edge and state node on one embedded log, started and stopped in the right order.

use std::net::SocketAddr;
use std::sync::Arc;

use uuid::Uuid;
use xp_domain_sdk::host::Registry;
use xp_protocol::Incarnation;
use xp_transport::embedded::{Embedded, OpenError};
use xp_transport::{Clock, Log};

use crate::config::Config;
use crate::lanes::{LaneError, Served};

/// Why the platform does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Lanes and hosted categories do not fit together.
    #[error(transparent)]
    Lanes(#[from] LaneError),
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The state node does not start.
    #[error(transparent)]
    StateNode(#[from] xp_state_node::StartError),
    /// A partition cannot go on from what the log holds.
    #[error("a partition does not start: {0}")]
    Partition(String),
    /// The edge does not start.
    #[error(transparent)]
    Edge(#[from] xp_edge::StartError),
}

/// The log is open and the state node replays it; clients are not let in yet.
pub struct Starting {
    config: Config,
    clock: Clock,
    lanes: xp_edge::Lanes,
    log: Embedded,
    state_node: xp_state_node::Handle,
}

/// A running platform. Dropping it is a crash; [`Platform::stop`] ends it in order.
pub struct Platform {
    log: Embedded,
    state_node: xp_state_node::Handle,
    edge: xp_edge::Handle,
}

impl Starting {
    /// Opens the log and begins to replay it.
    ///
    /// # Errors
    /// [`StartError`] names what to mend.
    pub async fn open(
        config: Config,
        registry: Registry,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let hosted: Vec<_> = registry.categories().collect();
        let served = Served::find(&config.lanes, &hosted)?;
        let log = Embedded::open(config.log_dir(), served.topics(&config.log))?;
        let state_node = xp_state_node::start(
            config.state_node.with_snapshots(config.snapshots_dir()),
            served.for_state_node(),
            registry,
            shared(&log),
            clock.clone(),
            incarnation(),
        );
        let state_node = state_node.await?;
        let lanes = served.for_edge();
        Ok(Self {
            config,
            clock,
            lanes,
            log,
            state_node,
        })
    }

    /// How many records were replayed, and how many there are to replay.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        self.state_node.progress().get()
    }

    /// Waits until every entity can be reached. Cancel-safe.
    ///
    /// # Errors
    /// When a partition cannot go on from what the log holds.
    pub async fn replayed(&self) -> Result<(), StartError> {
        self.state_node.ready().await.map_err(StartError::Partition)
    }

    /// Lets clients in, once everything is replayed.
    ///
    /// # Errors
    /// As for [`Self::replayed`], and when the edge does not start; the log is free again then.
    pub async fn serve(self) -> Result<Platform, StartError> {
        self.replayed().await?;
        let Self {
            config,
            clock,
            lanes,
            log,
            state_node,
        } = self;
        match xp_edge::start(config.edge, lanes, shared(&log), incarnation(), clock).await {
            Ok(edge) => Ok(Platform {
                log,
                state_node,
                edge,
            }),
            Err(error) => {
                state_node.stop().await;
                close(log).await;
                Err(error.into())
            }
        }
    }

    /// Gives up before anybody was let in.
    pub async fn stop(self) {
        self.state_node.stop().await;
        close(self.log).await;
    }
}

impl Platform {
    /// Starts all of it, and returns when every entity can be reached.
    ///
    /// # Errors
    /// [`StartError`] names what to mend.
    pub async fn start(
        config: Config,
        registry: Registry,
        clock: Clock,
    ) -> Result<Self, StartError> {
        Starting::open(config, registry, clock).await?.serve().await
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.edge.addr()
    }

    /// Resolves when another process took this one's place in the cluster.
    pub async fn evicted(&self) {
        self.edge.evicted().await;
    }

    /// Sends clients away, waits until the entities know, commits what was decided, writes snapshots, and frees the
    /// data directory.
    pub async fn stop(self) {
        self.edge.drain().await;
        self.state_node.stop().await;
        close(self.log).await;
    }

    /// Ends at once, as a crash would: no client is told, nothing is committed or stored any more. What was
    /// acknowledged is in the data directory, which is free again.
    pub async fn kill(self) {
        drop(self.edge);
        self.state_node.kill().await;
        close(self.log).await;
    }
}

fn shared(log: &Embedded) -> Arc<dyn Log> {
    Arc::new(log.clone())
}

/// Closing waits for a sync, which must not hold up the tasks that wait for it.
async fn close(log: Embedded) {
    let closed = tokio::task::spawn_blocking(move || log.close()).await;
    closed.expect("closing a log does not panic");
}

#[expect(
    clippy::disallowed_methods,
    reason = "each start of a node names itself; decisions take their ids from their seeds"
)]
fn incarnation() -> Incarnation {
    Incarnation(Uuid::new_v4())
}
