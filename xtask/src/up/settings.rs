//! What the processes of an installation are told: one file for all, and by the environment what differs.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

/// A process of the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    StateNode,
    Edge(u16),
}

/// In the order of their start: an edge is ready when somebody answers it.
pub(super) const ROLES: [Role; 3] = [Role::StateNode, Role::Edge(1), Role::Edge(2)];

/// Edge 1 listens behind this one, if it can.
const PORTS_AFTER: u16 = 7400;

impl Role {
    pub(super) fn name(self) -> String {
        match self {
            Self::StateNode => "state-1".to_owned(),
            Self::Edge(number) => format!("edge-{number}"),
        }
    }

    /// The subcommand of the binary.
    pub(super) fn subcommand(self) -> &'static str {
        match self {
            Self::StateNode => "state-node",
            Self::Edge(_) => "edge",
        }
    }

    /// What its one line on stdout begins with when it is ready; that of an edge goes on with its URL.
    pub(super) fn ready(self) -> String {
        match self {
            Self::StateNode => format!("state-node {} owns ", self.name()),
            Self::Edge(_) => format!("edge {} listening on ", self.name()),
        }
    }

    /// What the file cannot say, because it says the same to all.
    pub(super) fn environment(self) -> Vec<(&'static str, String)> {
        match self {
            Self::StateNode => vec![("XP__STATE_NODE__NAME", self.name())],
            Self::Edge(number) => vec![
                ("XP__EDGE__NAME", self.name()),
                ("XP__EDGE__LISTEN", listen(PORTS_AFTER + number)),
            ],
        }
    }
}

/// The port that people know, or when somebody has it any other.
fn listen(port: u16) -> String {
    let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    format!("127.0.0.1:{}", if is_free { port } else { 0 })
}

/// The configuration file: `brokers` is a line of its section `kafka`.
pub(super) fn file(brokers: &str, data: &Path) -> String {
    let data = data.display().to_string();
    format!(
        r#"# Written by `cargo xtask up` for the processes that it starts, and again at each start.
data = {data:?}

[kafka]
{brokers}
# A local Kafka of one broker; three keep one copy as well.
replication = 1
min-insync = 1

[lanes.main]
partitions = 8
# One for each edge.
outbound-partitions = 2

[edge]
name = "edge"
listen = "127.0.0.1:0"

[edge.tokens]
keys = [{{ secret-file = {secret:?} }}]

[edge.timing]
# Nobody is to wait for `cargo xtask down`.
drain-spread = "1s"
"#,
        secret = format!("{data}/development-secret"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_toml_whatever_the_directory_is_called() {
        let text = file("brokers = [\"127.0.0.1:9\"]", Path::new("a \"b\" \\ c"));
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["data"].as_str(), Some("a \"b\" \\ c"));
        assert_eq!(table["kafka"]["brokers"][0].as_str(), Some("127.0.0.1:9"));
    }

    #[test]
    fn an_edge_whose_port_is_taken_listens_on_another() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert_eq!(listen(taken.local_addr().unwrap().port()), "127.0.0.1:0");
    }

    #[test]
    fn names_differ() {
        let mut names = ROLES.map(Role::name).to_vec();
        names.dedup();
        assert_eq!(names, ["state-1", "edge-1", "edge-2"]);
    }
}
