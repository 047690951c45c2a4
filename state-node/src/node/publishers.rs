//! The publishers of a node's partitions, and the lock that keeps each apart from whoever writes the partition's
//! snapshots.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use xp_protocol::LanePartition;

use crate::published::{Changes, Publishing};

type Turn = Arc<tokio::sync::Mutex<Changes>>;

/// The publishers of a node.
#[derive(Default)]
pub(crate) struct Publishers {
    running: watch::Sender<usize>,
    /// Each held while its partition's snapshot is written or published.
    turns: Mutex<BTreeMap<LanePartition, Turn>>,
}

impl Publishers {
    /// Whoever writes a partition's snapshot or publishes it holds this.
    pub(super) fn turn(&self, partition: &LanePartition) -> Turn {
        let mut turns = self.turns.lock().expect("no holder of this lock panics");
        Arc::clone(turns.entry(partition.clone()).or_default())
    }

    /// Starts what publishes a partition; it ends with the sender of `mine`.
    pub(super) fn start(&self, publishing: Publishing, mine: watch::Receiver<bool>) {
        let running = self.running.clone();
        running.send_modify(|count| *count += 1);
        tokio::spawn(async move {
            publishing.run(mine).await;
            running.send_modify(|count| *count -= 1);
        });
    }

    /// Waits for all of them and for what they are reading, each for so long at the most: whoever starts next finds the
    /// snapshots free.
    pub(super) async fn ended(&self, longest: Duration) {
        let mut running = self.running.subscribe();
        let ended = running.wait_for(|count| *count == 0);
        drop(tokio::time::timeout(longest, ended).await);
        let turns: Vec<_> = {
            let turns = self.turns.lock().expect("no holder of this lock panics");
            turns.values().cloned().collect()
        };
        for turn in turns {
            drop(tokio::time::timeout(longest, turn.lock()).await);
        }
    }
}
