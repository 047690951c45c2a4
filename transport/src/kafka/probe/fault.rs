//! The translation of what librdkafka said in passing into the one cause that is worth telling.

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::kafka::config::{Config, Mechanism};
use crate::kafka::error::ConnectError;

/// One thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    kind: Kind,
    reason: String,
}

/// Kinds in rising order of how much they tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Nobody said anything in time.
    Silence,
    /// librdkafka's own summary of what it said before.
    Summary,
    /// Nobody listens at the address.
    Transport,
    /// The name has no address.
    Resolve,
    /// Somebody there, who hangs up.
    HangUp,
    Tls,
    Authentication,
}

impl Fault {
    pub(super) fn new(code: Code, reason: &str) -> Self {
        let reason = essence(reason);
        let kind = kind(code, &reason);
        Self { kind, reason }
    }

    /// Whether waiting cannot mend it. A broker that starts may refuse connections, never a password or a
    /// certificate.
    pub(super) fn is_final(&self) -> bool {
        match self.kind {
            Kind::Authentication => true,
            Kind::Tls => self.reason.contains("certificate"),
            _ => false,
        }
    }
}

fn kind(code: Code, reason: &str) -> Kind {
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => Kind::Authentication,
        Code::SSL => Kind::Tls,
        Code::Resolve => Kind::Resolve,
        Code::AllBrokersDown => Kind::Summary,
        // A broker that wants our certificate says so after the handshake, as the client sees it.
        _ if reason.contains("alert") => Kind::Tls,
        _ if reason.contains("SASL authentication") && reason.contains("rror") => {
            Kind::Authentication
        }
        _ if reason.contains("Failed to resolve") => Kind::Resolve,
        _ if hung_up(reason) => Kind::HangUp,
        Code::BrokerTransportFailure if !reason.contains("no answer") => Kind::Transport,
        _ => Kind::Silence,
    }
}

fn hung_up(reason: &str) -> bool {
    [
        "Disconnected",
        "security.protocol",
        "handshake",
        "ApiVersion",
        "Receive failed",
    ]
    .iter()
    .any(|word| reason.contains(word))
}

/// Without the remark on time at its end, which would make each repetition look new.
fn essence(reason: &str) -> String {
    reason
        .split(" (after ")
        .next()
        .unwrap_or(reason)
        .trim()
        .to_owned()
}

/// The most telling of what went wrong, with the setting to look at.
pub(super) fn verdict(config: &Config, faults: &[Fault]) -> ConnectError {
    let brokers = config.brokers.join(", ");
    // The first of the highest kind: what comes later is often its echo.
    let told = faults.iter().rev().max_by_key(|fault| fault.kind);
    let reason = told.map_or_else(|| "no connection yet".to_owned(), |f| f.reason.clone());
    match told.map_or(Kind::Silence, |fault| fault.kind) {
        Kind::Authentication => authentication(config, reason),
        Kind::Tls => ConnectError::Tls {
            hint: tls_hint(config, &reason),
            reason,
        },
        Kind::HangUp => ConnectError::Protocol {
            brokers,
            protocol: protocol(config),
            reason,
        },
        Kind::Resolve => ConnectError::Unresolved { brokers, reason },
        Kind::Transport | Kind::Summary | Kind::Silence => ConnectError::Unreachable {
            brokers,
            waited: config.connect_timeout,
            reason,
        },
    }
}

fn authentication(config: &Config, reason: String) -> ConnectError {
    let sasl = config.sasl.as_ref();
    ConnectError::Authentication {
        user: sasl.map_or_else(String::new, |sasl| sasl.user.clone()),
        mechanism: sasl.map_or("no password", |sasl| mechanism(sasl.mechanism)),
        reason,
    }
}

fn mechanism(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Plain => "PLAIN",
        Mechanism::ScramSha256 => "SCRAM-SHA-256",
        Mechanism::ScramSha512 => "SCRAM-SHA-512",
    }
}

