//! An edge alone.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::{Instant, sleep};
use xp_cluster::members::End;
use xp_domain_sdk::host::Registry;
use xp_edge::{Handle, Lanes};
use xp_protocol::PartitionId;
use xp_protocol::cluster::Kind;
use xp_transport::{Clock, Log};

use super::absence::is_free;
use super::hold_off::{HoldOff, RETRY};
use super::{StartError, incarnation};
use crate::backend::Backend;
use crate::config::Config;
use crate::lanes::Served;

/// A running edge. Dropping it is a crash; [`Edge::stop`] ends it in order.
pub struct Edge {
    log: Backend,
    serving: Serving,
}

/// An edge on somebody's log.
pub(crate) struct Serving {
    pub(crate) handle: Handle,
    again: Again,
}

/// What it is started with, also the next time.
struct Again {
    config: xp_edge::Config,
    lanes: Lanes,
    log: Arc<dyn Log>,
    clock: Clock,
    hold_off: HoldOff,
}

impl Again {
    async fn start(&self) -> Result<Handle, xp_edge::StartError> {
        let (config, lanes) = (self.config.clone(), self.lanes.clone());
        let (log, clock) = (Arc::clone(&self.log), self.clock.clone());
        xp_edge::start(config, lanes, log, incarnation(), clock).await
    }
}

impl Serving {
    pub(crate) async fn start(
        config: xp_edge::Config,
        lanes: Lanes,
        log: Arc<dyn Log>,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let mut again = Again {
            config,
            lanes,
            log,
            clock,
            hold_off: HoldOff::default(),
        };
        let handle = again.start().await?;
        // Whoever knows where it is finds it there when it has joined again.
        again.config.listen = handle.addr();
        Ok(Self { handle, again })
    }

    /// After an eviction by silence: waits a while, and joins as a new incarnation on the same address (R25).
    pub(crate) async fn rejoin(self) -> Result<Self, StartError> {
        let Self { handle, mut again } = self;
        // Until then it says that it is not ready, and turns clients away.
        sleep(again.hold_off.next(Instant::now())).await;
        handle.end().await;
        let outbound = PartitionId(0);
        let name = &again.config.name;
        is_free(again.log.as_ref(), name, Kind::Edge { outbound }).await?;
        loop {
            match again.start().await {
                Ok(handle) => return Ok(Self { handle, again }),
                Err(error) if passes(&error) => {
                    tracing::warn!(%error, "the edge cannot join again yet");
                    sleep(RETRY).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether it may be gone the next time.
fn passes(error: &xp_edge::StartError) -> bool {
    use xp_edge::StartError as E;
    matches!(
        error,
        E::Listen { .. } | E::Read(_) | E::Join(_) | E::Silent { .. }
    )
}

impl Edge {
    /// Starts it, for clients of the hosted entities.
    ///
    /// # Errors
    /// [`StartError`] names what to mend.
    pub async fn start(
        config: Config,
        registry: &Registry,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let hosted: Vec<_> = registry.categories().collect();
        let served = Served::find(&config.lanes, &hosted)?;
        let log = Backend::open(&config, &served, &config.edge.name).await?;
        let lanes = served.for_edge(registry);
        let starting = Serving::start(config.edge, lanes, log.log(), clock);
        Self::on(log, starting).await
    }

    async fn on(
        log: Backend,
        start: impl Future<Output = Result<Serving, StartError>>,
    ) -> Result<Self, StartError> {
        match start.await {
            Ok(serving) => Ok(Self { log, serving }),
            Err(error) => {
                log.abandon().await;
                Err(error)
            }
        }
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.serving.handle.addr()
    }

    /// The outbound partition it reads of each lane.
    #[must_use]
    pub fn outbound(&self) -> u32 {
        self.serving.handle.outbound().0
    }

    /// Reads certificate and keys again, now.
    pub fn reread(&self) {
        self.serving.handle.reread();
    }

    /// Resolves when it is a member no longer, and says why; all sockets are being closed then.
    pub async fn evicted(&self) -> End {
        self.serving.handle.evicted().await
    }

    /// After an eviction by silence: waits a while, and joins as a new incarnation on the same address (R25).
    ///
    /// # Errors
    /// As for [`Edge::start`], of what time does not mend; [`StartError::Taken`] when it must not come back.
    pub async fn rejoin(self) -> Result<Self, StartError> {
        let Self { log, serving } = self;
        Self::on(log, serving.rejoin()).await
    }

    /// Sends clients away, and waits until the entities know.
    pub async fn stop(self) {
        self.serving.handle.drain().await;
        drop(self.serving.again);
        self.log.close().await;
    }

    /// Ends at once.
    pub async fn kill(self) {
        drop(self.serving);
        self.log.abandon().await;
    }
}
