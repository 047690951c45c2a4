//! Membership: what this node knows of its own place in the cluster, and whether it does what placement gives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use xp_cluster::members::End;
use xp_cluster::{Duty, Lease, Members};
use xp_protocol::{Incarnation, LanePartition, TimeMs};

use super::cluster::View;
use super::reports::{PartitionState, States};

/// This process, and the cluster as far as it has folded it.
#[derive(Clone)]
pub(crate) struct Membership {
    incarnation: Incarnation,
    view: watch::Receiver<View>,
}

impl Membership {
    pub(crate) fn new(incarnation: Incarnation, view: watch::Receiver<View>) -> Self {
        Self { incarnation, view }
    }

    /// This process.
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Everything that is known now.
    pub(crate) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Hears of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Why this node is a member no longer; none while it is one.
    pub(crate) fn end(&self) -> Option<End> {
        self.view.borrow().ended
    }

    /// Resolves when this node is a member no longer.
    pub(crate) async fn ended(&self) -> End {
        let mut view = self.view.clone();
        // Without its sender it can change no more, and then the end is in it.
        drop(view.wait_for(|view| view.ended.is_some()).await);
        match self.end() {
            Some(end) => end,
            None => std::future::pending().await,
        }
    }

    /// R13: until when it may answer.
    pub(crate) fn lease(&self) -> Lease {
        self.view.borrow().lease
    }

    /// Whether its heartbeats are read back in time (R13).
    pub(crate) fn has_lease(&self, running: TimeMs) -> bool {
        self.lease().holds(running)
    }

    pub(crate) fn members(&self) -> Arc<Members> {
        Arc::clone(&self.view.borrow().members)
    }

    /// What placement gives this node.
    pub(crate) fn duties(&self) -> BTreeMap<LanePartition, Duty> {
        self.view.borrow().members.duties(self.incarnation)
    }

    /// Whether the node does all that placement gives it: it decides for what it should own, and could own what it
    /// mirrors.
    pub(crate) fn serves(&self, states: &States) -> bool {
        self.all(states, |duty, state| match duty {
            Duty::Own => *state == PartitionState::Owned,
            Duty::Mirror => matches!(state, PartitionState::Owned | PartitionState::Mirroring),
        })
    }

    /// Whether everything that placement gives the node is done or cannot be done.
    pub(crate) fn has_settled(&self, states: &States) -> bool {
        self.all(states, |duty, state| match duty {
            Duty::Own => matches!(state, PartitionState::Owned | PartitionState::Stopped(_)),
            Duty::Mirror => *state != PartitionState::Replaying,
        })
    }

    /// A cluster without lanes has given nobody anything yet.
    fn all(&self, states: &States, holds: impl Fn(Duty, &PartitionState) -> bool) -> bool {
        let done = |(partition, duty)| {
            states
                .get(&partition)
                .is_some_and(|state| holds(duty, state))
        };
        self.members().definitions().is_some() && self.duties().into_iter().all(done)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use xp_protocol::Offset;
    use xp_protocol::cluster::{Kind, Member, Who};

    use super::*;
    use crate::lanes::{Lane, Lanes};

    const ME: Incarnation = Incarnation(Uuid::from_u128(1));

    /// The only node of a cluster, with one partition.
    fn membership(has_lanes: bool) -> Membership {
        let mut members = Members::new(1);
        let lanes = Lanes::default().with(Lane::new("main", 1, 1), ["board"]);
        let who = Who {
            lanes: 1,
            ..Who::new("node", Kind::StateNode)
        };
        let join = Member::Join {
            incarnation: ME,
            who,
        };
        members.apply(Offset(0), TimeMs(0), &join);
        if has_lanes {
            let lanes = Member::Lanes(lanes.definitions(1));
            members.apply(Offset(1), TimeMs(0), &lanes);
        }
        let view = View {
            members: Arc::new(members),
            ..View::default()
        };
        Membership::new(ME, watch::channel(view).1)
    }

    #[test]
    fn a_node_serves_when_it_owns_what_placement_gives_it() {
        let membership = membership(true);
        let duties = membership.duties();
        let (partition, duty) = duties.into_iter().next().expect("nobody else is there");
        assert_eq!(duty, Duty::Own);
        let mut states = States::new();
        assert!(!membership.serves(&states), "it has not begun");
        for (state, serves, has_settled) in [
            (PartitionState::Replaying, false, false),
            (PartitionState::Mirroring, false, false),
            (PartitionState::Stopped(None), false, true),
            (PartitionState::Owned, true, true),
        ] {
            states.insert(partition.clone(), state);
            let done = (membership.serves(&states), membership.has_settled(&states));
            assert_eq!(done, (serves, has_settled), "{states:?}");
        }
    }

    #[test]
    fn a_node_does_not_serve_a_cluster_without_lanes() {
        let membership = membership(false);
        assert!(!membership.serves(&States::new()) && !membership.has_settled(&States::new()));
    }
}
