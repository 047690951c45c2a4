//! The state that all tasks of one edge share.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use xp_cluster::members::End;
use xp_protocol::inbound::{ClientAction, Inbound};
use xp_protocol::outbound::Socket;
use xp_protocol::{Address, CloseCode, TimeMs};
use xp_transport::{Clock, Log};

use crate::config::Config;
use crate::identity::NodeIdentity;
use crate::jwt::{TokenError, Verified, Verifier};
use crate::lane::{Fate, Partition};
use crate::limits::Shared;
use crate::refusals::Refusals;
use crate::registry::Registry;
use crate::routes::Routes;
use crate::send_queue::ReadyLists;
use crate::session::Now;

/// What is said of a socket that a person ended.
const ENDED: &str = "who runs the platform ended this subject's sockets: take a fresh token";

/// The state of one running edge, shared by all its tasks and sockets.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) clock: EdgeClock,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) identity: NodeIdentity,
    pub(crate) routes: Routes,
    pub(crate) registry: Registry,
    pub(crate) verifier: Verifier,
    pub(crate) limits: Shared,
    pub(crate) refusals: Refusals,
    /// The send queues that have news to write.
    pub(crate) ready: ReadyLists,
    pub(crate) state: State,
    /// A person wants certificate and keys to be read again.
    pub(crate) reread: Notify,
}

/// The two times that an edge lives by.
pub(crate) struct EdgeClock {
    clock: Clock,
    /// From where waiting is measured, which no setting of a clock may shorten.
    started: Instant,
}

impl EdgeClock {
    pub(crate) fn new(clock: Clock, started: Instant) -> Self {
        Self { clock, started }
    }

    /// What the platform calls the time.
    pub(crate) fn now(&self) -> TimeMs {
        self.clock.now()
    }

    /// Both times.
    pub(crate) fn read(&self) -> Now {
        let running = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now {
            time: self.clock.now(),
            running: TimeMs(running),
        }
    }
}

/// Whether clients are well served, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The edge takes clients, and what they say reaches the log.
    Ready,
    /// The edge sends its clients elsewhere and ends.
    Draining,
    /// It is no member of the cluster: its sockets are closed, and it joins again.
    Evicted,
    /// An outbound partition is not followed: what entities say does not arrive.
    Deaf,
    /// The cluster log does not take its heartbeats or cannot be read: it may be given up, and not even know it.
    Unheard,
    /// A key set has never been had, so that whoever it vouches for cannot come in.
    Keyless,
    /// A lane does not take what clients say.
    Stalled,
    /// A partition's owner takes less than clients say, or nobody owns it.
    Behind,
    /// It has as many connections as it may: one more is refused.
    Full,
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Draining => "not ready: draining",
            Self::Evicted => "not ready: given up by the cluster; it joins again",
            Self::Deaf => "not ready: an outbound partition cannot be read",
            Self::Unheard => "not ready: the cluster log cannot be written or read",
            Self::Keyless => {
                "not ready: a key set (edge.tokens.keys, jwks-url) could not be fetched yet; the log says why"
            }
            Self::Stalled => "not ready: a lane does not take what clients say",
            Self::Behind => "not ready: a partition is not decided as fast as clients speak",
            Self::Full => {
                "not ready: it has as many connections as it may (edge.limits.connections.max)"
            }
        })
    }
}

/// Whether the edge takes clients.
#[derive(Default)]
pub(crate) struct State {
    draining: AtomicBool,
    /// Readers of outbound partitions that do not follow their partition right now.
    deaf: AtomicUsize,
    /// Sockets whose handshake is done and whose disconnect is not queued yet.
    connections: AtomicUsize,
    evicted: OnceLock<End>,
    /// The last heartbeat is not acknowledged, and late.
    unheard: AtomicBool,
    /// The `cluster` log cannot be read, so that an eviction would not be noticed.
    blind: AtomicBool,
    changed: Notify,
}

