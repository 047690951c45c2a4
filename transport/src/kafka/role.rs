//! Which client instance serves a topic.

/// What a topic is for, told by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Who is alive: tiny records, and nothing may hold them up.
    Cluster,
    /// What clients say.
    Inbound,
    /// The truth.
    Events,
    /// What edges hear, and everything else.
    Outbound,
    /// State for nodes that have none: large, and in no hurry, so that nothing may wait behind it.
    Snapshots,
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
}
