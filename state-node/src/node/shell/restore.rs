//! A partition's published snapshot: taken where the log does not reach back, and written for others.

use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use xp_cluster::Members;
use xp_protocol::{Incarnation, LanePartition, Offset};
use xp_transport::Bounds;

use super::Topics;
use crate::node::Shared;
use crate::published::{self, Changes, Outcome, Publishing, Restoring};
use crate::snapshot;
use crate::store::SnapshotStore;

type Store = Arc<dyn SnapshotStore>;

/// R36: takes the published snapshot, where what is on this disk and in the log is not all there was, or would be long
/// to replay. Whether it did.
pub(super) async fn restore(
    shared: &Shared,
    place: &LanePartition,
    topics: &Topics,
    store: &Store,
    bounds: Bounds,
) -> Result<bool, String> {
    let pace = Arc::new(shared.limits(place).publishing.clone());
    // One that cannot be read is no snapshot; opening says so.
    let local = published::position(store.as_ref()).unwrap_or_default();
    let local = local.map(|(_, position)| position);
    let is_whole = bounds.first == Offset(0);
    let behind = bounds.next.0.saturating_sub(local.map_or(0, |end| end.0));
    // A snapshot here that the log needs is not given up for one that would only be newer.
    let wants = if is_whole {
        behind > pace.replay_max
    } else {
        !snapshot::covers(local, bounds.first)
    };
    if !wants {
        return Ok(false);
    }
    let restoring = Restoring {
        log: Arc::clone(&shared.log),
        at: topics.snapshots.clone(),
        store: Arc::clone(store),
        pace,
    };
    // It may take minutes, and is not what a partition in its stride does.
    shared.standing.ended(place);
    let mut stop = shared.stop.clone();
    let outcome = tokio::select! {
        outcome = restoring.run(local) => outcome,
        _ = stop.wait_for(|stops| *stops) => return Err("the node stops".to_owned()),
    };
    match outcome {
        Ok(Outcome::Restored(position)) => {
            tracing::info!(%place, %position, "the partition goes on from its published snapshot");
            Ok(true)
        }
        Ok(Outcome::Nothing | Outcome::Older(_)) => Ok(false),
        Err(error) if is_whole => {
            tracing::warn!(%place, %error, "the published snapshot is not used; the log is replayed");
            Ok(false)
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Who publishes a partition: the first mirror that has it, so that the owner pays nothing; the owner while there is none.
pub(super) fn publishes(members: &Members, place: &LanePartition) -> Option<Incarnation> {
    let mut mirrors = members.mirrors(place).iter().copied();
    let mirror = mirrors.find(|mirror| members.is_warm(place, *mirror));
    mirror.or_else(|| members.owner(place))
}

/// Starts what publishes the partition when it is this node's turn; where the lane has no such topic, nothing.
pub(super) async fn publish(
    shared: &Shared,
    place: &LanePartition,
    topics: &Topics,
    store: &Store,
    changes: &Arc<Mutex<Changes>>,
) -> watch::Sender<bool> {
    let (mine, turn) = watch::channel(false);
    let topic = &topics.snapshots.topic;
    if shared.log.partitions(topic).await.is_some() {
        let publishing = Publishing {
            log: Arc::clone(&shared.log),
            at: topics.snapshots.clone(),
            store: Arc::clone(store),
            changes: Arc::clone(changes),
            pace: Arc::new(shared.limits(place).publishing.clone()),
        };
        tokio::spawn(publishing.run(turn));
    }
    mine
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use xp_protocol::cluster::{Kind, Member, Who};
    use xp_protocol::{PartitionId, TimeMs};

    use super::*;
    use crate::{Lane, Lanes};

    fn alive(incarnation: Incarnation, warm: &[LanePartition]) -> Member {
        Member::Alive {
            incarnation,
            joined: Offset(1),
            sent: TimeMs(0),
            who: who(incarnation),
            leaving: false,
            warm: warm.to_vec(),
        }
    }

    fn who(incarnation: Incarnation) -> Who {
        Who {
            lanes: 1,
            ..Who::new(&incarnation.to_string(), Kind::StateNode)
        }
    }

    #[test]
    fn a_mirror_publishes_once_it_has_the_partition() {
        let lanes = Lanes::default().with(Lane::new("main", 1, 1), ["ledger"]);
        let place = LanePartition {
            lane: "main".into(),
            partition: PartitionId(0),
        };
        let nodes = [1, 2].map(|n| Incarnation(Uuid::from_u128(n)));
        let mut told = vec![Member::Lanes(lanes.definitions(1))];
        told.extend(nodes.map(|incarnation| Member::Join {
            incarnation,
            who: who(incarnation),
        }));
        let mut members = Members::default();
        let tell = |members: &mut Members, word: &Member| {
            let next = members.next();
            members.apply(next, TimeMs(0), word);
        };
        for word in &told {
            tell(&mut members, word);
        }
        assert_eq!(publishes(&members, &place), members.owner(&place));
        for node in nodes {
            tell(&mut members, &alive(node, std::slice::from_ref(&place)));
        }
        let mirror = members.mirrors(&place).first().copied();
        assert!(mirror.is_some());
        assert_eq!(publishes(&members, &place), mirror);
    }
}
