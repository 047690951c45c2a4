//! The cluster as people look at it: a pure function of its members. Its JSON is `--json`.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Serialize;
use xp_cluster::{Duty, Members};
use xp_protocol::cluster::{Definition, Definitions, Kind, Who};
use xp_protocol::{Incarnation, LanePartition};
use xp_runtime::Config;

use super::claimed::{Claimed, Claims};

/// All there is to see.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    /// How much of the log this is.
    generation: u64,
    offset: u64,
    /// Nobody said anything while we listened.
    pub(super) silent: bool,
    /// The lanes that hold; 0 before there are any.
    pub(super) lanes_version: u32,
    pub(super) lanes: Vec<LaneRow>,
    pub(super) members: Vec<MemberRow>,
    pub(super) partitions: Vec<PartitionRow>,
    /// What a person should look at, the worst first.
    pub(super) problems: Vec<Problem>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct LaneRow {
    pub(super) name: String,
    pub(super) partitions: u32,
    pub(super) categories: Vec<String>,
    /// Partitions that nobody may own.
    pub(super) unplaced: usize,
    /// Partitions that no other node could take over at once.
    pub(super) alone: usize,
    standbys: u8,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct MemberRow {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) state: State,
    pub(super) incarnation: String,
    pub(super) address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outbound_partition: Option<u32>,
    pub(super) weight: u16,
    pub(super) labels: BTreeMap<String, String>,
    /// The version of the lanes that it was started with.
    pub(super) lanes_version: u32,
    pub(super) owns: usize,
    pub(super) mirrors: usize,
    /// Partitions of those that it could take over at once.
    pub(super) warm: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Alive,
    Leaving,
    Drained,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct PartitionRow {
    pub(super) partition: String,
    #[serde(skip)]
    lane: String,
    /// Who should own it.
    pub(super) owner: Option<String>,
    /// Whose claim its log goes by.
    pub(super) owner_in_fact: String,
    pub(super) mirrors: Vec<MirrorRow>,
    /// Where a person wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) moved_to: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct MirrorRow {
    pub(super) name: String,
    pub(super) warm: bool,
}

/// What a person should look at.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    /// Users wait because of it.
    pub(super) fatal: bool,
    pub(super) what: String,
}

impl Picture {
    pub(super) fn of(members: &Members, silent: bool) -> Self {
        let definitions = members.definitions();
        let view = members.view();
        let mut picture = Self {
            generation: view.generation,
            offset: view.offset.0,
            silent,
            lanes_version: definitions.map_or(0, |definitions| definitions.version),
            lanes: definitions.map_or_else(Vec::new, |all| lanes(members, all)),
            members: members_of(members),
            partitions: members
                .partitions()
                .map(|partition| row(members, partition))
                .collect(),
            problems: Vec::new(),
        };
        picture.problems = picture.judge(members);
        picture
    }

    /// The same with who owns in fact. That may differ for the moment of a move; who looks sees what is stuck.
    pub(super) fn beside(mut self, members: &Members, claims: &Claims) -> Self {
        for row in &mut self.partitions {
            let mut claims = claims.iter();
            let claim = claims.find(|(partition, _)| partition.to_string() == row.partition);
            let Some((_, claimed)) = claim else { continue };
            row.owner_in_fact = in_fact(members, claimed);
            let wanted = row.owner.as_ref();
            let differs = |owner: &&String| **owner != row.owner_in_fact;
            if let (Some(owner), false) = (wanted.filter(differs), is_unknown(claimed)) {
                let what = format!(
                    "{} is to be owned by {owner}, and in fact {} owns it: that passes while a partition moves; when it stays, `/status` of {owner} says what it waits for",
                    row.partition, row.owner_in_fact
                );
                self.problems.push(Problem { fatal: false, what });
            }
        }
        self
    }

    /// The partitions of one lane, or of all.
    pub(super) fn of_lane(self, lane: Option<&str>) -> Result<Vec<PartitionRow>> {
        let Some(lane) = lane else {
            return Ok(self.partitions);
        };
        if !self.lanes.iter().any(|row| row.name == lane) {
            let names: Vec<_> = self.lanes.iter().map(|row| row.name.as_str()).collect();
            bail!(
                "there is no lane {lane:?}; the cluster runs {}",
                listed(&names)
            );
        }
        let rows = self.partitions.into_iter();
        Ok(rows.filter(|row| row.lane == lane).collect())
    }

    /// Why scripts should not take this for a cluster that serves.
    pub(super) fn failure(&self) -> Option<String> {
        let fatal = self.problems.iter().filter(|problem| problem.fatal).count();
        match fatal {
            0 => None,
            1 => Some("users wait; see above".to_owned()),
            _ => Some(format!("users wait for {fatal} reasons; see above")),
        }
    }

