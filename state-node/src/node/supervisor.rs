//! Supervision by ractor: a partition that fails is rebuilt from the log, after a while that grows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::watch;
use tokio::time::Instant;
use xp_protocol::LanePartition;

use super::Shared;
use super::cluster::View;
use super::reports::PartitionState;
use super::shell::Ended;
use super::thread::Thread;

/// The longest wait before a partition is opened again.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// The longest time for which others are asked first to own a partition that has failed here.
const DOUBT_MAX: Duration = Duration::from_secs(60);

/// Starts partitions and starts them again.
pub(super) struct Supervisor;

/// What a supervisor is told.
pub(super) enum Supervise {
    /// The fold of the cluster has moved on: placement may have given this node other partitions.
    Look,
    /// Start this partition again, if it is still this node's.
    Again(LanePartition),
}

/// Tells the supervisor of every change of the cluster.
pub(super) async fn watch(supervisor: ActorRef<Supervise>, mut view: watch::Receiver<View>) {
    view.mark_changed();
    while view.changed().await.is_ok() && supervisor.send_message(Supervise::Look).is_ok() {}
}

/// Which partitions run, and how often each has failed in a row.
pub(super) struct Supervised {
    shared: Arc<Shared>,
    running: BTreeMap<ActorId, LanePartition>,
    /// Waiting to be started again, or given up: not started when the cluster changes.
    waiting: BTreeSet<LanePartition>,
    failures: BTreeMap<LanePartition, u32>,
}

impl Supervised {
    /// The partitions that placement gives this node and that do not run.
    fn missing(&self) -> Vec<LanePartition> {
        let membership = &self.shared.membership;
        if membership.end().is_some() || *self.shared.stop.borrow() {
            return Vec::new();
        }
        let duties = membership.duties().into_keys();
        let running: BTreeSet<_> = self.running.values().collect();
        let missing = duties.filter(|at| !running.contains(at) && !self.waiting.contains(at));
        missing.collect()
    }

    async fn start(
        &mut self,
        myself: &ActorRef<Supervise>,
        partition: LanePartition,
    ) -> Result<(), ActorProcessingErr> {
        self.shared
            .reports
            .set_state(&partition, PartitionState::Replaying);
        let arguments = (Arc::clone(&self.shared), partition.clone());
        let (actor, _) =
            Actor::spawn_linked(None, PartitionActor, arguments, myself.get_cell()).await?;
        self.running.insert(actor.get_id(), partition);
        actor.send_message(Run)?;
        Ok(())
    }
}

impl Actor for Supervisor {
    type Msg = Supervise;
    type State = Supervised;
    type Arguments = Arc<Shared>;

    async fn pre_start(
        &self,
        _: ActorRef<Supervise>,
        shared: Self::Arguments,
    ) -> Result<Supervised, ActorProcessingErr> {
        Ok(Supervised {
            shared,
            running: BTreeMap::new(),
            waiting: BTreeSet::new(),
            failures: BTreeMap::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Supervise>,
        message: Supervise,
        state: &mut Supervised,
    ) -> Result<(), ActorProcessingErr> {
        if let Supervise::Again(partition) = message {
            state.waiting.remove(&partition);
        }
        for partition in state.missing() {
            state.start(&myself, partition).await?;
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Supervise>,
        event: SupervisionEvent,
        state: &mut Supervised,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(actor, ..) => {
                let partition = state.running.remove(&actor.get_id());
                // Those given up keep their reason; the others may have become this node's again meanwhile.
                let given_up =
                    partition.filter(|partition| state.shared.reports.has_stopped(partition));
                state.waiting.extend(given_up);
                myself.send_message(Supervise::Look)?;
            }
            SupervisionEvent::ActorFailed(actor, error) => {
                let Some(partition) = state.running.remove(&actor.get_id()) else {
                    return Ok(());
                };
                state.shared.standing.ended(&partition);
                let failures = state.failures.entry(partition.clone()).or_default();
                *failures += 1;
                let doubt = DOUBT_MAX.min(Duration::from_secs(1 << (*failures).min(7)));
                state
                    .shared
                    .standing
                    .doubt(&partition, Instant::now() + doubt);
                let wait = BACKOFF_MAX.min(Duration::from_millis(50 << (*failures).min(7)));
                tracing::warn!(%partition, %error, ?wait, "a partition failed and will be opened again");
                state
                    .shared
                    .reports
                    .set_state(&partition, PartitionState::Replaying);
                state.waiting.insert(partition.clone());
                myself.send_after(wait, move || Supervise::Again(partition));
            }
            _ => {}
        }
        Ok(())
    }
}

/// One partition's life, in one message: its loop owns all its state, on a thread of its own, so the mailbox holds
/// nothing else.
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
        (shared, partition): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let ended = Thread::start(shared, partition)?.ended().await?;
        shared.standing.ended(partition);
        let reason = match ended {
            Ended::Closed if !*shared.stop.borrow() => {
                shared.reports.forget(partition);
                myself.stop(None);
                return Ok(());
            }
            Ended::Closed => None,
            Ended::Stopped(reason) => {
                tracing::error!(%partition, reason, "a partition has stopped: mend what the reason names and start this node again");
                Some(reason)
            }
            Ended::Evicted => Some("the node is a member of the cluster no longer".to_owned()),
        };
        shared
            .reports
            .set_state(partition, PartitionState::Stopped(reason));
        myself.stop(None);
        Ok(())
    }
}
