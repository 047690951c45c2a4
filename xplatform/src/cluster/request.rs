//! A change of the cluster that a person asks for: whether it makes sense, what is appended for it, and when it has
//! happened.

use std::time::Duration;

use anyhow::{Result, bail};
use xp_cluster::Members;
use xp_protocol::cluster::{Kind, Member, Who};
use xp_protocol::{Incarnation, LanePartition};

use super::picture::{counted, listed, written};

/// A change of the cluster that a person asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// That a node own nothing, as long as others can.
    Drain { name: Box<str>, drained: bool },
    /// That a partition be owned by a node, as long as it can be, or by whom placement chooses.
    Move {
        partition: LanePartition,
        to: Option<Box<str>>,
    },
}

impl Request {
    pub(super) fn drain(members: &Members, name: &str, drained: bool) -> Result<Self> {
        // A node that died while it was drained may have the mark taken off.
        let is_marked = members.drained().contains(name);
        if drained || !is_marked {
            state_node(members, name)?;
        }
        let name = name.into();
        Ok(Self::Drain { name, drained })
    }

    pub(super) fn moving(
        members: &Members,
        partition: &LanePartition,
        to: Option<&str>,
    ) -> Result<Self> {
        exists(members, partition)?;
        if let Some(name) = to {
            let (incarnation, who) = state_node(members, name)?;
            if let Some(reason) = refusal(members, partition, incarnation, who) {
                bail!("{name} cannot own {partition}: {reason}");
            }
        }
        Ok(Self::Move {
            partition: partition.clone(),
            to: to.map(Into::into),
        })
    }

    pub(super) fn record(&self) -> Member {
        match self {
            Self::Drain { name, drained } => Member::Drain {
                name: name.clone(),
                drained: *drained,
            },
            Self::Move { partition, to } => Member::Move {
                partition: partition.clone(),
                to: to.clone(),
            },
        }
    }

    /// Whether the members are as was asked for.
    pub(super) fn holds(&self, members: &Members) -> bool {
        match self {
            Self::Drain {
                name,
                drained: true,
            } => owned_by(members, name).is_empty(),
            Self::Drain { name, .. } => !members.drained().contains(name),
            Self::Move {
                partition,
                to: Some(name),
            } => owner(members, partition) == Some(name.as_ref()),
            Self::Move {
                partition,
                to: None,
            } => !members.moves().contains_key(partition),
        }
    }

    pub(super) fn done(&self, members: &Members) -> String {
        match self {
            Self::Drain {
                name,
                drained: true,
            } => format!(
                "{name} is drained: it owns nothing any more, and can be stopped. `xp cluster drain {name} --undo` takes it back\n"
            ),
            Self::Drain { name, .. } => {
                format!(
                    "{name} is drained no longer: it takes its share as soon as it has read up to the end\n"
                )
            }
            Self::Move {
                partition,
                to: Some(name),
            } => format!(
                "{partition} is owned by {name}, as long as it is there. `xp cluster move {partition} --auto` leaves it to placement again\n"
            ),
            Self::Move {
                partition,
                to: None,
            } => {
                let owner = owner(members, partition).unwrap_or("nobody");
                format!("{partition} is left to placement; {owner} owns it now\n")
            }
        }
    }

    /// What to tell who has waited long enough. The wish stands.
    pub(super) fn waits(&self, members: &Members, waited: Duration) -> String {
        match self {
            Self::Drain {
                name,
                drained: true,
            } => {
                let left = owned_by(members, name);
                let names: Vec<_> = left
                    .iter()
                    .take(NAMED_MAX)
                    .map(ToString::to_string)
                    .collect();
                format!(
                    "after {waited:?} {name} owns {} still ({}{}): no other node may own them, or none has read up to their end yet. The wish stands and is fulfilled as soon as it can be; `xp cluster partitions` shows the mirrors, `xp cluster drain {name} --undo` takes it back",
                    counted(left.len(), "partition"),
                    names.join(", "),
                    if left.len() > NAMED_MAX { ", …" } else { "" },
                )
            }
            Self::Move {
                partition,
                to: Some(name),
            } => format!(
                "after {waited:?} {} owns {partition} still, because {name} has not read up to its end yet. The wish stands and is fulfilled as soon as it has; `xp cluster move {partition} --auto` takes it back",
                owner(members, partition).unwrap_or("nobody"),
            ),
            _ => format!(
                "after {waited:?} the cluster log does not show it; `xp cluster status` says how the cluster is"
            ),
        }
    }
}

/// How many partitions a message names.
const NAMED_MAX: usize = 5;

fn state_node<'a>(members: &'a Members, name: &str) -> Result<(Incarnation, &'a Who)> {
    let state_nodes = || {
        members
            .iter()
            .filter(|(_, who, _)| who.kind == Kind::StateNode)
    };
    if let Some((incarnation, who, _)) = state_nodes().find(|(_, who, _)| *who.name == *name) {
        return Ok((incarnation, who));
    }
    let mut known: Vec<_> = state_nodes().map(|(_, who, _)| &*who.name).collect();
    known.sort_unstable();
    if members.named(name).is_some() {
        bail!(
            "{name} is an edge, which owns no partitions (SIGTERM drains it); the state nodes are {}",
            listed(&known)
        );
    }
    bail!(
        "there is no state node {name:?} in the cluster; there are {}",
        listed(&known)
    );
}

fn exists(members: &Members, partition: &LanePartition) -> Result<()> {
    if members.partitions().any(|known| known == partition) {
        return Ok(());
    }
    let lanes = members.definitions().map(|definitions| &definitions.lanes);
    let lanes = lanes.into_iter().flatten();
    let lanes = lanes.map(|(name, lane)| match lane.partitions {
        1 => format!("{name}/0"),
        count => format!("{name}/0 to {name}/{}", count - 1),
    });
    let lanes: Vec<_> = lanes.collect();
    let lanes: Vec<_> = lanes.iter().map(String::as_str).collect();
    bail!(
        "there is no partition {partition}; the cluster runs {}",
        listed(&lanes)
    );
}

/// Why placement would not give the partition to this node, whatever a person wishes.
fn refusal(
    members: &Members,
    partition: &LanePartition,
    incarnation: Incarnation,
    who: &Who,
) -> Option<String> {
    let definitions = members.definitions()?;
    let wanted = &definitions.lanes.get(&partition.lane)?.placement.labels;
    let has = |label: &str, value: &str| match label {
        "name" => *who.name == *value,
        label => who.labels.get(label).is_some_and(|own| **own == *value),
    };
    let missing = wanted.iter().filter(|(label, value)| !has(label, value));
    let missing = written(missing);
    if !missing.is_empty() {
        let lane = &partition.lane;
        return Some(format!(
            "it lacks what lanes.{lane}.placement.labels asks for: {missing}"
        ));
    }
    if members.is_leaving(incarnation) {
        return Some("it is leaving".to_owned());
    }
    if members.drained().contains(&who.name) {
        let undo = format!(
            "it is drained; `xp cluster drain {} --undo` comes first",
            who.name
        );
        return Some(undo);
    }
    None
}

fn owner<'a>(members: &'a Members, partition: &LanePartition) -> Option<&'a str> {
    let (who, _) = members.get(members.owner(partition)?)?;
    Some(&who.name)
}

fn owned_by<'a>(members: &'a Members, name: &str) -> Vec<&'a LanePartition> {
    let owned = members.partitions();
    owned
        .filter(|partition| owner(members, partition).is_some_and(|owner| owner == name))
        .collect()
}
