//! The watchdog: a thread of its own that looks whether the node's partitions go on (R47). Where domain code does not
//! return it names the entity and the message. The heartbeats see the same, and leave the partition to others (R46).

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;
use xp_protocol::LanePartition;

use super::Shared;
use super::reports::PartitionState;

/// How often in a row a partition must have been seen to make no progress. After the whole process stood still, its
/// partitions go on sooner.
const SEEN_MAX: u32 = 5;

/// What looks after a node's partitions.
struct Watchdog {
    shared: Weak<Shared>,
    longest: Duration,
    /// How often in a row each was seen to make no progress.
    seen: BTreeMap<LanePartition, u32>,
}

/// Looks every so often, until the node is gone.
pub(super) fn start(
    shared: &Arc<Shared>,
    every: Duration,
    longest: Duration,
) -> std::io::Result<()> {
    let mut watchdog = Watchdog {
        shared: Arc::downgrade(shared),
        longest,
        seen: BTreeMap::new(),
    };
    let thread = std::thread::Builder::new().name("watchdog".to_owned());
    thread.spawn(move || {
        while watchdog.look() {
            std::thread::park_timeout(every);
        }
    })?;
    Ok(())
}

impl Watchdog {
    /// Whether there is still a node to look after.
    fn look(&mut self) -> bool {
        let Some(shared) = self.shared.upgrade() else {
            return false;
        };
        let idle = shared.standing.idle(Instant::now(), self.longest);
        self.seen
            .retain(|partition, _| idle.contains_key(partition));
        for (partition, idle) in idle {
            let seen = self.seen.entry(partition.clone()).or_default();
            *seen += 1;
            if *seen == SEEN_MAX {
                stuck(&shared, &partition, idle);
            }
        }
        true
    }
}

fn stuck(shared: &Shared, partition: &LanePartition, idle: Duration) {
    let deciding = shared.standing.deciding(partition);
    let deciding = deciding.unwrap_or_else(|| "nothing of an entity's".to_owned());
    tracing::error!(
        %partition, deciding, ?idle,
        "domain code does not return (R47): the partition goes on elsewhere, and its thread is left behind; mend the code \
         and restart this node"
    );
    let reason = format!("domain code has not returned for {idle:?}, deciding {deciding}");
    shared
        .reports
        .set_state(partition, PartitionState::Stopped(Some(reason)));
    shared.standing.give_up(partition);
}
