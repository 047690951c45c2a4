//! An edge alone.

use std::net::SocketAddr;

use xp_transport::Clock;

use super::{StartError, incarnation};
use crate::backend::Backend;
use crate::config::Config;
use crate::lanes::Served;

/// A running edge. Dropping it is a crash; [`Edge::stop`] ends it in order.
pub struct Edge {
    log: Backend,
    handle: xp_edge::Handle,
}

impl Edge {
    /// Starts it, for clients of the `hosted` categories.
    ///
    /// # Errors
    /// [`StartError`] names what to mend.
    pub async fn start(config: Config, hosted: &[&str], clock: Clock) -> Result<Self, StartError> {
        let served = Served::find(&config.lanes, hosted)?;
        let log = Backend::open(&config, &served, &config.edge.name).await?;
        let lanes = served.for_edge();
        match xp_edge::start(config.edge, lanes, log.log(), incarnation(), clock).await {
            Ok(handle) => Ok(Self { log, handle }),
            Err(error) => {
                log.abandon().await;
                Err(error.into())
            }
        }
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.handle.addr()
    }

    /// The outbound partition it reads of each lane.
    #[must_use]
    pub fn outbound(&self) -> u32 {
        self.handle.outbound().0
    }

    /// Resolves when another process took this one's place; all sockets are closed then.
    pub async fn evicted(&self) {
        self.handle.evicted().await;
    }

    /// Sends clients away, and waits until the entities know.
    pub async fn stop(self) {
        self.handle.drain().await;
        self.log.close().await;
    }

    /// Ends at once.
    pub async fn kill(self) {
        drop(self.handle);
        self.log.abandon().await;
    }
}