    fn judge(&self, members: &Members) -> Vec<Problem> {
        let fatal = |what: String| Problem { fatal: true, what };
        let warning = |what: String| Problem { fatal: false, what };
        let mut problems = Vec::new();
        if self.silent {
            problems.push(fatal("nobody has said anything for a second: every state node and edge is down or cut off from Kafka, and what stands here is what was known last".to_owned()));
        }
        if self.lanes_version == 0 {
            problems.push(fatal("the cluster has no lanes yet: no state node has joined it. Start one with `xp state-node`".to_owned()));
        }
        let unplaced = self.lanes.iter().filter(|lane| lane.unplaced > 0);
        problems.extend(unplaced.map(|lane| fatal(self.unplaced(lane, members))));
        problems.extend(cold(members).map(fatal));
        if members.suspended_ms() > 0 {
            problems.push(warning("the cluster log took nothing for a while, or its clock ran back: nobody is declared gone for three seconds after that, and takeovers from silent nodes wait. When this stays, look at the brokers' disks and the latency of appends".to_owned()));
        }
        let alone = self
            .lanes
            .iter()
            .filter(|lane| lane.alone > lane.unplaced && lane.standbys > 0);
        problems.extend(alone.map(|lane| warning(lane.without_standby())));
        problems.extend(self.outdated().map(warning));
        problems.extend(drained_owners(self).map(warning));
        problems
    }

    fn unplaced(&self, lane: &LaneRow, members: &Members) -> String {
        let definitions = members.definitions().expect("there is a lane");
        let labels = &definitions.lanes[lane.name.as_str()].placement.labels;
        let wanted = match labels.is_empty() {
            true => String::new(),
            false => format!(" with the labels {}", written(labels.iter())),
        };
        format!(
            "{} of lane {} {} no owner, because no state node{wanted} is there that knows the lane: start one, or change lanes.{}.placement and raise lanes-version",
            counted(lane.unplaced, "partition"),
            lane.name,
            if lane.unplaced == 1 { "has" } else { "have" },
            lane.name,
        )
    }

    /// Nodes that were started before the lanes that hold.
    fn outdated(&self) -> impl Iterator<Item = String> {
        let nodes = self.members.iter().filter(|row| row.is_state_node());
        let old = nodes.filter(|row| row.lanes_version < self.lanes_version);
        old.map(|row| {
            format!(
                "{} was started with version {} of the lanes, and the cluster runs {}: restart it with the newer configuration",
                row.name, row.lanes_version, self.lanes_version
            )
        })
    }
}

/// Owners that do not serve, by their own heartbeats, where nobody can take over at once.
fn cold(members: &Members) -> impl Iterator<Item = String> {
    let cold = members
        .cold()
        .filter_map(|partition| Some((partition, members.owner(partition)?)));
    cold.map(|(partition, owner)| {
        format!(
            "{partition} is not served: its owner {} replays it, has stopped it or makes no progress with it, and nobody who is warm can take over. `/status` of that node says which",
            name(members, owner)
        )
    })
}

/// Nodes that a person drained and that nobody can replace everywhere.
fn drained_owners(picture: &Picture) -> impl Iterator<Item = String> {
    let drained = picture.members.iter();
    let drained = drained.filter(|row| row.state == State::Drained && row.owns > 0);
    drained.map(|row| {
        format!(
            "{} is drained and owns {} still: no other node may own them, or none has read up to their end yet",
            row.name,
            counted(row.owns, "partition")
        )
    })
}

impl LaneRow {
    fn without_standby(&self) -> String {
        let alone = self.alone - self.unplaced;
        format!(
            "{} of lane {} could be taken over by nobody at once: when the owner dies, another node replays first. Start one more state node, or wait until the mirrors have read up to the end",
            counted(alone, "partition"),
            self.name
        )
    }
}

impl PartitionRow {
    /// Of the embedded log, whose one process owns everything.
    pub(super) fn alone(partition: &LanePartition, config: &Config) -> Self {
        let name = &config.state_node.name;
        Self {
            partition: partition.to_string(),
            lane: partition.lane.to_string(),
            owner: Some(name.clone()),
            owner_in_fact: format!(
                "{name} (the one process on the log in {}, while it runs)",
                config.log_dir().display()
            ),
            mirrors: Vec::new(),
            moved_to: None,
        }
    }
}

const UNKNOWN: &str = "unknown";

fn is_unknown(claimed: &Claimed) -> bool {
    matches!(claimed, Claimed::Unknown(_))
}