fn protocol(config: &Config) -> &'static str {
    match (&config.tls, &config.sasl) {
        (None, None) => "plain TCP without a user",
        (Some(_), None) => "TLS without a user",
        (None, Some(_)) => "plain TCP with a user",
        (Some(_), Some(_)) => "TLS with a user",
    }
}

fn tls_hint(config: &Config, reason: &str) -> &'static str {
    let has_own = config
        .tls
        .as_ref()
        .is_some_and(|tls| tls.identity.is_some());
    if reason.contains("alert") && !has_own {
        "the brokers ask for a certificate: set kafka.tls.certificate and kafka.tls.key"
    } else if reason.contains("alert") {
        "the brokers do not accept our certificate: check kafka.tls.certificate, and which authorities the brokers trust"
    } else {
        "check kafka.tls.ca: it must hold the authority that signed the brokers' certificates, and these must name the hosts in kafka.brokers"
    }
}

#[cfg(test)]
mod tests {
    use xp_settings::Secret;

    use super::*;
    use crate::kafka::config::{Sasl, Tls};

    fn said(config: &Config, faults: &[(Code, &str)]) -> String {
        let faults: Vec<_> = faults
            .iter()
            .map(|(code, reason)| Fault::new(*code, reason))
            .collect();
        verdict(config, &faults).to_string()
    }

    fn secured() -> Config {
        Config {
            tls: Some(Tls::default()),
            sasl: Some(Sasl {
                mechanism: Mechanism::ScramSha512,
                user: "ana".to_owned(),
                password: Secret::from("opensesame"),
            }),
            ..Config::at(&["kafka:9092"])
        }
    }

    const REFUSED: (Code, &str) = (
        Code::BrokerTransportFailure,
        "kafka:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)",
    );

    #[test]
    fn the_most_telling_reason_is_told() {
        let plain = Config::at(&["kafka:9092"]);
        assert!(
            said(&plain, &[])
                .contains("no broker of kafka.brokers (kafka:9092) answered within 10s")
        );
        let refused = said(
            &plain,
            &[(Code::AllBrokersDown, "1/1 brokers are down"), REFUSED],
        );
        assert!(
            refused.contains("Connection refused; is it running"),
            "{refused}"
        );
        let unknown = (
            Code::Resolve,
            "kafka:9092/bootstrap: Failed to resolve 'kafka:9092': Name or service not known",
        );
        let resolve = said(&plain, &[REFUSED, unknown]);
        assert!(resolve.contains("can be found by name"), "{resolve}");
        let hang_up = (
            Code::BrokerTransportFailure,
            "kafka:9092/1: Disconnected: verify that security.protocol is correctly configured",
        );
        let protocol = said(&plain, &[hang_up, REFUSED]);
        assert!(
            protocol.contains("this process speaks plain TCP without a user"),
            "{protocol}"
        );
    }

    #[test]
    fn a_refused_user_is_named_and_the_password_is_not() {
        let wrong = (
            Code::Authentication,
            "sasl_ssl://kafka:9092/bootstrap: SASL authentication error: Authentication failed due to invalid credentials",
        );
        let told = said(&secured(), &[REFUSED, wrong]);
        assert!(
            told.contains("refuse the user \"ana\" with SCRAM-SHA-512"),
            "{told}"
        );
        assert!(
            told.contains("check kafka.sasl.user") && !told.contains("opensesame"),
            "{told}"
        );
        assert!(Fault::new(wrong.0, wrong.1).is_final());
        assert!(!Fault::new(REFUSED.0, REFUSED.1).is_final());
    }

    #[test]
    fn tls_failures_name_the_file_to_look_at() {
        let ca = (
            Code::SSL,
            "ssl://kafka:9092/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed",
        );
        assert!(said(&secured(), &[ca]).contains("check kafka.tls.ca"));
        let alert = (
            Code::BrokerTransportFailure,
            "ssl://kafka:9092/bootstrap: Receive failed: SSL transport error: ssl/tls alert certificate required",
        );
        let told = said(&secured(), &[alert]);
        assert!(
            told.contains("set kafka.tls.certificate and kafka.tls.key"),
            "{told}"
        );
    }
}
