//! Edge and state node as processes of their own, on a log that they share.

mod edge;
mod state_node;
mod absence;
mod hold_off;

pub use edge::Edge;
pub(crate) use edge::Serving;
pub use state_node::StateNode;

use uuid::Uuid;
use xp_protocol::Incarnation;

use crate::backend::BackendError;
use crate::lanes::LaneError;

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Lanes and hosted categories do not fit together.
    #[error(transparent)]
    Lanes(#[from] LaneError),
    /// There is no log to run on.
    #[error(transparent)]
    Log(#[from] BackendError),
    /// The state node does not start.
    #[error(transparent)]
    StateNode(#[from] xp_state_node::StartError),
    /// A partition cannot go on from what the log holds.
    #[error("a partition does not start: {0}")]
    Partition(String),
    /// Another process has taken its name meanwhile, and it must not come back.
    #[error("another process has taken the name {0:?} on the same log")]
    Taken(String),
    /// The edge does not start.
    #[error(transparent)]
    Edge(#[from] xp_edge::StartError),
}

#[expect(
    clippy::disallowed_methods,
    reason = "each start of a node names itself; decisions take their ids from their seeds"
)]
pub(crate) fn incarnation() -> Incarnation {
    Incarnation(Uuid::new_v4())
}
