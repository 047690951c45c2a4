//! The role of a client instance: which topics it serves, by what a topic is for and by whether somebody waits for its
//! lane. Topics are called here as the platform calls them, without a prefix.

use std::collections::BTreeSet;
use std::fmt;

/// What a topic is for, told by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Who is alive: tiny records, and nothing may hold them up.
    Cluster,
    /// What clients say.
    Inbound,
    /// What has been decided: the log that everything else is rebuilt from.
    Events,
    /// What edges hear, and everything else.
    Outbound,
    /// State for nodes that have none: large, and in no hurry, so that nothing may wait behind it.
    Snapshots,
}

/// Whether somebody waits for what a lane carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Interactive,
    Bulk,
}

impl Class {
    /// Everything that belongs to no bulk lane is interactive.
    pub(super) fn of(topic: &str, bulk_lanes: &BTreeSet<String>) -> Self {
        match topic.rsplit_once('.') {
            Some((lane, _)) if bulk_lanes.contains(lane) => Self::Bulk,
            _ => Self::Interactive,
        }
    }
}

impl fmt::Display for Class {
    /// Goes in front of an instance's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interactive => Ok(()),
            Self::Bulk => f.write_str("bulk "),
        }
    }
}

impl Role {
    pub(super) fn of(topic: &str) -> Self {
        match topic.rsplit_once('.').map_or(topic, |(_, end)| end) {
            "cluster" => Self::Cluster,
            "inbound" => Self::Inbound,
            "events" => Self::Events,
            "snapshots" => Self::Snapshots,
            _ => Self::Outbound,
        }
    }

    /// Inbound and outbound share a producer: neither waits for the other longer than for one request.
    pub(super) fn producer(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Events => "events",
            Self::Inbound | Self::Outbound => "lanes",
            Self::Snapshots => "snapshots",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Inbound => "inbound",
            Self::Events => "events",
            Self::Outbound => "outbound",
            Self::Snapshots => "snapshots",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_topics_name_says_what_it_is_for() {
        assert_eq!(Role::of("cluster"), Role::Cluster);
        assert_eq!(Role::of("eu.main.events"), Role::Events);
        assert_eq!(Role::of("main.inbound"), Role::Inbound);
        assert_eq!(Role::of("main.outbound"), Role::Outbound);
        assert_eq!(Role::of("main.snapshots"), Role::Snapshots);
    }

    #[test]
    fn all_topics_of_a_bulk_lane_are_bulk_and_no_others() {
        let bulk = BTreeSet::from(["eu.imports".to_owned()]);
        for topic in ["eu.imports.events", "eu.imports.inbound"] {
            assert_eq!(Class::of(topic, &bulk), Class::Bulk, "{topic}");
        }
        for topic in ["imports.events", "cluster", "eu.imports"] {
            assert_eq!(Class::of(topic, &bulk), Class::Interactive, "{topic}");
        }
    }
}
