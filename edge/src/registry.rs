//! The registry of watched entities: from an entity's address to its sessions on this edge.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::{DashMap, DashSet};
use xp_protocol::outbound::Socket;
use xp_protocol::rules::AllRules;
use xp_protocol::{Address, ConnectionId, DialAttempt, Incarnation, TimeMs};

use crate::send_queue::SendQueue;
use crate::watch::{Effect, Overtaken, Watch};

type Watched = Arc<Mutex<Watch<Arc<SendQueue>>>>;

/// All watches of an edge. No guard leaves a function, and whoever holds a watch takes no other lock of
/// the registry.
pub(crate) struct Registry {
    edge: Incarnation,
    resume_ms: u64,
    /// The most that is put together from pieces for one socket, in bytes (R41).
    whole_bytes_max: usize,
    watches: DashMap<Address, Watched>,
    repairing: DashSet<Address>,
}

fn lock(watch: &Watched) -> MutexGuard<'_, Watch<Arc<SendQueue>>> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What to ask for again, and whether that was the last time.
fn again(
    watch: &mut Watch<Arc<SendQueue>>,
    now: TimeMs,
    most: usize,
) -> (Vec<Effect<Arc<SendQueue>>>, bool) {
    let effects = watch.repairs(now, most);
    (effects, watch.is_repairing())
}

/// What a connection id is taken by.
pub(crate) struct Holder {
    pub(crate) subject: Box<str>,
    pub(crate) attempt: DialAttempt,
}

impl Registry {
    pub(crate) fn new(edge: Incarnation, resume_ms: u64, whole_bytes_max: usize) -> Self {
        Self {
            edge,
            resume_ms,
            whole_bytes_max,
            watches: DashMap::new(),
            repairing: DashSet::new(),
        }
    }

    /// Whose live socket a connection has here.
    pub(crate) fn holder(&self, address: &Address, connection: ConnectionId) -> Option<Holder> {
        let watch = self.get(address)?;
        let watch = lock(&watch);
        let (send_queue, attempt) = watch.get(connection)?;
        Some(Holder {
            subject: send_queue.subject.clone(),
            attempt,
        })
    }

    /// A socket that is here.
    pub(crate) fn send_queue(&self, address: &Address, socket: Socket) -> Option<Arc<SendQueue>> {
        let watch = self.get(address)?;
        let watch = lock(&watch);
        let (send_queue, attempt) = watch.get(socket.connection)?;
        (attempt == socket.attempt).then(|| Arc::clone(send_queue))
    }

    /// The socket is pending from now on. Returns the socket it replaces.
    pub(crate) fn join(
        &self,
        send_queue: &Arc<SendQueue>,
    ) -> Result<Option<Arc<SendQueue>>, Overtaken> {
        let new = || Arc::new(Mutex::new(self.watch()));
        let watched = self.watches.entry(send_queue.address.clone());
        let watched = watched.or_insert_with(new);
        // Under the entry's guard, or the watch could be removed as empty in between.
        lock(&watched).join(send_queue.socket, Arc::clone(send_queue))
    }

    fn watch(&self) -> Watch<Arc<SendQueue>> {
        Watch::new(self.edge, self.resume_ms, &AllRules).holding(self.whole_bytes_max)
    }

    pub(crate) fn leave(&self, address: &Address, socket: Socket) {
        let Some(watch) = self.get(address) else {
            return;
        };
        lock(&watch).leave(socket);
        self.watches
            .remove_if(address, |_, watch| lock(watch).is_empty());
    }

    /// What a record of `address` leads to; `None` when nobody watches it.
    pub(crate) fn on_record(
        &self,
        address: &Address,
        judge: impl FnOnce(&mut Watch<Arc<SendQueue>>) -> Vec<Effect<Arc<SendQueue>>>,
    ) -> Option<Vec<Effect<Arc<SendQueue>>>> {
        let watch = self.get(address)?;
        let effects = judge(&mut lock(&watch));
        let repairs =
            |effect: &Effect<_>| matches!(effect, Effect::Resume { .. } | Effect::Coming { .. });
        if effects.iter().any(repairs) {
            self.repairing.insert(address.clone());
        }
        Some(effects)
    }

    /// The resumes that are to be asked for again, by entity; no more than `most` in all.
    pub(crate) fn repairs(
        &self,
        now: TimeMs,
        mut most: usize,
    ) -> Vec<(Address, Vec<Effect<Arc<SendQueue>>>)> {
        let addresses: Vec<_> = self.repairing.iter().map(|a| a.clone()).collect();
        let of = |address: Address| {
            // Taken out first: a gap found from here on puts it in again.
            self.repairing.remove(&address);
            let watch = self.get(&address)?;
            let (effects, unfinished) = again(&mut lock(&watch), now, most);
            most -= effects.len();
            if unfinished {
                self.repairing.insert(address.clone());
            }
            Some((address, effects))
        };
        addresses.into_iter().filter_map(of).collect()
    }

    /// Records of entities of which `concerned` were missed: each of their sessions may lack something (R20).
    pub(crate) fn missed(&self, concerned: impl Fn(&Address) -> bool) {
        for watched in self
            .watches
            .iter()
            .filter(|watched| concerned(watched.key()))
        {
            lock(&watched).missed();
            self.repairing.insert(watched.key().clone());
        }
    }

    /// The send queues of all sockets of this edge, of all entities.
    pub(crate) fn send_queues(&self) -> Vec<Arc<SendQueue>> {
        let mut send_queues = Vec::new();
        for watch in &self.watches {
            send_queues.extend(lock(&watch).handles().cloned());
        }
        send_queues
    }

    fn get(&self, address: &Address) -> Option<Watched> {
        self.watches.get(address).map(|watch| Arc::clone(&watch))
    }
}
