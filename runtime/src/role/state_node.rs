//! A state node alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::{Instant, sleep};
use xp_cluster::members::End;
use xp_domain_sdk::host::Registry;
use xp_protocol::LanePartition;
use xp_protocol::cluster::Kind;
use xp_settings::Span;
use xp_state_node::node::JoinError;
use xp_state_node::{Handle, Lanes, Observer, PartitionState, Undone};
use xp_transport::{Clock, Log};

use super::absence::is_free;
use super::hold_off::{HoldOff, RETRY};
use super::{StartError, incarnation};
use crate::backend::Backend;
use crate::config::Config;
use crate::lanes::Served;

/// A running state node, which may still be replaying. Dropping it is a crash; [`StateNode::stop`] ends it in order.
pub struct StateNode {
    log: Backend,
    handle: Handle,
    again: Again,
}

/// What it is started with, also the next time.
struct Again {
    node: xp_state_node::Config,
    lanes: Lanes,
    registry: Registry,
    clock: Clock,
    hold_off: HoldOff,
}

impl Again {
    async fn start(&self, log: &Backend) -> Result<Handle, xp_state_node::StartError> {
        xp_state_node::start(
            self.node.clone(),
            self.lanes.clone(),
            self.registry.clone(),
            log.log(),
            self.clock.clone(),
            incarnation(),
        )
        .await
    }
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
        let mut node = config.for_state_node();
        if log.is_exclusive() {
            // Whoever had the name before has ended, or the log would not be ours.
            node.takeover_wait = Span::from_millis(0);
        }
        let again = Again {
            lanes: served.for_state_node(&node.settings.limits),
            node,
            registry,
            clock,
            hold_off: HoldOff::default(),
        };
        match again.start(&log).await {
            Ok(handle) => Ok(Self { log, handle, again }),
            Err(error) => {
                log.abandon().await;
                Err(error.into())
            }
        }
    }

    pub(crate) fn log(&self) -> Arc<dyn Log> {
        self.log.log()
    }

    /// Looks at the node without keeping it, for whoever asks how it is.
    #[must_use]
    pub fn observer(&self) -> Observer {
        self.handle.observer()
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

    /// Resolves when it is a member no longer, and says why: its partitions decide nothing any more.
    pub async fn evicted(&self) -> End {
        self.handle.evicted().await
    }

    /// Why it is a member no longer; none while it is one.
    #[must_use]
    pub fn eviction(&self) -> Option<End> {
        self.handle.eviction()
    }

    /// After an eviction by silence: drops all that was not committed, waits a while, and joins as a new incarnation.
    ///
    /// # Errors
    /// As for [`StateNode::open`], of what time does not mend; [`StartError::Taken`] when it must not come back.
    pub async fn rejoin(self) -> Result<Self, StartError> {
        let Self {
            log,
            handle,
            mut again,
        } = self;
        handle.kill().await;
        sleep(again.hold_off.next(Instant::now())).await;
        let name = &again.node.settings.name;
        if let Err(taken) = is_free(log.log().as_ref(), name, Kind::StateNode).await {
            log.abandon().await;
            return Err(taken);
        }
        loop {
            match again.start(&log).await {
                Ok(handle) => return Ok(Self { log, handle, again }),
                Err(error) if passes(&error) => {
                    tracing::warn!(%error, "the state node cannot join again yet");
                    sleep(RETRY).await;
                }
                Err(error) => {
                    log.abandon().await;
                    return Err(error.into());
                }
            }
        }
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

/// Whether it may be gone the next time: the log does not answer, or what is left of the incarnation before has not let
/// go of the snapshots.
fn passes(error: &xp_state_node::StartError) -> bool {
    use xp_state_node::StartError as E;
    match error {
        E::Store(_) => true,
        E::Join(error) => !matches!(error, JoinError::Lanes(_) | JoinError::Format { .. }),
        E::NoLane(_) | E::Supervisor(_) => false,
    }
}
