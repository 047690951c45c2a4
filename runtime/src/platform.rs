//! Edge and state node in one process, started and stopped in the right order.

use std::net::SocketAddr;

use xp_cluster::members::End;
use xp_domain_sdk::host::Registry;
use xp_state_node::{Observer, Undone};
use xp_transport::Clock;

use crate::config::Config;
use crate::lanes::Served;
use crate::role::{Serving, StartError, StateNode};

/// The log is open and the state node replays it; clients are not let in yet.
pub struct Starting {
    config: Config,
    clock: Clock,
    lanes: xp_edge::Lanes,
    node: StateNode,
}

/// A running platform. Dropping it is a crash; [`Platform::stop`] ends it in order.
pub struct Platform {
    node: StateNode,
    edge: Serving,
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
        let lanes = Served::find(&config.lanes, &hosted)?.for_edge(&registry);
        let node = StateNode::open(&config, registry, clock.clone()).await?;
        Ok(Self {
            config,
            clock,
            lanes,
            node,
        })
    }

    /// The part that replays.
    #[must_use]
    pub fn node(&self) -> &StateNode {
        &self.node
    }

    /// Lets clients in, once everything is replayed.
    ///
    /// # Errors
    /// As for [`StateNode::replayed`], and when the edge does not start; the log is free again then.
    pub async fn serve(self) -> Result<Platform, StartError> {
        self.node.replayed().await?;
        let Self {
            config,
            clock,
            lanes,
            node,
        } = self;
        let edge = config.edge_of_the_log();
        match Serving::start(edge, lanes, node.log(), clock).await {
            Ok(edge) => Ok(Platform { node, edge }),
            Err(error) => {
                if let Err(undone) = node.stop().await {
                    tracing::warn!("{undone}");
                }
                Err(error)
            }
        }
    }

    /// Gives up before anybody was let in.
    ///
    /// # Errors
    /// As for [`StateNode::stop`].
    pub async fn stop(self) -> Result<(), Undone> {
        self.node.stop().await
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

    /// Looks at the part that holds entities without keeping it, for whoever asks how it is.
    #[must_use]
    pub fn observer(&self) -> Observer {
        self.node.observer()
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.edge.handle.addr()
    }

    /// Reads certificate and keys again, now.
    pub fn reread(&self) {
        self.edge.handle.reread();
    }

    /// Resolves when the cluster has given up one of the two, and says why.
    pub async fn evicted(&self) -> End {
        tokio::select! {
            why = self.edge.handle.evicted() => why,
            why = self.node.evicted() => why,
        }
    }

    /// After an eviction by silence: whichever was given up joins again.
    ///
    /// # Errors
    /// As for [`Platform::start`], of what time does not mend; [`StartError::Taken`] when it must not come back.
    pub async fn rejoin(self) -> Result<Self, StartError> {
        let Self { mut node, mut edge } = self;
        if node.eviction().is_some() {
            node = node.rejoin().await?;
        }
        if edge.handle.is_evicted() {
            edge = edge.rejoin().await?;
        }
        Ok(Self { node, edge })
    }

    /// Resolves when no partition is left that could serve anybody.
    pub async fn ended(&self) {
        self.node.ended().await;
    }

    /// Sends clients away, waits until the entities know, commits what was decided, writes snapshots, and frees the
    /// log.
    ///
    /// # Errors
    /// As for [`StateNode::stop`].
    pub async fn stop(self) -> Result<(), Undone> {
        self.edge.handle.drain().await;
        self.node.stop().await
    }

    /// Ends at once, as a crash would: no client is told, nothing is committed or stored any more. What was
    /// acknowledged is in the log, which is free again.
    pub async fn kill(self) {
        drop(self.edge);
        self.node.kill().await;
    }
}
