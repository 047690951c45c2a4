//! A state node alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use xp_domain_sdk::host::Registry;
use xp_protocol::LanePartition;
use xp_state_node::{Handle, PartitionState, Undone};
use xp_transport::{Clock, Log};

use super::{StartError, incarnation};
use crate::backend::Backend;
use crate::config::Config;
use crate::lanes::Served;

/// A running state node, which may still be replaying. Dropping it is a crash; [`StateNode::stop`] ends it in order.
pub struct StateNode {
    log: Backend,
    handle: Handle,
}

impl StateNode {
    /// Opens the log and begins to replay it.
    ///
    /// # Errors
    /// [`StartError`] names what to mend.
    pub async fn open(
        config: &Config,
        registry: Registry,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let hosted: Vec<_> = registry.categories().collect();
        let served = Served::find(&config.lanes, &hosted)?;
        let log = Backend::open(config, &served, &config.state_node.name).await?;
        let mut settings = config.state_node.with_snapshots(config.snapshots_dir());
        if log.is_exclusive() {
            // Whoever had the name before has ended, or the log would not be ours.
            settings.takeover_wait_ms = 0;
        }
        let lanes = served.for_state_node();
        let starting =
            xp_state_node::start(settings, lanes, registry, log.log(), clock, incarnation());
        match starting.await {
            Ok(handle) => Ok(Self { log, handle }),
            Err(error) => {
                log.abandon().await;
                Err(error.into())
            }
        }
    }

    pub(crate) fn log(&self) -> Arc<dyn Log> {
        self.log.log()
    }

    /// How many records were replayed, and how many there are to replay.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        self.handle.progress().get()
    }

    /// Waits until every entity can be reached. Cancel-safe.
    ///
    /// # Errors
    /// When a partition cannot go on from what the log holds.
    pub async fn replayed(&self) -> Result<(), StartError> {
        self.handle.ready().await.map_err(StartError::Partition)
    }

    /// Waits until every partition is owned or cannot go on, and says which it is. Cancel-safe.
    pub async fn settled(&self) -> BTreeMap<LanePartition, PartitionState> {
        self.handle.settled().await
    }

    /// Resolves when another process took this one's place; its partitions decide nothing any more.
    pub async fn evicted(&self) {
        let _ = self.handle.evicted().await;
    }

    /// Whether another process took this one's place.
    #[must_use]
    pub fn is_evicted(&self) -> bool {
        self.handle.eviction().is_some()
    }

    /// Resolves when no partition is left that could serve anybody.
    pub async fn ended(&self) {
        self.handle.ended().await;
    }

    /// Commits what was decided, writes snapshots, releases the partitions, and frees the log.
    ///
    /// # Errors
    /// What could not be done in time; nothing acknowledged is lost by it.
    pub async fn stop(self) -> Result<(), Undone> {
        let stopped = self.handle.stop().await;
        match stopped {
            Ok(()) => self.log.close().await,
            // A log that did not answer so far need not be waited for again.
            Err(_) => self.log.abandon().await,
        }
        stopped
    }

    /// Ends at once, as a crash would: nothing is committed, released or stored any more.
    pub async fn kill(self) {
        self.handle.kill().await;
        self.log.abandon().await;
    }
}
