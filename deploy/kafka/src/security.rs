//! Listeners with TLS, users and rights, as lines of `server.properties`.

use crate::certificates::Certificates;
use anyhow::{Result, bail};

/// A way to a broker. Each has a port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Nothing is proved or hidden. It is always there, for the brokers among themselves and for tools; with ACLs,
    /// who comes this way (`User:ANONYMOUS`) may do everything.
    Plaintext,
    /// TLS, clients without a certificate. They are `User:ANONYMOUS` as well, so ACLs do not bind them.
    Ssl,
    /// TLS, and clients must show a certificate; they are [`Certificates::CLIENT`] to ACLs.
    Mtls,
    /// A user and a password (PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512), without TLS. `ana` is `User:ana` to ACLs.
    SaslPlaintext,
    /// A user and a password (PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512) within TLS. `ana` is `User:ana` to ACLs.
    SaslSsl,
    /// As [`Self::Plaintext`], over a line that `LocalKafka::cut` cuts: for whoever is to lose its brokers.
    Severable,
}

impl Listener {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Plaintext,
        Self::Ssl,
        Self::Mtls,
        Self::SaslPlaintext,
        Self::SaslSsl,
        Self::Severable,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::Mtls => "MTLS",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
            Self::Severable => "SEVERABLE",
        }
    }

    pub(crate) fn protocol(self) -> &'static str {
        match self {
            Self::Mtls => "SSL",
            Self::Severable => "PLAINTEXT",
            other => other.name(),
        }
    }

    pub(crate) fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::Mtls | Self::SaslSsl)
    }

    fn has_users(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// Somebody with a password.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: String,
}

impl User {
    /// Names and passwords pass through three syntaxes, each with its own way to quote.
    pub(crate) fn check(&self) -> Result<()> {
        let is_plain =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        let is_fine = |text: &str| !text.is_empty() && text.chars().all(is_plain);
        if !is_fine(&self.name) || !is_fine(&self.password) {
            bail!(
                "the user `{}` and its password may have letters, digits, `-`, `_` and `.` only",
                self.name
            );
        }
        Ok(())
    }

    /// What `StorageTool format` takes: SCRAM keeps only what the password proves, in the log of the controllers.
    pub(crate) fn scram(&self) -> [String; 2] {
        let Self { name, password } = self;
        ["SCRAM-SHA-256", "SCRAM-SHA-512"]
            .map(|mechanism| format!("{mechanism}=[name={name},password={password}]"))
    }
}

/// Lines for the listeners that need some.
pub(crate) fn lines(
    listeners: &[Listener],
    users: &[User],
    acl: bool,
    certificates: Option<&Certificates>,
) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for listener in listeners {
        let prefix = format!("listener.name.{}", listener.name().to_lowercase());
        if let Some(certificates) = certificates.filter(|_| listener.has_tls()) {
            lines.extend(tls(&prefix, *listener, certificates));
        }
        if listener.has_users() {
            lines.extend(sasl(&prefix, users));
        }
    }
    if acl {
        lines.extend(authorizer());
    }
    lines
}

fn tls(prefix: &str, listener: Listener, certificates: &Certificates) -> Vec<(String, String)> {
    let clients = if listener == Listener::Mtls {
        "required"
    } else {
        "none"
    };
    let keystore = certificates.server_keystore().display().to_string();
    let truststore = certificates.ca().display().to_string();
    let pem = || "PEM".to_owned();
    [
        ("ssl.keystore.type", pem()),
        ("ssl.keystore.location", keystore),
        ("ssl.truststore.type", pem()),
        ("ssl.truststore.location", truststore),
        ("ssl.client.auth", clients.to_owned()),
    ]
    .map(|(key, value)| (format!("{prefix}.{key}"), value))
    .to_vec()
}

fn sasl(prefix: &str, users: &[User]) -> Vec<(String, String)> {
    const LOGIN: &str = "org.apache.kafka.common.security";
    let known = users
        .iter()
        .map(|user| format!(" user_{}=\"{}\"", user.name, user.password));
    let plain = format!(
        "{LOGIN}.plain.PlainLoginModule required{};",
        known.collect::<String>()
    );
    let scram = format!("{LOGIN}.scram.ScramLoginModule required;");
    [
        (
            "sasl.enabled.mechanisms",
            "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512".to_owned(),
        ),
        ("plain.sasl.jaas.config", plain),
        ("scram-sha-256.sasl.jaas.config", scram.clone()),
        ("scram-sha-512.sasl.jaas.config", scram),
    ]
    .map(|(key, value)| (format!("{prefix}.{key}"), value))
    .to_vec()
}

fn authorizer() -> [(String, String); 2] {
    const CLASS: &str = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    [
        ("authorizer.class.name", CLASS),
        ("super.users", "User:ANONYMOUS"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_that_would_have_to_be_quoted_are_refused() {
        let user = |name: &str, password: &str| User {
            name: name.to_owned(),
            password: password.to_owned(),
        };
        user("ana", "s3cret-1").check().unwrap();
        for (name, password) in [
            ("ana", "a,b"),
            ("ana", "\""),
            ("a=b", "x"),
            ("", "x"),
            ("ana", ""),
        ] {
            let error = user(name, password).check().unwrap_err().to_string();
            assert!(!error.contains("a,b"), "the password is in `{error}`");
        }
    }

    #[test]
    fn every_listener_with_users_knows_all_of_them() {
        let users = [User {
            name: "ana".to_owned(),
            password: "secret".to_owned(),
        }];
        let lines = lines(&Listener::ALL, &users, false, None);
        let knows = |(key, value): &&(String, String)| {
            key.ends_with("plain.sasl.jaas.config") && value.contains("user_ana=\"secret\"")
        };
        assert_eq!(lines.iter().filter(knows).count(), 2, "{lines:?}");
    }
}
