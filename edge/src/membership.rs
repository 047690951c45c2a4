//! The edge as a member: joins, says that it is alive, folds what others say, notices that it was given up, leaves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tracing::{info, warn};
use xp_cluster::Members;
use xp_cluster::log::{append, enter, member, notice, notice_record, topic};
use xp_cluster::members::End;
use xp_cluster::timing::{BEATS_IN_FLIGHT, EDGE_HEARTBEAT_MS};
use xp_protocol::cluster::{Kind, Member, Who};
use xp_protocol::notice::Notice;
use xp_protocol::plain::brief;
use xp_protocol::{CloseCode, Incarnation, Offset, PartitionId};
use xp_transport::{AppendError, Log, ReadError, Reader};

use crate::node::Node;

/// Rises when the `cluster` log is made anew.
pub(crate) const GENERATION: u64 = 1;

/// Who is about to join.
pub(crate) struct Joining<'a> {
    pub(crate) incarnation: Incarnation,
    pub(crate) name: &'a str,
    pub(crate) address: SocketAddr,
}

/// An edge as a member: what it said of itself in the `cluster` log, and the fold of that.
pub(crate) struct Membership {
    pub(crate) who: Who,
    /// What state nodes judge it by (R29).
    pub(crate) joined: Offset,
    /// The fold of the log up to where it is read on.
    followed: (Members, Box<dyn Reader>),
}

impl Joining<'_> {
    pub(crate) async fn join(
        &self,
        log: &dyn Log,
        outbound: PartitionId,
        followed: (Members, Box<dyn Reader>),
    ) -> Result<Membership, AppendError> {
        let mut who = Who::new(self.name, Kind::Edge { outbound });
        who.address = self.address.to_string().into();
        let join = Member::Join {
            incarnation: self.incarnation,
            who: who.clone(),
        };
        let joined = append(log, &join).await?;
        Ok(Membership {
            who,
            joined,
            followed,
        })
    }
}

/// Says that the edge is alive, as long as it hears its lanes. Heartbeats do not wait for each other, or a log that
/// answers slowly would hear of the edge too seldom.
pub(crate) async fn heartbeats(node: Arc<Node>) {
    let mut every = tokio::time::interval(Duration::from_millis(EDGE_HEARTBEAT_MS));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            _ = every.tick() => {}
            Some(taken) = under_way.next() => {
                hear(&node, taken);
                continue;
            }
        }
        let is_full = under_way.len() >= BEATS_IN_FLIGHT;
        if is_full || node.state.is_deaf() || node.state.is_evicted() {
            continue;
        }
        let alive = node.identity.alive(node.clock.now());
        under_way.push(beat(&node, alive));
    }
}

fn hear(node: &Node, taken: Result<Offset, AppendError>) {
    node.state.set_unheard(taken.is_err());
    if let Err(error) = taken {
        warn!(target: "xp_edge::cluster", %error, "a heartbeat failed");
    }
}

/// One that is late shows that the log is away before anybody says anything.
async fn beat(node: &Node, alive: Member) -> Result<Offset, AppendError> {
    let mut taken = std::pin::pin!(append(node.log.as_ref(), &alive));
    match tokio::time::timeout(node.config.timing.lane.stall.0, &mut taken).await {
        Ok(taken) => taken,
        Err(_) => {
            node.state.set_unheard(true);
            taken.await
        }
    }
}

/// Says goodbye, once: state nodes that miss it detach what is left by its silence.
pub(crate) async fn leave(node: &Node) {
    let incarnation = node.identity.incarnation();
    if let Err(error) = append(node.log.as_ref(), &Member::Leave { incarnation }).await {
        warn!(target: "xp_edge::cluster", %error, "could not say goodbye");
    }
}

/// R25: an edge that reads its own eviction closes all its sockets.
pub(crate) async fn watch(node: Arc<Node>, membership: Membership) {
    let why = Watching {
        node: &node,
        followed: membership.followed,
    }
    .evicted()
    .await;
    // What a draining edge reads is its own goodbye.
    if !node.state.is_draining() {
        warn!(target: "xp_edge::cluster", ?why, "the cluster has given this edge up; it closes all sockets, and joins again");
    }
    node.state.evict(why);
    node.close_all(CloseCode::ComeBack, "the cluster has given this edge up");
}

/// Does what a person asks of every edge, and answers. Whoever is on the way in is let in: it may come back anyway.
fn heed(node: &Node, notice: Notice) {
    let Notice::Disconnect { id, subject } = notice else {
        return;
    };
    let sockets = node.end_subject(&subject);
    info!(target: "xp_edge::cluster", subject = %brief(&subject), sockets, "the sockets of a subject are ended, as a person asked");
    let answer = Notice::Disconnected {
        id,
        edge: node.identity.incarnation(),
        sockets,
    };
    // Who misses the answer asks again.
    drop(node.log.append(&topic(), vec![notice_record(&answer)]));
}

struct Watching<'a> {
    node: &'a Node,
    followed: (Members, Box<dyn Reader>),
}

impl Watching<'_> {
    /// Folds until this incarnation is no member any more.
    async fn evicted(mut self) -> End {
        loop {
            let error = match self.fold().await {
                Ok(why) => return why,
                Err(error) => error,
            };
            warn!(target: "xp_edge::cluster", %error, "the cluster log cannot be read");
            self.node.state.set_blind(true);
            self.enter().await;
            self.node.state.set_blind(false);
        }
    }

    async fn fold(&mut self) -> Result<End, ReadError> {
        let (members, reader) = &mut self.followed;
        loop {
            if let Some(end) = self.node.identity.end(members) {
                return Ok(end);
            }
            for stored in reader.next().await? {
                if let Some(member) = member(&stored) {
                    members.apply(stored.offset, stored.time, &member);
                } else if let Some(notice) = notice(&stored) {
                    heed(self.node, notice);
                }
            }
            let is_edge = |who: &Who| matches!(who.kind, Kind::Edge { .. });
            let edges = members.iter().filter(|(_, who, _)| is_edge(who)).count();
            self.node.routes.share_with(edges as u64);
        }
    }

    /// Begins anew where whoever joins now would.
    async fn enter(&mut self) {
        loop {
            tokio::time::sleep(self.node.config.timing.retry.0).await;
            if let Ok(followed) = enter(self.node.log.as_ref(), GENERATION).await {
                self.followed = followed;
                return;
            }
        }
    }
}