impl State {
    /// Whether sockets may come in at all.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_draining() && !self.is_evicted() && !self.is_deaf()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    pub(crate) fn is_evicted(&self) -> bool {
        self.evicted.get().is_some()
    }

    /// Why it is no member any more, if it is not.
    pub(crate) fn eviction(&self) -> Option<End> {
        self.evicted.get().copied()
    }

    pub(crate) fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::SeqCst) > 0
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    pub(crate) fn evict(&self, why: End) {
        // The first reason stands.
        let _ = self.evicted.set(why);
        self.changed.notify_waiters();
    }

    pub(crate) fn set_unheard(&self, unheard: bool) {
        self.unheard.store(unheard, Ordering::SeqCst);
    }

    pub(crate) fn set_blind(&self, blind: bool) {
        self.blind.store(blind, Ordering::SeqCst);
    }

    /// Whether it hears of the others, and they of it.
    fn is_in_touch(&self) -> bool {
        !self.unheard.load(Ordering::SeqCst) && !self.blind.load(Ordering::SeqCst)
    }

    pub(crate) fn went_deaf(&self) {
        self.deaf.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn hears_again(&self) {
        self.deaf.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Waits until `holds`, which is asked again after every change.
    pub(crate) async fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            if holds(self) {
                return;
            }
            changed.await;
        }
    }
}

impl Node {
    pub(crate) fn now(&self) -> Now {
        self.clock.read()
    }

    /// Judges the token of a client of `address`. Of its claims there is only left what that entity is told.
    pub(crate) async fn vouch(
        &self,
        address: &Address,
        token: &str,
    ) -> Result<Verified, TokenError> {
        let told = self.routes.claims(address.category());
        self.verifier.check(token, told, self.clock.now()).await
    }

    /// Whether it serves clients well. One that waits for its log keeps those it has, and others had better go
    /// elsewhere.
    pub(crate) fn readiness(&self) -> Readiness {
        let state = &self.state;
        if state.is_draining() {
            Readiness::Draining
        } else if state.is_evicted() {
            Readiness::Evicted
        } else if state.is_deaf() {
            Readiness::Deaf
        } else if !state.is_in_touch() {
            Readiness::Unheard
        } else if self.verifier.lacks_keys() {
            Readiness::Keyless
        } else if self.routes.partitions().iter().any(|p| p.is_stalled()) {
            Readiness::Stalled
        } else if self.routes.partitions().iter().any(|p| p.is_behind()) {
            Readiness::Behind
        } else if self.limits.sockets.is_full(&()) {
            Readiness::Full
        } else {
            Readiness::Ready
        }
    }

    /// The envelope of what a socket's client does.
    pub(crate) fn says(
        &self,
        socket: Socket,
        trace: Option<Box<str>>,
        action: ClientAction,
    ) -> Inbound {
        self.identity.says(self.clock.now(), socket, trace, action)
    }

    /// Appends what needs no answer.
    pub(crate) fn tell(&self, address: &Address, socket: Socket, action: ClientAction, fate: Fate) {
        if let Some(partition) = self.routes.partition(address) {
            let header = self.says(socket, None, action);
            partition.say(address, &header, Bytes::new(), fate);
        }
    }

    /// R28: until it is acknowledged.
    pub(crate) fn disconnect(&self, address: &Address, socket: Socket, left: bool) {
        self.tell(
            address,
            socket,
            ClientAction::Disconnect { left },
            Fate::Owed,
        );
    }

    /// Closes the sockets of a partition whose log is away; what they still have to say is dropped (R30).
    pub(crate) fn close_partition(&self, partition: &Partition, reason: &str) {
        for send_queue in self.registry.send_queues() {
            let at = self.routes.partition(&send_queue.address);
            if at.is_some_and(|at| std::ptr::eq(Arc::as_ptr(at), partition)) {
                send_queue.lose();
                send_queue.close(CloseCode::LaneLost, reason);
            }
        }
    }

    /// Closes the sockets of one subject, and says how many there were.
    pub(crate) fn end_subject(&self, subject: &str) -> u32 {
        let send_queues = self.registry.send_queues().into_iter();
        let theirs = send_queues.filter(|send_queue| *send_queue.subject == *subject);
        let ended = theirs.map(|send_queue| send_queue.close(CloseCode::Disconnected, ENDED));
        u32::try_from(ended.count()).unwrap_or(u32::MAX)
    }

    pub(crate) fn close_all(&self, code: CloseCode, detail: &str) {
        for send_queue in self.registry.send_queues() {
            send_queue.close(code, detail);
        }
    }
}