fn in_fact(members: &Members, claimed: &Claimed) -> String {
    match claimed {
        Claimed::Nobody => "nobody".to_owned(),
        Claimed::By(owner) if members.is_alive(*owner) => name(members, *owner),
        Claimed::By(owner) => format!("a process that is gone ({owner})"),
        Claimed::Unknown(why) => format!("{UNKNOWN}: {why}"),
    }
}

impl MemberRow {
    pub(super) fn is_state_node(&self) -> bool {
        self.kind == STATE_NODE
    }
}

const STATE_NODE: &str = "state-node";

fn lanes(members: &Members, definitions: &Definitions) -> Vec<LaneRow> {
    let lane = |(name, definition): (&str, &Definition)| {
        let partitions = members
            .partitions()
            .filter(|partition| *partition.lane == *name);
        let partitions: Vec<_> = partitions.collect();
        let unplaced = partitions
            .iter()
            .filter(|partition| members.owner(partition).is_none());
        let taken_over = |partition: &&&LanePartition| {
            let mut mirrors = members.mirrors(partition).iter();
            mirrors.any(|mirror| members.is_warm(partition, *mirror))
        };
        LaneRow {
            name: name.to_string(),
            partitions: definition.partitions,
            categories: definition
                .categories
                .iter()
                .map(|c| c.to_string())
                .collect(),
            unplaced: unplaced.count(),
            alone: partitions.len() - partitions.iter().filter(taken_over).count(),
            standbys: definition.placement.standbys,
        }
    };
    let lanes = definitions.lanes.iter();
    lanes
        .map(|(name, definition)| lane((name, definition)))
        .collect()
}

/// State nodes first, each kind by name.
fn members_of(members: &Members) -> Vec<MemberRow> {
    let mut rows: Vec<_> = members
        .iter()
        .map(|(incarnation, who, _)| member(members, incarnation, who))
        .collect();
    rows.sort_by_key(|row| (!row.is_state_node(), row.name.clone()));
    rows
}

fn member(members: &Members, incarnation: Incarnation, who: &Who) -> MemberRow {
    let duties = members.duties(incarnation);
    let count = |wanted: Duty| duties.values().filter(|duty| **duty == wanted).count();
    let warm = duties.iter().filter(|(partition, duty)| {
        **duty == Duty::Mirror && members.is_warm(partition, incarnation)
    });
    let labels = who.labels.iter();
    MemberRow {
        name: who.name.to_string(),
        kind: match who.kind {
            Kind::StateNode => STATE_NODE,
            Kind::Edge { .. } => "edge",
        },
        state: state(members, incarnation, who),
        incarnation: incarnation.to_string(),
        address: who.address.to_string(),
        outbound_partition: match who.kind {
            Kind::StateNode => None,
            Kind::Edge { outbound } => Some(outbound.0),
        },
        weight: who.weight,
        labels: labels
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect(),
        lanes_version: who.lanes,
        owns: count(Duty::Own),
        mirrors: count(Duty::Mirror),
        warm: warm.count(),
    }
}

fn state(members: &Members, incarnation: Incarnation, who: &Who) -> State {
    if members.is_leaving(incarnation) {
        State::Leaving
    } else if who.kind == Kind::StateNode && members.drained().contains(&who.name) {
        State::Drained
    } else {
        State::Alive
    }
}

fn row(members: &Members, partition: &LanePartition) -> PartitionRow {
    let mirrors = members.mirrors(partition).iter();
    let mirror = |mirror: &Incarnation| MirrorRow {
        name: name(members, *mirror),
        warm: members.is_warm(partition, *mirror),
    };
    PartitionRow {
        partition: partition.to_string(),
        lane: partition.lane.to_string(),
        owner: members.owner(partition).map(|owner| name(members, owner)),
        owner_in_fact: UNKNOWN.to_owned(),
        mirrors: mirrors.map(mirror).collect(),
        moved_to: members.moves().get(partition).map(ToString::to_string),
    }
}

fn name(members: &Members, incarnation: Incarnation) -> String {
    match members.get(incarnation) {
        Some((who, _)) => who.name.to_string(),
        None => incarnation.to_string(),
    }
}

pub(super) fn counted(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}

/// `a = "b", c = "d"`.
pub(super) fn written<'a>(
    labels: impl Iterator<Item = (impl AsRef<str> + 'a, impl AsRef<str> + 'a)>,
) -> String {
    let labels = labels.map(|(label, value)| format!("{} = {:?}", label.as_ref(), value.as_ref()));
    labels.collect::<Vec<_>>().join(", ")
}

pub(super) fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}
