//! A partition's published snapshot: taken where the log does not reach back, and written for others.

use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use xp_protocol::LanePartition;
use xp_transport::Bounds;

use crate::node::Shared;
use crate::node::hosting::Topics;
use crate::published::choice::{is_whole, restores};
use crate::published::{self, Changes, Outcome, Publishing, Restoring};
use crate::store::SnapshotStore;

type Store = Arc<dyn SnapshotStore>;

/// R36: takes the published snapshot, where what is on this disk and in the log is not all there was, or would be long
/// to replay. Whether it did.
pub(super) async fn restore(
    shared: &Shared,
    partition: &LanePartition,
    topics: &Topics,
    store: &Store,
    bounds: Bounds,
) -> Result<bool, String> {
    let pace = Arc::new(shared.hosting.limits(partition).pace());
    // One that cannot be read is no snapshot; opening says so.
    let local = published::position(store.as_ref()).unwrap_or_default();
    let local = local.map(|(_, position)| position);
    if !restores(local, bounds, pace.replay_max) {
        return Ok(false);
    }
    let restoring = Restoring {
        log: Arc::clone(&shared.log),
        at: topics.snapshots.clone(),
        store: Arc::clone(store),
        pace,
    };
    // It may take minutes, and is not what a partition in its stride does.
    shared.standing.ended(partition);
    let mut stop = shared.stop.clone();
    let outcome = tokio::select! {
        outcome = restoring.run(local) => outcome,
        _ = stop.wait_for(|stops| *stops) => return Err("the node stops".to_owned()),
    };
    match outcome {
        Ok(Outcome::Restored(position)) => {
            tracing::info!(%partition, %position, "the partition goes on from its published snapshot");
            Ok(true)
        }
        Ok(Outcome::Nothing | Outcome::Older(_)) => Ok(false),
        Err(error) if is_whole(bounds) => {
            tracing::warn!(%partition, %error, "the published snapshot is not used; the log is replayed");
            Ok(false)
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Starts what publishes the partition when it is this node's turn; where the lane has no such topic, nothing.
pub(super) async fn publish(
    shared: &Shared,
    partition: &LanePartition,
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
            events: topics.events.clone(),
            store: Arc::clone(store),
            changes: Arc::clone(changes),
            pace: Arc::new(shared.hosting.limits(partition).pace()),
        };
        shared.publishers.start(publishing, turn);
    }
    mine
}
