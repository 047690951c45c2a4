//! The status of a state node, for those who ask over HTTP: what placement gives it, what it does of that in fact, and
//! why it is not ready, if it is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::Instant;
use xp_cluster::Duty;
use xp_cluster::members::End;
use xp_protocol::{Address, LanePartition, Offset};
use xp_transport::TopicPartition;

use super::Shared;
use super::cluster::View;
use super::operator::{OperatorReply, OperatorRequest};
use super::reports::PartitionState;

/// For how long the log is asked where its partitions end. What it does not say is left out.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// For how long a process that stood still is not ready: what it says of itself may be of before.
const STILL: Duration = Duration::from_secs(2);

/// For how long a partition may think about a question.
const ANSWERED_WITHIN: Duration = Duration::from_secs(4);

/// Looks at a node without keeping it: it may be gone.
#[derive(Clone)]
pub struct Observer {
    shared: Weak<Shared>,
}

/// What a node is and does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The process, as other nodes know it.
    pub incarnation: String,
    /// How much of the `cluster` log it has folded.
    pub view: u64,
    /// Whether it does all that placement gives it.
    pub ready: bool,
    /// Why it is not ready; each is a sentence.
    pub problems: Vec<String>,
    /// For how much longer it sees nobody declared gone, in milliseconds of the `cluster` log's time: that log took nothing
    /// for a while, and takeovers from silent nodes wait.
    #[serde(skip_serializing_if = "is_zero")]
    pub verdicts_suspended_ms: u64,
    /// The version of the lanes that the cluster runs.
    pub lanes_version: u32,
    /// What placement gives it, and what it does besides.
    pub partitions: Vec<Partition>,
}

/// One partition on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// As in `main/3`.
    pub partition: String,
    /// What placement gives it to do: `own`, `mirror`, or nothing any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duty: Option<&'static str>,
    /// What it does: `owned`, `mirroring`, `replaying`, `stopped`, `stuck` when it makes no progress, or `missing` before it
    /// has begun.
    pub state: &'static str,
    /// Why it has stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The next record of `events` that it will fold; an owner writes them itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// How many records of `events` it has not folded yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// Entities in memory.
    pub entities: usize,
    /// Entities that this build cannot read, of those that were touched (R44).
    pub quarantined: usize,
    /// The first of them; `xp entity show` says why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quarantined_first: Vec<Address>,
}

