//! The edge as a member: joins, says that it is alive, notices that it was replaced, leaves.

use std::sync::Arc;

use bytes::Bytes;
use tracing::{error, warn};
use xp_cluster::Members;
use xp_protocol::cluster::{Kind, Member, Who};
use xp_protocol::lane::CLUSTER_TOPIC;
use xp_protocol::{CloseCode, Incarnation, Offset, PartitionId, codec};
use xp_transport::{AppendError, Log, ReadError, Record, TopicPartition};

use crate::node::Node;

fn cluster() -> TopicPartition {
    TopicPartition {
        topic: CLUSTER_TOPIC.into(),
        partition: PartitionId(0),
    }
}

async fn append(log: &dyn Log, member: &Member) -> Result<Offset, AppendError> {
    let record = Record {
        key: Bytes::new(),
        header: codec::encode(member).into(),
        value: Bytes::new(),
    };
    let mut answers = log.append(&cluster(), vec![record]).await;
    answers.pop().unwrap_or_else(|| {
        Err(AppendError::Unacknowledged {
            at: cluster(),
            reason: "the log gave no answer".to_owned(),
        })
    })
}

fn who(name: &str, outbound: PartitionId) -> Who {
    Who::new(name, Kind::Edge { outbound })
}

/// The outbound partitions that other edges read, one for each edge, as of the end of the `cluster` log. An earlier
/// process of this name is about to be replaced and does not count.
pub(crate) async fn outbound_partitions(
    log: &dyn Log,
    name: &str,
) -> Result<Vec<PartitionId>, ReadError> {
    let bounds = log.bounds(&cluster()).await?;
    let mut members = Members::default();
    let mut reader = log.read(&cluster(), bounds.first);
    let mut next = bounds.first;
    while next < bounds.next {
        for stored in reader.next().await? {
            next = stored.offset.next();
            if let Ok(member) = codec::decode::<Member>(&stored.record.header) {
                members.apply(stored.offset, stored.time, &member);
            }
        }
    }
    let others = members.iter().filter(|(_, who, _)| *who.name != *name);
    let outbound = others.filter_map(|(_, who, _)| match who.kind {
        Kind::Edge { outbound } => Some(outbound),
        Kind::StateNode => None,
    });
    Ok(outbound.collect())
}

/// Joins; the offset is what state nodes judge this edge by (R29).
pub(crate) async fn join(
    log: &dyn Log,
    name: &str,
    incarnation: Incarnation,
    outbound: PartitionId,
) -> Result<Offset, AppendError> {
    let who = who(name, outbound);
    append(log, &Member::Join { incarnation, who }).await
}

/// Says that the edge is alive, as long as it hears its lanes.
pub(crate) async fn heartbeats(node: Arc<Node>) {
    let mut every = tokio::time::interval(node.config.timing.heartbeat.0);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if node.state.is_deaf() || node.state.is_evicted() {
            continue;
        }
        let alive = Member::Alive {
            incarnation: node.incarnation,
            who: who(&node.config.name, node.outbound),
            joined: node.joined,
            sent: node.clock.now(),
            leaving: false,
            warm: Vec::new(),
        };
        let taken = beat(&node, &alive).await;
        node.state.set_unheard(taken.is_err());
        if let Err(error) = taken {
            warn!(target: "xp_edge::cluster", %error, "a heartbeat failed");
        }
    }
}

/// One heartbeat at a time; one that is late shows that the log is away before anybody says anything.
async fn beat(node: &Node, alive: &Member) -> Result<Offset, AppendError> {
    let mut taken = std::pin::pin!(append(node.log.as_ref(), alive));
    match tokio::time::timeout(node.config.timing.lane_stall.0, &mut taken).await {
        Ok(taken) => taken,
        Err(_) => {
            node.state.set_unheard(true);
            taken.await
        }
    }
}

/// Says goodbye, once: state nodes that miss it detach what is left by its silence.
pub(crate) async fn leave(node: &Node) {
    let incarnation = node.incarnation;
    if let Err(error) = append(node.log.as_ref(), &Member::Leave { incarnation }).await {
        warn!(target: "xp_edge::cluster", %error, "could not say goodbye");
    }
}

/// R25: an edge that reads its own eviction closes all its sockets.
pub(crate) async fn watch(node: Arc<Node>) {
    let mut from = node.joined.next();
    loop {
        if follow(&node, &mut from).await {
            // What a draining edge reads is its own goodbye.
            if !node.state.is_draining() {
                error!(target: "xp_edge::cluster", "this edge was replaced; it closes all sockets");
            }
            node.state.evict();
            return node.close_all(CloseCode::ComeBack, "the edge was replaced");
        }
        tokio::time::sleep(node.config.timing.retry.0).await;
    }
}

/// Reads on until the end of this incarnation (true) or of the reader (false).
async fn follow(node: &Node, from: &mut Offset) -> bool {
    let mut reader = node.log.read(&cluster(), *from);
    while let Ok(batch) = reader.next().await {
        for stored in batch {
            *from = stored.offset.next();
            let member = codec::decode::<Member>(&stored.record.header);
            if member.is_ok_and(|member| ends(node, &member)) {
                return true;
            }
        }
    }
    false
}

fn ends(node: &Node, member: &Member) -> bool {
    match member {
        Member::Join { incarnation, who } => {
            *who.name == *node.config.name && *incarnation != node.incarnation
        }
        Member::Leave { incarnation } => *incarnation == node.incarnation,
        _ => false,
    }
}
