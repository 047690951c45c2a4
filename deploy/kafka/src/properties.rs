//! `server.properties` of each broker.

use crate::ports;
use crate::security::Listener;
use anyhow::Result;
use std::fmt::Write as _;
use std::path::Path;

const CONTROLLER: &str = "CONTROLLER";

/// The ports of one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) controller: u16,
    /// The first of them is for brokers among themselves.
    pub(crate) listeners: Vec<(Listener, u16)>,
    /// Where clients of [`Listener::Severable`] are sent, which is not where the broker listens for them.
    pub(crate) line: Option<u16>,
}

impl Ports {
    /// Free ones, for each of the brokers.
    pub(crate) fn choose(brokers: usize, listeners: &[Listener]) -> Result<Vec<Self>> {
        let each = listeners.len() + 1;
        let free = ports::free(brokers * each)?;
        let chosen = free.chunks_exact(each).map(|ports| Self {
            controller: ports[0],
            listeners: listeners
                .iter()
                .copied()
                .zip(ports[1..].iter().copied())
                .collect(),
            line: None,
        });
        Ok(chosen.collect())
    }

    /// Those in a `server.properties`; `None` if it lacks one of the listeners.
    pub(crate) fn parse(text: &str, listeners: &[Listener]) -> Option<Self> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("listeners="))?;
        let port = |name: &str| {
            let mut addresses = line.split(',');
            let port = addresses.find_map(|one| one.strip_prefix(&format!("{name}://127.0.0.1:")));
            port?.parse().ok()
        };
        let of_listener = |listener: &Listener| Some((*listener, port(listener.name())?));
        Some(Self {
            controller: port(CONTROLLER)?,
            listeners: listeners.iter().map(of_listener).collect::<Option<_>>()?,
            line: None,
        })
    }

    pub(crate) fn are_free(&self) -> bool {
        let listeners = self.listeners.iter().map(|(_, port)| *port);
        listeners.chain([self.controller]).all(ports::is_free)
    }

    /// Where the broker listens so.
    pub(crate) fn of(&self, listener: Listener) -> Option<u16> {
        let found = self.listeners.iter().find(|(one, _)| *one == listener);
        found.map(|(_, port)| *port)
    }

    /// Where clients of this listener find the broker.
    pub(crate) fn told(&self, listener: Listener) -> Option<u16> {
        let line = self.line.filter(|_| listener == Listener::Severable);
        line.or_else(|| self.of(listener))
    }
}

/// So that a client never waits for a group, and two cores carry three brokers.
const ALWAYS: [(&str, &str); 6] = [
    ("process.roles", "broker,controller"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("auto.create.topics.enable", "false"),
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
    ("controller.listener.names", CONTROLLER),
];

/// A broker that died is noticed within a second or two instead of nine.
const QUICK_FAILURE_DETECTION: [(&str, &str); 5] = [
    ("broker.heartbeat.interval.ms", "200"),
    ("broker.session.timeout.ms", "1000"),
    ("replica.lag.time.max.ms", "3000"),
    ("controller.quorum.fetch.timeout.ms", "1000"),
    ("controller.quorum.election.timeout.ms", "500"),
];

const REPLICATED_INTERNALS: [&str; 3] = [
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "share.coordinator.state.topic.replication.factor",
];

const INTERNALS_MIN_ISR: [&str; 2] = [
    "transaction.state.log.min.isr",
    "share.coordinator.state.topic.min.isr",
];

/// The file of the broker with this index; later lines win.
pub(crate) fn of(index: usize, ports: &[Ports], data: &Path, extra: &[(String, String)]) -> String {
    let mut text = String::new();
    let mut set = |key: &str, value: &str| {
        let _ = writeln!(text, "{key}={value}");
    };
    ALWAYS.iter().for_each(|(key, value)| set(key, value));
    set("node.id", &(index + 1).to_string());
    set("controller.quorum.voters", &voters(ports));
    set("log.dirs", &data.display().to_string());
    listeners(&ports[index], &mut set);
    replication(ports.len(), &mut set);
    extra.iter().for_each(|(key, value)| set(key, value));
    text
}

fn voters(ports: &[Ports]) -> String {
    let voter =
        |(index, ports): (usize, &Ports)| format!("{}@127.0.0.1:{}", index + 1, ports.controller);
    ports
        .iter()
        .enumerate()
        .map(voter)
        .collect::<Vec<_>>()
        .join(",")
}

fn listeners(ports: &Ports, set: &mut impl FnMut(&str, &str)) {
    let address = |name: &str, port: u16| format!("{name}://127.0.0.1:{port}");
    let mut addresses = vec![address(CONTROLLER, ports.controller)];
    let mut told = addresses.clone();
    let mut protocols = vec![format!("{CONTROLLER}:PLAINTEXT")];
    for (listener, port) in &ports.listeners {
        addresses.push(address(listener.name(), *port));
        let port = ports.told(*listener).unwrap_or(*port);
        told.push(address(listener.name(), port));
        protocols.push(format!("{}:{}", listener.name(), listener.protocol()));
    }
    set("listeners", &addresses.join(","));
    set("advertised.listeners", &told.join(","));
    set("listener.security.protocol.map", &protocols.join(","));
    set("inter.broker.listener.name", Listener::Plaintext.name());
}

fn replication(brokers: usize, set: &mut impl FnMut(&str, &str)) {
    let min_isr = brokers.div_ceil(2).to_string();
    for key in REPLICATED_INTERNALS {
        set(key, &brokers.to_string());
    }
    for key in INTERNALS_MIN_ISR {
        set(key, &min_isr);
    }
    if brokers > 1 {
        QUICK_FAILURE_DETECTION
            .iter()
            .for_each(|(key, value)| set(key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports() -> Vec<Ports> {
        let ports = [1, 2, 3].map(|port| Ports {
            controller: 10 + port,
            listeners: vec![(Listener::Plaintext, port), (Listener::Mtls, 20 + port)],
            line: None,
        });
        ports.to_vec()
    }

    fn lines(index: usize, ports: &[Ports], extra: &[(String, String)]) -> Vec<String> {
        let text = of(index, ports, Path::new("data"), extra);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_broker_of_three_knows_all_voters_and_listens_on_its_own_ports() {
        let lines = lines(1, &ports(), &[]);
        let has = |line: &str| lines.iter().any(|one| one == line);
        assert!(has("node.id=2"), "{lines:?}");
        assert!(has(
            "controller.quorum.voters=1@127.0.0.1:11,2@127.0.0.1:12,3@127.0.0.1:13"
        ));
        let own = "listeners=CONTROLLER://127.0.0.1:12,PLAINTEXT://127.0.0.1:2,MTLS://127.0.0.1:22";
        assert!(has(own), "{lines:?}");
        assert!(has(
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,MTLS:SSL"
        ));
        assert!(has("offsets.topic.replication.factor=3"));
        assert!(has("transaction.state.log.min.isr=2"));
        assert!(has("broker.session.timeout.ms=1000"));
    }

    #[test]
    fn a_single_broker_replicates_nothing() {
        let lines = lines(0, &ports()[..1], &[]);
        assert!(
            lines
                .iter()
                .any(|line| line == "offsets.topic.replication.factor=1")
        );
        assert!(
            lines
                .iter()
                .any(|line| line == "transaction.state.log.min.isr=1")
        );
    }

    #[test]
    fn what_the_caller_sets_stands_last_and_wins() {
        let extra = [("num.io.threads".to_owned(), "1".to_owned())];
        let lines = lines(0, &ports()[..1], &extra);
        assert_eq!(lines.last().map(String::as_str), Some("num.io.threads=1"));
    }
}