/// What is looked at to judge whether a node is ready.
#[derive(Clone, Debug, Default)]
struct Glance {
    ended: Option<End>,
    has_lanes: bool,
    is_leaving: bool,
    has_lease: bool,
    /// For how long the process stood still just now.
    stood_still: Option<Duration>,
    /// What makes no progress.
    stuck: BTreeSet<LanePartition>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Observer {
    pub(crate) fn new(shared: Weak<Shared>) -> Self {
        Self { shared }
    }

    /// What the node does now; `None` when it is gone. Asks the log how far its partitions go.
    pub async fn status(&self) -> Option<Status> {
        let (mut status, topics) = self.look()?;
        let log = Arc::clone(&self.shared.upgrade()?.log);
        let bounds = topics.into_iter().map(|(index, at)| {
            let bounds = log.bounds(&at);
            async move { (index, bounds.await) }
        });
        let asking: FuturesUnordered<_> = bounds.collect();
        let deadline = tokio::time::sleep(ENDS_WITHIN);
        let mut answers = asking.take_until(Box::pin(deadline));
        while let Some((index, bounds)) = answers.next().await {
            if let Ok(bounds) = bounds {
                status.partitions[index].ends_at(bounds.next);
            }
        }
        Some(status)
    }

    /// Why the node is not ready; empty when it is.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match self.look() {
            Some((status, _)) => status.problems,
            None => {
                vec!["it was given up by the cluster and joins again, or it has ended".to_owned()]
            }
        }
    }

    /// How one entity is, as this node has it, after another try to read it if `retry` says so; `None` when there is none.
    ///
    /// # Errors
    /// Why nobody can say: the node does not hold its partition, or does not answer in time.
    pub async fn entity(&self, address: Address, retry: bool) -> OperatorReply {
        let (reply, replied) = oneshot::channel();
        {
            let gone = || "the node has ended, or joins again".to_owned();
            let shared = self.shared.upgrade().ok_or_else(gone)?;
            let unknown = || format!("no lane serves the category {}", address.category());
            let partition = shared.hosting.locate(&address).ok_or_else(unknown)?;
            if !shared.reports.knows(&partition) {
                return Err(format!(
                    "this node does not hold {partition}, where {address} is: ask the one that does, which `xp cluster partitions` names"
                ));
            }
            let request = OperatorRequest {
                address,
                retry,
                reply,
            };
            if !shared.operator_requests.push(&partition, request) {
                return Err(format!(
                    "{partition} has more questions to answer than it can"
                ));
            }
        }
        match tokio::time::timeout(ANSWERED_WITHIN, replied).await {
            Ok(Ok(reply)) => reply,
            _ => {
                Err("its partition does not answer: it replays, has stopped, or is busy".to_owned())
            }
        }
    }

    fn look(&self) -> Option<(Status, Vec<(usize, TopicPartition)>)> {
        let shared = self.shared.upgrade()?;
        let incarnation = shared.membership.incarnation();
        let View {
            members,
            lease,
            suspended_ms,
            ended,
        } = shared.membership.view();
        let now = Instant::now();
        let since = now.checked_sub(STILL).unwrap_or(now);
        let glance = Glance {
            ended,
            has_lanes: members.definitions().is_some(),
            is_leaving: shared.standing.is_leaving(),
            has_lease: lease.holds(shared.clock.running()),
            stood_still: shared.standing.has_stood_still(since),
            stuck: shared.standing.left_to_others(),
        };
        let duties = members.duties(incarnation);
        let states = shared.reports.states();
        let problems = problems(&glance, &duties, &states);
        let partitions = partitions(&duties, &states, &glance.stuck);
        let mut status = Status {
            incarnation: incarnation.to_string(),
            view: members.view().offset.0,
            ready: problems.is_empty(),
            problems,
            verdicts_suspended_ms: suspended_ms,
            lanes_version: members.definitions().map_or(0, |lanes| lanes.version),
            partitions: Vec::with_capacity(partitions.len()),
        };
        let mut topics = Vec::new();
        for (partition, mut row) in partitions {
            if let Some(seen) = shared.reports.seen(&partition) {
                row.entities = seen.entities;
                row.position = seen.next.map(|next| next.0);
                row.quarantined = seen.quarantined;
                row.quarantined_first = seen.named;
            }
            if let Some(of) = shared.hosting.topics(&partition) {
                topics.push((status.partitions.len(), of.events));
            }
            status.partitions.push(row);
        }
        Some((status, topics))
    }
}

impl Partition {
    fn ends_at(&mut self, end: Offset) {
        let lag = |position: u64| end.0.saturating_sub(position);
        self.lag = self.position.map(lag);
    }
}

/// What keeps a node from being ready, the gravest first.
fn problems(
    glance: &Glance,
    duties: &BTreeMap<LanePartition, Duty>,
    states: &BTreeMap<LanePartition, PartitionState>,
) -> Vec<String> {
    match glance.ended {
        Some(End::Replaced) => {
            return vec!["another process took its name: this one ends".to_owned()];
        }
        Some(End::Silent) => {
            return vec!["the cluster had not heard of it for too long and gave its partitions to others: it joins again".to_owned()];
        }
        Some(End::Left) => return vec!["it has left".to_owned()],
        None => {}
    }
    let mut problems = Vec::new();
    if glance.is_leaving {
        problems.push("it is leaving, and hands its partitions over".to_owned());
    }
    if !glance.has_lease {
        problems.push("its heartbeats are not read back in time: the cluster log does not answer, or one of its partitions makes no progress; it answers no queries".to_owned());
    }
    if let Some(lasted) = glance.stood_still {
        let lasted_ms = lasted.as_millis();
        problems.push(format!("the process stood still for {lasted_ms} ms just now: others may have taken its partitions over"));
    }
    // Why it has stopped, where that is known, says more than that it makes no progress.
    let is_stuck = |partition: &LanePartition| {
        let reason = states.get(partition).and_then(PartitionState::reason);
        glance.stuck.contains(partition) && reason.is_none()
    };
    let stuck = glance.stuck.iter().filter(|partition| is_stuck(partition));
    problems.extend(stuck.map(|partition| {
        format!("{partition} makes no progress here: another node that is warm takes it over")
    }));
    if !glance.has_lanes {
        problems.push("the cluster has no lanes yet".to_owned());
    }
    let undone = duties
        .iter()
        .filter(|(partition, _)| !is_stuck(partition))
        .filter_map(|(partition, duty)| undone(partition, *duty, states.get(partition)));
    problems.extend(undone);
    problems
}

