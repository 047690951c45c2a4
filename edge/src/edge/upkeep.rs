//! The tasks of an edge beside its sockets: heartbeats, resumes that are due again, fresh keys, and forgetting.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::info;
use xp_protocol::CloseCode;

use crate::jwt::KEY_WITHDRAWN;
use crate::membership::Membership;
use crate::node::Node;
use crate::{fanout, membership};

/// A key set that cannot be had is asked for again after so long at least, whatever is configured.
const RETRY_MIN: Duration = Duration::from_millis(100);

/// What goes on for as long as the edge runs, whoever is connected.
pub(super) fn spawn(node: &Arc<Node>, tasks: &mut JoinSet<()>, membership: Membership) {
    tasks.spawn(fanout::repair(Arc::clone(node)));
    tasks.spawn(membership::heartbeats(Arc::clone(node)));
    tasks.spawn(membership::watch(Arc::clone(node), membership));
    tasks.spawn(forget(Arc::clone(node)));
    if node.verifier.has_urls() {
        tasks.spawn(refresh(Arc::clone(node)));
    }
    tasks.spawn(withdrawn(Arc::clone(node)));
}

/// Keeps what the limits remember small.
async fn forget(node: Arc<Node>) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        node.limits.forget_the_quiet();
    }
}

/// Keeps the key sets fresh, and asks more often for one that cannot be had.
async fn refresh(node: Arc<Node>) {
    let timing = &node.config.timing;
    loop {
        let usual = timing.keys.refresh.0;
        let pause = if node.verifier.has_failed() {
            usual.min(timing.keys.retry.0.max(RETRY_MIN))
        } else {
            usual
        };
        tokio::time::sleep(pause).await;
        node.verifier.refresh(node.clock.now()).await;
    }
}

/// Ends the sockets that came in with a key that does not count any more.
async fn withdrawn(node: Arc<Node>) {
    loop {
        node.verifier.changed().await;
        let keys = node.verifier.keys();
        let mut closed = 0_u64;
        for send_queue in node.registry.send_queues() {
            if !keys.contains(&send_queue.key()) {
                send_queue.close(CloseCode::TokenExpired, KEY_WITHDRAWN);
                closed += 1;
            }
        }
        info!(target: "xp_edge::keys", keys = keys.len(), closed, "the keys of tokens are others now; sockets whose key was withdrawn are closed");
    }
}
