//! Supervision by ractor: a partition that fails is rebuilt from the log, after a while that grows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use xp_protocol::LanePartition;

use super::shell::{self, Ended};
use super::{PartitionState, Shared};

/// The longest wait before a partition is opened again.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Starts partitions and starts them again.
pub(super) struct Supervisor;

/// What a supervisor is told.
pub(super) enum Supervise {
    /// Start this partition.
    Start(LanePartition),
}

/// Which partitions run, and how often each has failed in a row.
pub(super) struct Supervised {
    shared: Arc<Shared>,
    running: BTreeMap<ActorId, LanePartition>,
    failures: BTreeMap<LanePartition, u32>,
}

impl Actor for Supervisor {
    type Msg = Supervise;
    type State = Supervised;
    type Arguments = (Arc<Shared>, Vec<LanePartition>);

    async fn pre_start(
        &self,
        myself: ActorRef<Supervise>,
        (shared, places): Self::Arguments,
    ) -> Result<Supervised, ActorProcessingErr> {
        for place in places {
            myself.send_message(Supervise::Start(place))?;
        }
        Ok(Supervised {
            shared,
            running: BTreeMap::new(),
            failures: BTreeMap::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Supervise>,
        Supervise::Start(place): Supervise,
        state: &mut Supervised,
    ) -> Result<(), ActorProcessingErr> {
        let arguments = (Arc::clone(&state.shared), place.clone());
        let (actor, _) =
            Actor::spawn_linked(None, PartitionActor, arguments, myself.get_cell()).await?;
        state.running.insert(actor.get_id(), place);
        actor.send_message(Run)?;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Supervise>,
        event: SupervisionEvent,
        state: &mut Supervised,
    ) -> Result<(), ActorProcessingErr> {
        let SupervisionEvent::ActorFailed(actor, error) = event else {
            return Ok(());
        };
        let Some(place) = state.running.remove(&actor.get_id()) else {
            return Ok(());
        };
        let failures = state.failures.entry(place.clone()).or_default();
        *failures += 1;
        let wait = BACKOFF_MAX.min(Duration::from_millis(50 << (*failures).min(7)));
        tracing::error!(%place, %error, ?wait, "a partition failed and will be opened again");
        state.shared.set_state(&place, PartitionState::Replaying);
        myself.send_after(wait, move || Supervise::Start(place));
        Ok(())
    }
}

/// One partition's life, in one message: its loop owns all its state, so its mailbox holds nothing else.
struct PartitionActor;

struct Run;

impl Actor for PartitionActor {
    type Msg = Run;
    type State = (Arc<Shared>, LanePartition);
    type Arguments = (Arc<Shared>, LanePartition);

    async fn pre_start(
        &self,
        _: ActorRef<Run>,
        arguments: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(arguments)
    }

    async fn handle(
        &self,
        myself: ActorRef<Run>,
        Run: Run,
        (shared, place): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let reason = match shell::run(shared, place).await {
            Ended::Released => None,
            Ended::Stopped(reason) => {
                tracing::error!(%place, reason, "a partition has stopped and needs a person");
                Some(reason)
            }
            Ended::Evicted => Some("another process took this node's name".to_owned()),
        };
        shared.set_state(place, PartitionState::Stopped(reason));
        myself.stop(None);
        Ok(())
    }
}