/// What a node should do with a partition and does not do.
fn undone(partition: &LanePartition, duty: Duty, state: Option<&PartitionState>) -> Option<String> {
    use PartitionState as State;
    let does = match (duty, state) {
        (Duty::Own, Some(State::Owned)) | (Duty::Mirror, Some(State::Owned | State::Mirroring)) => {
            return None;
        }
        (_, Some(State::Stopped(Some(reason)))) => {
            return Some(format!(
                "{partition} has stopped and needs a person: {reason}"
            ));
        }
        (_, Some(State::Stopped(None))) => "it has stopped",
        (Duty::Own, Some(State::Mirroring)) => "waits for the former owner to let it go",
        (_, Some(State::Replaying)) => "it replays the log",
        (Duty::Own, None) | (Duty::Mirror, None) => "it has not begun",
    };
    let should = match duty {
        Duty::Own => "own",
        Duty::Mirror => "mirror",
    };
    Some(format!("it should {should} {partition}: {does}"))
}

/// What is given, and what is done all the same.
fn partitions(
    duties: &BTreeMap<LanePartition, Duty>,
    states: &BTreeMap<LanePartition, PartitionState>,
    stuck: &BTreeSet<LanePartition>,
) -> BTreeMap<LanePartition, Partition> {
    let partitions = duties.keys().chain(states.keys());
    let row = |partition: &LanePartition| {
        let (state, reason) = match state(states.get(partition)) {
            (_, None) if stuck.contains(partition) => ("stuck", None),
            known => known,
        };
        let row = Partition {
            partition: partition.to_string(),
            duty: duties.get(partition).map(|duty| match duty {
                Duty::Own => "own",
                Duty::Mirror => "mirror",
            }),
            state,
            reason,
            position: None,
            lag: None,
            entities: 0,
            quarantined: 0,
            quarantined_first: Vec::new(),
        };
        (partition.clone(), row)
    };
    partitions.map(row).collect()
}

fn state(state: Option<&PartitionState>) -> (&'static str, Option<String>) {
    match state {
        Some(PartitionState::Owned) => ("owned", None),
        Some(PartitionState::Mirroring) => ("mirroring", None),
        Some(PartitionState::Replaying) => ("replaying", None),
        Some(PartitionState::Stopped(reason)) => ("stopped", reason.clone()),
        None => ("missing", None),
    }
}

#[cfg(test)]
mod tests {
    use xp_protocol::PartitionId;

    use super::*;

    fn partition(partition: u32) -> LanePartition {
        LanePartition {
            lane: "main".into(),
            partition: PartitionId(partition),
        }
    }

    fn member() -> Glance {
        Glance {
            ended: None,
            has_lanes: true,
            is_leaving: false,
            has_lease: true,
            ..Glance::default()
        }
    }

    fn judged(glance: &Glance, given: &[(Duty, Option<PartitionState>)]) -> Vec<String> {
        let (mut duties, mut states) = (BTreeMap::new(), BTreeMap::new());
        for (number, (duty, state)) in (0..).zip(given) {
            duties.insert(partition(number), *duty);
            states.extend(state.clone().map(|state| (partition(number), state)));
        }
        problems(glance, &duties, &states)
    }

