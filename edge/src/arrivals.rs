//! Sockets that have not shown a good token yet: so many in all and so many of a network, and the oldest give way.
//!
//! Giving way, rather than refusing the newest, lets a client in that is quick while others connect and say nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::config::Limits;
use crate::network::Network;

pub(crate) struct Arrivals {
    max: usize,
    per_network: usize,
    here: Mutex<Here>,
}

#[derive(Default)]
struct Here {
    next: u64,
    sockets: BTreeMap<u64, Socket>,
    by_network: HashMap<Network, BTreeSet<u64>>,
}

struct Socket {
    network: Option<Network>,
    leave: Arc<Notify>,
}

/// One socket that has not shown a good token. Dropping it takes it off the count.
pub(crate) struct Arrival {
    number: u64,
    leave: Arc<Notify>,
    arrivals: Arc<Arrivals>,
}

/// Why a socket got no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Gone {
    #[error("it gave way to a newer one")]
    GaveWay,
    #[error("it took too long")]
    Late,
}

impl Arrivals {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            max: limits.connections.arrivals_max.max(1) as usize,
            per_network: limits.connections.arrivals_per_network.max(1) as usize,
            here: Mutex::default(),
        })
    }

    /// One more. The network is `None` where it is not known, behind a proxy that has not said it yet.
    pub(crate) fn come(self: &Arc<Self>, network: Option<Network>) -> Arrival {
        let leave = Arc::new(Notify::new());
        let mut here = self.lock();
        if let Some(number) = here.in_the_way(network, self.max, self.per_network) {
            here.send_away(number);
        }
        let number = here.next;
        here.next += 1;
        if let Some(network) = network {
            here.by_network.entry(network).or_default().insert(number);
        }
        let socket = Socket {
            network,
            leave: Arc::clone(&leave),
        };
        here.sockets.insert(number, socket);
        drop(here);
        Arrival {
            number,
            leave,
            arrivals: Arc::clone(self),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Here {
    /// Who gives way to one more of `network`.
    fn in_the_way(&self, network: Option<Network>, max: usize, per_network: usize) -> Option<u64> {
        let neighbours = network.and_then(|network| self.by_network.get(&network));
        let neighbours = neighbours.filter(|sockets| sockets.len() >= per_network);
        let oldest = neighbours.and_then(|sockets| sockets.first().copied());
        let crowded = self.sockets.len() >= max;
        oldest.or_else(|| self.sockets.keys().next().copied().filter(|_| crowded))
    }

    /// It counts no more from now on, though its task has yet to hear of it.
    fn send_away(&mut self, number: u64) {
        if let Some(socket) = self.remove(number) {
            socket.leave.notify_one();
        }
    }

    fn remove(&mut self, number: u64) -> Option<Socket> {
        let socket = self.sockets.remove(&number)?;
        if let Some(network) = socket.network
            && let Some(sockets) = self.by_network.get_mut(&network)
        {
            sockets.remove(&number);
            if sockets.is_empty() {
                self.by_network.remove(&network);
            }
        }
        Some(socket)
    }
}

impl Arrival {
    /// What comes of `work`, unless the socket must give way or the time is over before.
    pub(crate) async fn within<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = T>,
    ) -> Result<T, Gone> {
        tokio::select! {
            biased;
            () = self.leave.notified() => Err(Gone::GaveWay),
            done = timeout_at(deadline, work) => done.map_err(|_| Gone::Late),
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.arrivals.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::time::Duration;

    use super::*;

    fn arrivals(max: u32, per_network: u32) -> Arc<Arrivals> {
        let mut limits = Limits::default();
        limits.connections.arrivals_max = max;
        limits.connections.arrivals_per_network = per_network;
        Arrivals::new(&limits)
    }

    fn network(last: u8) -> Option<Network> {
        Some(Network::of([192, 0, 2, last].into()))
    }

    async fn goes_on(arrival: &Arrival) -> Result<(), Gone> {
        let deadline = Instant::now() + Duration::from_secs(60);
        arrival.within(deadline, ready(())).await
    }

    #[tokio::test]
    async fn the_oldest_of_a_network_gives_way_and_nobody_else() {
        let arrivals = arrivals(100, 2);
        let other = arrivals.come(network(9));
        let first = arrivals.come(network(1));
        let second = arrivals.come(network(1));
        let third = arrivals.come(network(1));
        assert_eq!(goes_on(&first).await, Err(Gone::GaveWay));
        for stays in [&other, &second, &third] {
            assert_eq!(goes_on(stays).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn when_all_places_are_taken_the_oldest_of_all_gives_way() {
        let arrivals = arrivals(2, 2);
        let first = arrivals.come(network(1));
        let second = arrivals.come(None);
        let third = arrivals.come(network(3));
        assert_eq!(goes_on(&first).await, Err(Gone::GaveWay));
        assert_eq!(goes_on(&second).await, Ok(()));
        assert_eq!(goes_on(&third).await, Ok(()));
    }

    #[tokio::test]
    async fn nobody_is_remembered_who_is_gone() {
        let arrivals = arrivals(2, 1);
        let sent_away = arrivals.come(network(1));
        drop(arrivals.come(network(1)));
        drop(sent_away);
        let here = arrivals.lock();
        assert!(here.sockets.is_empty() && here.by_network.is_empty());
    }

    #[tokio::test]
    async fn who_takes_too_long_gets_no_further() {
        let arrivals = arrivals(2, 1);
        let slow = arrivals.come(network(1));
        let never = std::future::pending::<()>();
        assert_eq!(slow.within(Instant::now(), never).await, Err(Gone::Late));
    }
}
