//! The settings of an installation's processes: one file for all, and by the environment what differs.

use super::options::Base;
use anyhow::{Result, bail};
use std::io::ErrorKind;
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

/// State node 1 answers HTTP behind this one.
const STATE_NODES_AFTER: u16 = 10;

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

    /// Edge 1 listens behind the base, and so on.
    fn port(self, base: Base) -> u16 {
        base.port(match self {
            Self::StateNode(number) => STATE_NODES_AFTER + number,
            Self::Edge(number) => number,
        })
    }

    /// What the file cannot say, because it says the same to all.
    pub(super) fn environment(self, base: Base, data: &Path) -> Vec<(&'static str, String)> {
        let name = self.name();
        let listen = format!("{}:{}", Ipv4Addr::LOCALHOST, self.port(base));
        match self {
            Self::StateNode(_) => vec![
                // Snapshots are a node's own.
                ("XP__DATA", data.join(&name).display().to_string()),
                ("XP__STATE_NODE__LISTEN", listen),
                ("XP__STATE_NODE__NAME", name),
            ],
            Self::Edge(_) => vec![("XP__EDGE__NAME", name), ("XP__EDGE__LISTEN", listen)],
        }
    }
}

/// Whether each of these could listen now.
pub(super) fn ports_are_free(base: Base, roles: impl Iterator<Item = Role>) -> Result<()> {
    for role in roles {
        let port = role.port(base);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
                "port {port} of this machine, which {} would listen on, is taken: end what listens there, or take other ports, as in `{}`",
                role.name(),
                base.next().task("up")
            ),
            Err(error) => bail!("{} cannot listen on port {port}: {error}", role.name()),
        }
    }
    Ok(())
}

/// The configuration file: `brokers` is a line of its section `kafka`.
pub(super) fn file(brokers: &str, base: Base, data: &Path) -> String {
    let data = data.display().to_string();
    let prefix = base.topic_prefix();
    format!(
        r#"# Written by `cargo xtask up` for the processes that it starts, and again at each start.
data = {data:?}

[kafka]
{brokers}
# What tells installations in one Kafka apart.
topic-prefix = {prefix:?}
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

[edge.timing.drain]
# Nobody is to wait for `cargo xtask down`.
spread = "1s"
"#,
        secret = format!("{data}/development-secret"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_toml_whatever_the_directory_is_called() {
        let data = Path::new("a \"b\" \\ c");
        let text = file("brokers = [\"127.0.0.1:9\"]", Base::default(), data);
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["data"].as_str(), Some("a \"b\" \\ c"));
        assert_eq!(table["kafka"]["brokers"][0].as_str(), Some("127.0.0.1:9"));
    }

    #[test]
    fn a_port_that_is_taken_is_named_with_who_wants_it_and_the_way_out() {
        // Any base that has all its ports: others take some now and then.
        let bases = (20_000..32_000).step_by(100);
        let mut bases = bases.filter_map(|base| Base::named(&format!("up-{base}")));
        let free = bases.find(|base| ports_are_free(*base, ROLES.into_iter()).is_ok());
        let base = free.unwrap();
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, base.port(12))).unwrap();
        let said = ports_are_free(base, ROLES.into_iter()).unwrap_err();
        let said = said.to_string();
        for part in [
            format!("port {} ", base.port(12)),
            "state-2".to_owned(),
            base.next().task("up"),
        ] {
            assert!(said.contains(&part), "{part} is not in {said}");
        }
        // What runs already has its port.
        let others = ROLES.into_iter().filter(|role| *role != Role::StateNode(2));
        assert!(ports_are_free(base, others).is_ok());
    }

    #[test]
    fn installations_share_no_port_and_no_topic() {
        let other = Base::named("up-7500").unwrap();
        let mut ports: Vec<_> = [Base::default(), other]
            .into_iter()
            .flat_map(|base| ROLES.map(|role| role.port(base)))
            .collect();
        assert_eq!(ports[..5], [7411, 7412, 7413, 7401, 7402]);
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 10);
        let prefix = |base: Base| {
            let text = file("brokers = []", base, Path::new("data"));
            text.parse::<toml::Table>().unwrap()["kafka"]["topic-prefix"].clone()
        };
        assert_eq!(prefix(Base::default()).as_str(), Some(""));
        assert_eq!(prefix(other).as_str(), Some("up-7500."));
    }

    #[test]
    fn names_differ() {
        let names = ROLES.map(Role::name);
        assert_eq!(names, ["state-1", "state-2", "state-3", "edge-1", "edge-2"]);
    }

    #[test]
    fn each_state_node_keeps_its_snapshots_for_itself() {
        let data = |role: Role| {
            let environment = role.environment(Base::default(), Path::new("platform"));
            environment.into_iter().find(|(key, _)| *key == "XP__DATA")
        };
        let first = data(Role::StateNode(1)).unwrap();
        assert_eq!(first.1, "platform/state-1");
        assert_ne!(data(Role::StateNode(2)).unwrap(), first);
        // An edge keeps nothing but the secret, which all share.
        assert_eq!(data(Role::Edge(1)), None);
    }
}