    #[test]
    fn a_node_that_does_what_placement_gives_it_is_ready() {
        let given = [
            (Duty::Own, Some(PartitionState::Owned)),
            (Duty::Mirror, Some(PartitionState::Mirroring)),
            // Placement has given it to another, who has not taken it yet.
            (Duty::Mirror, Some(PartitionState::Owned)),
        ];
        assert_eq!(judged(&member(), &given), [""; 0]);
        assert_eq!(judged(&member(), &[]), [""; 0]);
    }

    #[test]
    fn what_is_not_done_is_named_with_what_is_done_instead() {
        let reason = "main.events-1 is shorter than what was read".to_owned();
        let given = [
            (Duty::Own, Some(PartitionState::Replaying)),
            (Duty::Own, Some(PartitionState::Stopped(Some(reason)))),
            (Duty::Mirror, Some(PartitionState::Replaying)),
            (Duty::Own, Some(PartitionState::Mirroring)),
            (Duty::Own, None),
        ];
        let wanted = [
            "it should own main/0: it replays the log",
            "main/1 has stopped and needs a person: main.events-1 is shorter than what was read",
            "it should mirror main/2: it replays the log",
            "it should own main/3: waits for the former owner to let it go",
            "it should own main/4: it has not begun",
        ];
        assert_eq!(judged(&member(), &given), wanted);
    }

    #[test]
    fn what_makes_no_progress_is_not_called_owned() {
        let owned = [(Duty::Own, Some(PartitionState::Owned))];
        let glance = Glance {
            stuck: BTreeSet::from([partition(0)]),
            ..member()
        };
        let said = judged(&glance, &owned);
        assert!(
            said.len() == 1 && said[0].contains("main/0 makes no progress"),
            "{said:?}"
        );
        let duties = BTreeMap::from([(partition(0), Duty::Own)]);
        let states = BTreeMap::from([(partition(0), PartitionState::Owned)]);
        assert_eq!(
            partitions(&duties, &states, &glance.stuck)[&partition(0)].state,
            "stuck"
        );
    }

    /// The watchdog names the message; that the partition makes no progress besides must not hide it.
    #[test]
    fn what_makes_no_progress_for_a_known_reason_is_told_with_it() {
        let reason = "decide for ledger/1 does not return".to_owned();
        let stopped = PartitionState::Stopped(Some(reason.clone()));
        let glance = Glance {
            stuck: BTreeSet::from([partition(0)]),
            ..member()
        };
        let said = judged(&glance, &[(Duty::Own, Some(stopped.clone()))]);
        assert!(said.len() == 1 && said[0].contains(&reason), "{said:?}");
        let duties = BTreeMap::from([(partition(0), Duty::Own)]);
        let states = BTreeMap::from([(partition(0), stopped)]);
        let told = &partitions(&duties, &states, &glance.stuck)[&partition(0)];
        assert_eq!((told.state, &told.reason), ("stopped", &Some(reason)));
    }

    #[test]
    fn who_leaves_is_deaf_or_was_given_up_is_not_ready_and_says_which() {
        let owned = [(Duty::Own, Some(PartitionState::Owned))];
        for (glance, says) in [
            (
                Glance {
                    is_leaving: true,
                    ..member()
                },
                "it is leaving",
            ),
            (
                Glance {
                    has_lease: false,
                    ..member()
                },
                "heartbeats are not read back",
            ),
            (
                Glance {
                    stood_still: Some(Duration::from_millis(812)),
                    ..member()
                },
                "stood still for 812 ms",
            ),
            (
                Glance {
                    has_lanes: false,
                    ..member()
                },
                "no lanes",
            ),
            (
                Glance {
                    ended: Some(End::Silent),
                    ..member()
                },
                "joins again",
            ),
            (
                Glance {
                    ended: Some(End::Replaced),
                    ..member()
                },
                "took its name",
            ),
        ] {
            let said = judged(&glance, &owned);
            assert!(said.len() == 1 && said[0].contains(says), "{said:?}");
        }
    }
}
