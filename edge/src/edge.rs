//! The start and the end of an edge: its log readers, its listeners and its tasks.

mod enter;
mod upkeep;
mod reread;
mod tls;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};
use xp_cluster::members::End;
use xp_protocol::{CloseCode, Incarnation, PartitionId};
use xp_transport::{AppendError, Clock, Log, ReadError};

use crate::config::{self, Config, Lanes};
use crate::identity::NodeIdentity;
use crate::jwt::{KeyError, Verifier};
use crate::lane::{Appender, Bounds};
use crate::limits::Shared;
use crate::membership::Joining;
use crate::node::{EdgeClock, Node, State};
use crate::passage::Patience;
use crate::refusals::Refusals;
use crate::registry::Registry;
use crate::routes::Routes;
use crate::send_queue::ReadyLists;
use crate::{accept, fanout, flusher, membership};
use enter::{Entered, Tailed, enter, outbound};
use tls::Certificate;

pub use crate::node::Readiness;

/// Why an edge does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No category is served.
    #[error("no lane serves any category, so no client could connect: host at least one entity")]
    NoLane,
    /// A lane without partitions, or two definitions of one lane.
    #[error("lane {name}: {reason}")]
    Lane {
        /// The lane's name, as configured.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The configured outbound partition does not exist everywhere.
    #[error("outbound-partition {wanted} does not exist: the smallest lane has {count}")]
    Outbound {
        /// What is configured.
        wanted: u32,
        /// How many there are.
        count: u32,
    },
    /// The configuration can be read and cannot be used.
    #[error(transparent)]
    Config(#[from] config::Unusable),
    /// A key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate or its key cannot be used.
    #[error("tls: {path}: {reason}")]
    Tls {
        /// The certificate's or the key's file, as configured.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The address is taken or not this machine's.
    #[error("listen: {addr} cannot be listened on")]
    Listen {
        /// The configured address.
        addr: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// An outbound partition cannot be read.
    #[error("the lane cannot be read")]
    Read(#[from] ReadError),
    /// The `cluster` log takes no record.
    #[error("the cluster log cannot be joined")]
    Join(#[from] AppendError),
    /// R38: what this build writes, an older member could not read.
    #[error(
        "this build writes version {version} of the format {format:?}, which {member} does not read: upgrade {member} first"
    )]
    Format {
        /// The member's name.
        member: Box<str>,
        /// The name of the format, such as `outbound`.
        format: String,
        /// The version that this build writes.
        version: u8,
    },
    /// The log does not answer.
    #[error("the log has not answered for {patience:?} (edge.timing.start): is it there?")]
    Silent {
        /// How long it was waited for.
        patience: Duration,
    },
}

/// A running edge. Dropping it drops every socket at once, as a crash would.
pub struct Handle {
    addr: SocketAddr,
    node: Arc<Node>,
    tasks: JoinSet<()>,
}

/// Starts an edge: joins the cluster, tails its outbound partitions, then accepts sockets (R25).
///
/// # Errors
/// [`StartError`] names what to mend.
pub async fn start(
    config: Config,
    lanes: Lanes,
    log: Arc<dyn Log>,
    incarnation: Incarnation,
    clock: Clock,
) -> Result<Handle, StartError> {
    config.judge()?;
    for warning in config.warnings() {
        warn!(target: "xp_edge::start", "{warning}");
    }
    let verifier = Verifier::new(&config.tokens, config.timing.keys.retry.0)?;
    let certificate = config.tls.as_ref().map(Certificate::open).transpose()?;
    let certificate = certificate.map(Arc::new);
    let defined = distinct(&lanes)?;
    let outbound = outbound(&config, &defined)?;
    let listener = listen(config.listen).await?;
    let addr = listener.local_addr().map_err(|source| StartError::Listen {
        addr: config.listen,
        source,
    })?;
    verifier.refresh(clock.now()).await;
    let patience = config.timing.start.0;
    let joining = Joining {
        incarnation,
        name: &config.name,
        address: addr,
    };
    let entering = enter(log.as_ref(), &joining, &defined, outbound);
    let entered = tokio::time::timeout(patience, entering).await;
    let Entered {
        outbound,
        readers,
        membership,
    } = entered.unwrap_or(Err(StartError::Silent { patience }))?;
    let bounds = Bounds {
        unanswered_max: config.limits.partition.unanswered_max as usize,
        bytes_max: config.limits.partition.bytes_max.0,
        behind_max: config.limits.partition.behind_max.0 as u64,
    };
    let node = Arc::new(Node {
        registry: Registry::new(
            incarnation,
            config.timing.resume.ms(),
            config.limits.whole_bytes_max.0,
        ),
        limits: Shared::new(&config.limits),
        refusals: Refusals::of(incarnation),
        ready: ReadyLists::for_each_core(),
        state: State::default(),
        reread: Notify::new(),
        config,
        clock: EdgeClock::new(clock, Instant::now()),
        log,
        identity: NodeIdentity::new(
            incarnation,
            membership.who.clone(),
            membership.joined,
            outbound,
        ),
        routes: Routes::new(lanes, bounds),
        verifier,
    });
    let mut tasks = JoinSet::new();
    spawn_lanes(&node, &mut tasks, readers);
    for list in node.ready.iter() {
        tasks.spawn(flusher::run(Arc::clone(list), node.config.timing.flush.0));
    }
    upkeep::spawn(&node, &mut tasks, membership);
    let tls = certificate.as_ref().map(|certificate| certificate.used());
    tasks.spawn(reread::run(Arc::clone(&node), certificate));
    tasks.spawn(accept::run(Arc::clone(&node), listener, tls));
    info!(target: "xp_edge::start", %addr, %incarnation, %outbound, "accepting clients");
    Ok(Handle { addr, node, tasks })
}

fn distinct(lanes: &Lanes) -> Result<Vec<config::Lane>, StartError> {
    let lanes: BTreeSet<_> = lanes.by_category.values().cloned().collect();
    let lanes: Vec<_> = lanes.into_iter().collect();
    if lanes.is_empty() {
        return Err(StartError::NoLane);
    }
    let wrong = |lane: &config::Lane, reason| StartError::Lane {
        name: lane.name.clone(),
        reason,
    };
    for pair in lanes.windows(2) {
        if pair[0].name == pair[1].name {
            return Err(wrong(&pair[0], "two categories define it differently"));
        }
    }
    match lanes
        .iter()
        .find(|l| l.partitions == 0 || l.outbound_partitions == 0)
    {
        Some(lane) => Err(wrong(lane, "it needs at least one partition of each topic")),
        None => Ok(lanes),
    }
}

async fn listen(addr: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(addr).await;
    listener.map_err(|source| StartError::Listen { addr, source })
}

fn spawn_lanes(node: &Arc<Node>, tasks: &mut JoinSet<()>, readers: Vec<Tailed>) {
    for (at, reader) in readers {
        tasks.spawn(fanout::run(Arc::clone(node), at, reader));
    }
    for partition in node.routes.partitions() {
        let lost = Arc::clone(node);
        let close_sockets = move |at: &_, reason: &str| lost.close_partition(at, reason);
        let log = Arc::clone(&node.log);
        tasks.spawn(Appender::new(Arc::clone(partition), log, patience(node), close_sockets).run());
    }
}

fn patience(node: &Node) -> Patience {
    let timing = &node.config.timing;
    Patience {
        retry_ms: timing.retry.ms(),
        stall_ms: timing.lane.stall.ms(),
        sockets_ms: timing.lane.patience.ms(),
    }
}

impl Handle {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The outbound partition it reads of each lane (R25).
    #[must_use]
    pub fn outbound(&self) -> PartitionId {
        self.node.identity.outbound()
    }

    /// Whether clients are well served here, and if not, why; what `/ready` says.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.node.readiness()
    }

    /// Whether clients are well served here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.readiness() == Readiness::Ready
    }

    /// How many clients are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.node.state.connections()
    }

    /// Reads certificate and keys again, now. What cannot be used is told and changes nothing.
    pub fn reread(&self) {
        self.node.reread.notify_one();
    }

    /// Resolves when this incarnation is a member no longer, and says why. All its sockets are being closed then (R25),
    /// and nobody comes in. When it was only silent for too long (R37) it may start anew as another one.
    pub async fn evicted(&self) -> End {
        let state = &self.node.state;
        state.wait_until(State::is_evicted).await;
        state.eviction().expect("it is evicted, and stays so")
    }

    /// Whether the cluster has given this incarnation up.
    #[must_use]
    pub fn is_evicted(&self) -> bool {
        self.node.state.is_evicted()
    }

    /// Waits until all sockets are closed, for `edge.timing.close` at the most, and frees the address. For an edge
    /// that was evicted: nobody waits for its goodbye any more.
    pub async fn end(mut self) {
        let node = Arc::clone(&self.node);
        let closed = node.state.wait_until(|state| state.connections() == 0);
        drop(tokio::time::timeout(node.config.timing.close.0, closed).await);
        self.tasks.shutdown().await;
    }

    /// Leaves in order: lets nobody in, sends clients elsewhere bit by bit, waits until the entities know, says goodbye
    /// to the cluster, and frees the address. Until then it answers whoever asks whether it is ready.
    pub async fn drain(mut self) {
        let node = &self.node;
        node.state.drain();
        let timing = &node.config.timing;
        send_away(node, timing.drain.spread.0).await;
        if tokio::time::timeout(timing.drain.wait.0, emptied(node))
            .await
            .is_err()
        {
            let left = node.state.connections();
            warn!(target: "xp_edge::drain", left, "not everybody left in time");
        }
        let goodbye = membership::leave(node);
        if tokio::time::timeout(timing.lane.stall.0, goodbye)
            .await
            .is_err()
        {
            warn!(target: "xp_edge::drain", "the cluster log did not take the goodbye in time");
        }
        self.tasks.shutdown().await;
        info!(target: "xp_edge::drain", "drained");
    }
}

/// A hundred clients in a second are no crowd, so a node with few of them need not make anybody wait.
const DRAIN_PAUSE_MAX: Duration = Duration::from_millis(10);

async fn send_away(node: &Node, spread: Duration) {
    let send_queues = node.registry.send_queues();
    let count = u32::try_from(send_queues.len()).unwrap_or(u32::MAX).max(1);
    let pause = (spread / count).min(DRAIN_PAUSE_MAX);
    for send_queue in send_queues {
        send_queue.close(CloseCode::Draining, "the node is leaving");
        tokio::time::sleep(pause).await;
    }
    // Whoever came in while the others left.
    node.close_all(CloseCode::Draining, "the node is leaving");
}

async fn emptied(node: &Node) {
    node.state
        .wait_until(|state| state.connections() == 0)
        .await;
    for partition in node.routes.partitions() {
        partition.paid().await;
    }
}
