//! The lane definitions that the cluster runs: the highest version holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xp_protocol::cluster::{Definition, Definitions};
use xp_protocol::{LanePartition, PartitionId};

/// The highest version of the definitions so far, and since which version each lane is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lanes {
    current: Option<Definitions>,
    since: BTreeMap<Box<str>, u32>,
}

/// Why a node with other definitions may not join.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The cluster has moved on.
    #[error(
        "the cluster runs version {theirs} of the lanes and this node has version {ours}: give it the newer configuration"
    )]
    Older {
        /// The node's version.
        ours: u32,
        /// The highest version on the `cluster` log.
        theirs: u32,
    },
    /// Two contents under one version.
    #[error(
        "this node's lanes differ from version {version} that the cluster runs ({difference}): give it the same configuration as the others or, when the lanes are meant to change, raise `lanes-version` to {}", version + 1
    )]
    Differs {
        /// The common version.
        version: u32,
        /// Where they differ.
        difference: String,
    },
    /// Entities would hash to other partitions.
    #[error(
        "lane {lane} has {theirs} {what} and this node has {ours}: a lane's partition count never changes; make a new lane instead"
    )]
    Partitions {
        /// The name of the lane that differs.
        lane: Box<str>,
        /// Which of its counts.
        what: &'static str,
        /// The node's count.
        ours: u32,
        /// The count on the `cluster` log, which stays.
        theirs: u32,
    },
}

impl Lanes {
    /// What holds now.
    #[must_use]
    pub fn current(&self) -> Option<&Definitions> {
        self.current.as_ref()
    }

    /// Since which version there is this lane: who was started with an older one does not know it.
    #[must_use]
    pub fn since(&self, lane: &str) -> u32 {
        self.since.get(lane).copied().unwrap_or_default()
    }

    /// All partitions and their lane's definition.
    pub fn partitions(&self) -> impl Iterator<Item = (LanePartition, &Definition)> {
        let lanes = self.current.iter().flat_map(|current| &current.lanes);
        lanes.flat_map(|(lane, definition)| {
            (0..definition.partitions).map(move |partition| {
                let partition = LanePartition {
                    lane: lane.clone(),
                    partition: PartitionId(partition),
                };
                (partition, definition)
            })
        })
    }

    /// What holds for a partition; none where its lane is no more.
    #[must_use]
    pub fn definition(&self, at: &LanePartition) -> Option<&Definition> {
        self.current.as_ref()?.lanes.get(&at.lane)
    }

    /// Takes a record, unless it is older or would change a partition count; says whether it holds now.
    pub fn take(&mut self, newer: &Definitions) -> bool {
        let known = self.current.as_ref().map_or(0, |current| current.version);
        if newer.version <= known || self.counts(newer).is_err() {
            return false;
        }
        self.since.retain(|lane, _| newer.lanes.contains_key(lane));
        for lane in newer.lanes.keys() {
            self.since.entry(lane.clone()).or_insert(newer.version);
        }
        self.current = Some(newer.clone());
        true
    }

    /// Whether a node with these definitions may join, and then whether it should append them.
    ///
    /// # Errors
    /// [`Refusal`] says what to do.
    pub fn admit(&self, ours: &Definitions) -> Result<bool, Refusal> {
        let Some(theirs) = &self.current else {
            return Ok(true);
        };
        self.counts(ours)?;
        match ours.version.cmp(&theirs.version) {
            std::cmp::Ordering::Greater => Ok(true),
            std::cmp::Ordering::Equal if ours == theirs => Ok(false),
            std::cmp::Ordering::Equal => Err(Refusal::Differs {
                version: theirs.version,
                difference: difference(ours, theirs),
            }),
            std::cmp::Ordering::Less => Err(Refusal::Older {
                ours: ours.version,
                theirs: theirs.version,
            }),
        }
    }

    fn counts(&self, ours: &Definitions) -> Result<(), Refusal> {
        let current = self.current.iter().flat_map(|current| &current.lanes);
        for (lane, theirs) in current {
            let Some(ours) = ours.lanes.get(lane) else {
                continue;
            };
            let counts = [
                ("partitions", ours.partitions, theirs.partitions),
                (
                    "outbound partitions",
                    ours.outbound_partitions,
                    theirs.outbound_partitions,
                ),
            ];
            if let Some((what, ours, theirs)) = counts.into_iter().find(|(_, a, b)| a != b) {
                let lane = lane.clone();
                return Err(Refusal::Partitions {
                    lane,
                    what,
                    ours,
                    theirs,
                });
            }
        }
        Ok(())
    }
}

/// The first lane that differs, and how.
fn difference(ours: &Definitions, theirs: &Definitions) -> String {
    let names = ours.lanes.keys().chain(theirs.lanes.keys());
    for name in names {
        match (ours.lanes.get(name), theirs.lanes.get(name)) {
            (Some(_), None) => return format!("it alone has the lane {name}"),
            (None, Some(_)) => return format!("it lacks the lane {name}"),
            (Some(ours), Some(theirs)) if ours.categories != theirs.categories => {
                return format!("the categories of lane {name}");
            }
            (Some(ours), Some(theirs)) if ours != theirs => {
                return format!("the placement of lane {name}");
            }
            _ => {}
        }
    }
    "nowhere".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definitions(version: u32, partitions: u32, categories: &[&str]) -> Definitions {
        let definition = Definition {
            partitions,
            outbound_partitions: 1,
            categories: categories.iter().map(|name| (*name).into()).collect(),
            placement: Default::default(),
        };
        Definitions {
            version,
            lanes: BTreeMap::from([("main".into(), definition)]),
        }
    }

    fn running(definitions: &Definitions) -> Lanes {
        let mut lanes = Lanes::default();
        assert!(lanes.take(definitions));
        lanes
    }

    #[test]
    fn the_highest_version_holds_and_a_lane_keeps_its_beginning() {
        let mut lanes = running(&definitions(3, 8, &["board"]));
        assert!(!lanes.take(&definitions(2, 8, &["auction"])));
        assert!(lanes.take(&definitions(4, 8, &["auction"])));
        assert_eq!((lanes.since("main"), lanes.partitions().count()), (3, 8));
    }

    #[test]
    fn a_partition_count_never_changes() {
        let mut lanes = running(&definitions(1, 8, &["board"]));
        assert!(!lanes.take(&definitions(2, 9, &["board"])));
        let refused = lanes.admit(&definitions(2, 9, &["board"])).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "lane main has 8 partitions and this node has 9: a lane's partition count never changes; make a new lane instead"
        );
    }

    #[test]
    fn who_differs_is_told_what_to_do() {
        let lanes = running(&definitions(3, 8, &["board"]));
        assert_eq!(lanes.admit(&definitions(3, 8, &["board"])), Ok(false));
        assert_eq!(lanes.admit(&definitions(4, 8, &["auction"])), Ok(true));
        let older = lanes.admit(&definitions(2, 8, &["board"])).unwrap_err();
        assert!(older.to_string().contains("newer configuration"));
        let differs = lanes.admit(&definitions(3, 8, &["auction"])).unwrap_err();
        assert!(differs.to_string().contains("raise `lanes-version` to 4"));
        assert_eq!(
            Lanes::default().admit(&definitions(1, 8, &["board"])),
            Ok(true)
        );
    }
}
