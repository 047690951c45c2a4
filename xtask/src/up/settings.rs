//! What the processes of an installation are told: one file for all, and by the environment what differs.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

/// A process of the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    StateNode(u16),
    Edge(u16),
}

/// In the order of their start: an edge is ready when somebody answers it.
pub(super) const ROLES: [Role; 5] = [
    Role::StateNode(1),
    Role::StateNode(2),
    Role::StateNode(3),
    Role::Edge(1),
    Role::Edge(2),
];

/// Edge 1 listens behind this one, if it can.
const EDGES_AFTER: u16 = 7400;
/// State node 1 answers HTTP behind this one, if it can.
const STATE_NODES_AFTER: u16 = 7410;

impl Role {
    pub(super) fn name(self) -> String {
        match self {
            Self::StateNode(number) => format!("state-{number}"),
            Self::Edge(number) => format!("edge-{number}"),
        }
    }

    /// The subcommand of the binary.
    pub(super) fn subcommand(self) -> &'static str {
        match self {
            Self::StateNode(_) => "state-node",
            Self::Edge(_) => "edge",
        }
    }

    /// What its one line on stdout begins with when it is ready; that of an edge goes on with its URL.
    pub(super) fn ready(self) -> String {
        match self {
            Self::StateNode(_) => format!("state-node {} owns ", self.name()),
            Self::Edge(_) => self.listening(),
        }
    }

    /// What the line begins with that goes on with where it answers HTTP.
    pub(super) fn listening(self) -> String {
        match self {
            Self::StateNode(_) => format!("state-node {} answers on ", self.name()),
            Self::Edge(_) => format!("edge {} listening on ", self.name()),
        }
    }

    /// What the file cannot say, because it says the same to all.
    pub(super) fn environment(self, data: &Path) -> Vec<(&'static str, String)> {
        let name = self.name();
        match self {
            Self::StateNode(number) => vec![
                // Snapshots are a node's own.
                ("XP__DATA", data.join(&name).display().to_string()),
                ("XP__STATE_NODE__LISTEN", listen(STATE_NODES_AFTER + number)),
                ("XP__STATE_NODE__NAME", name),
            ],
            Self::Edge(number) => vec![
                ("XP__EDGE__NAME", name),
                ("XP__EDGE__LISTEN", listen(EDGES_AFTER + number)),
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
        let names = ROLES.map(Role::name);
        assert_eq!(names, ["state-1", "state-2", "state-3", "edge-1", "edge-2"]);
    }

    #[test]
    fn each_state_node_keeps_its_snapshots_for_itself() {
        let data = |role: Role| {
            let environment = role.environment(Path::new("platform"));
            environment.into_iter().find(|(key, _)| *key == "XP__DATA")
        };
        let first = data(Role::StateNode(1)).unwrap();
        assert_eq!(first.1, "platform/state-1");
        assert_ne!(data(Role::StateNode(2)).unwrap(), first);
        // An edge keeps nothing but the secret, which all share.
        assert_eq!(data(Role::Edge(1)), None);
    }
}
