//! Warnings about a configuration that works and should be looked at before strangers can reach the process.

use std::collections::HashSet;
use std::net::SocketAddr;

use xp_edge::config::{Key, Source};
use xp_runtime::Config;
use xp_runtime::config::secret_file;
use xp_transport::private::without_line_end;

/// Different bytes that a random secret of 32 bytes in hex has at the least, nearly always.
const DIFFERENT_BYTES_MIN: usize = 8;
/// Words of secrets that were copied from somewhere.
const COPIED: [&str; 6] = [
    "secret",
    "password",
    "changeme",
    "change-me",
    "example",
    "12345678",
];

/// One line for each.
pub(crate) fn warnings(config: &Config) -> Vec<String> {
    let edge = &config.edge;
    let mut warnings = edge.warnings();
    if is_public(edge.listen) && edge.tls.is_none() {
        warnings.push(format!(
            "edge.listen is {}, and there is no edge.tls: tokens cross the network in plain text unless a proxy in front ends TLS on this machine",
            edge.listen
        ));
    }
    if let Some(listen) = config.state_node.listen.filter(|at| is_public(*at)) {
        warnings.push(format!(
            "state-node.listen is {listen}: whoever reaches it sees entities and is asked for no token; let only operators reach it"
        ));
    }
    if let Some(kafka) = config.kafka.as_ref().filter(|kafka| kafka.tls.is_none()) {
        let mut brokers = kafka.brokers.iter();
        if brokers.any(|broker| !is_local(broker)) {
            warnings.push("kafka.tls is left out: everything that is said and recorded crosses the network in plain text".to_owned());
        }
    }
    let is_served = is_public(edge.listen) || config.kafka.is_some();
    for (number, key) in edge.tokens.keys.iter().enumerate() {
        let key_is = |what: &str| format!("edge.tokens.keys[{number}] is {what}");
        let development = secret_file(&config.data);
        if is_served && key.secret_file.as_ref() == Some(&development) {
            warnings.push(key_is(
                "the development secret: whoever can read it can be anybody; use your issuer's key set",
            ));
        }
        if secret(key).is_some_and(|secret| is_guessable(&secret)) {
            warnings.push(key_is(
                "a shared secret that can be guessed: take random bytes, as of `openssl rand -hex 32`",
            ));
        }
    }
    if is_served && (edge.explains || config.state_node.explains) {
        warnings.push(
            "`explains` is on: clients hear why they are refused, which helps attackers too"
                .to_owned(),
        );
    }
    warnings
}

fn is_public(at: SocketAddr) -> bool {
    !at.ip().is_loopback()
}

fn is_local(broker: &str) -> bool {
    let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// A shared secret, where it can be had here.
fn secret(key: &Key) -> Option<Vec<u8>> {
    match key.source()? {
        Source::Secret(secret) => Some(secret.expose().as_bytes().to_vec()),
        Source::SecretEnv(name) => Some(std::env::var(name).ok()?.into_bytes()),
        Source::SecretFile(path) => Some(without_line_end(&std::fs::read(path).ok()?).to_vec()),
        _ => None,
    }
}

fn is_guessable(secret: &[u8]) -> bool {
    let different: HashSet<_> = secret.iter().collect();
    let text = String::from_utf8_lossy(secret).to_lowercase();
    different.len() < DIFFERENT_BYTES_MIN || COPIED.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn development() -> Config {
        Config::development(std::path::Path::new("./nowhere"))
    }

    #[test]
    fn what_only_this_machine_reaches_is_no_matter() {
        assert_eq!(warnings(&development()), [""; 0]);
    }

    #[test]
    fn plain_text_and_development_are_warned_of_where_others_can_reach_them() {
        let mut config = development();
        config.edge.listen = "0.0.0.0:7400".parse().unwrap();
        config.state_node.listen = Some("10.0.0.1:7410".parse().unwrap());
        config.state_node.explains = true;
        let said = warnings(&config).join("\n");
        for part in [
            "no edge.tls",
            "state-node.listen is 10.0.0.1:7410",
            "the development secret",
            "`explains` is on",
        ] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
    }

    #[test]
    fn kafka_without_tls_is_warned_of_unless_it_is_on_this_machine() {
        let mut config = development();
        config.edge.tokens.keys.clear();
        for (broker, warned) in [
            ("kafka-1:9092", true),
            ("localhost:9092", false),
            ("[::1]:9092", false),
        ] {
            let brokers = vec![broker.to_owned()];
            config.kafka = Some(xp_runtime::config::Kafka {
                brokers,
                ..Default::default()
            });
            assert_eq!(warnings(&config).len(), usize::from(warned), "{broker}");
        }
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_warned_of() {
        for (secret, guessable) in [
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true),
            ("my-very-long-Password-of-the-company!", true),
            ("0123456789abcdef0123456789abcdef12345678", true),
            ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", false),
        ] {
            let mut config = development();
            config.edge.tokens.keys = vec![Key::secret(secret)];
            assert_eq!(!warnings(&config).is_empty(), guessable, "{secret}");
        }
    }
}
