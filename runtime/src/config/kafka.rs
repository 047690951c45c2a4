//! Kafka as the log: how to reach it, and how its topics are.

mod age;
mod secrets;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xp_settings::{Secret, Span, settings};
use xp_transport::kafka;

pub use age::Age;
pub use secrets::KafkaProblem;

use secrets::{Password, readable};

settings! {
    /// Kafka as the log. Without this section the log is the embedded one, which one process has for itself; with it,
    /// edges and state nodes may be processes of their own. `xp topics create` makes the topics, and every start checks
    /// them.
    pub struct Kafka {
        /// Brokers to ask first, each `host:port`; they name the others.
        brokers: Vec<String> = Vec::new(),
        /// What stands before the names of all topics, so that one Kafka holds several installations, each with its own:
        /// with `shop.` they are `shop.cluster`, `shop.main.events` and so on. It ends in a dot, and is never changed once
        /// there are topics.
        topic_prefix: String = String::new(),
        /// TLS towards the brokers. Left out: plain TCP.
        tls: Option<Tls> = None,
        /// Who we are. Left out: nobody, or whom the certificate of `tls` names.
        sasl: Option<Sasl> = None,
        /// On how many brokers each record lies, at least. Topics with fewer are refused at the start.
        replication: u16 = 3,
        /// How many of them must have a record before it counts, at least. Topics with fewer are refused at the start.
        min_insync: u16 = 2,
        /// How long an append may stay without an acknowledgement before it has failed and is made again. It bounds what
        /// a process that was stopped can still append when it goes on.
        append_timeout: Span = Span::from_secs(3),
        /// How long a start waits for brokers. Later outages are waited out.
        connect_timeout: Span = Span::from_secs(10),
        /// Add 1 after the topics `inbound` were made anew: positions in them start over with it.
        generation: u32 = 0,
        /// Add 1, in every process, after the topic `cluster` was made anew: what nodes knew of it starts over with it.
        cluster_generation: u64 = 1,
        /// How long topics keep what is in them.
        retention: Retention = Retention::default(),
    }
}

settings! {
    /// How long topics keep what is in them, at least; the brokers' own settings may say more.
    pub struct Retention {
        /// How long records of `cluster` are kept, at least. Whoever joins needs the last few seconds only.
        cluster: Span = Span::from_secs(3_600),
        /// How long what clients said is kept, at least: longer than any outage of the state nodes.
        inbound: Span = Span::from_secs(24 * 3_600),
        /// How long the truth is kept, at least: `forever`, or a duration above the age of any snapshot.
        #[schemars(with = "String")]
        events: Age = Age::Forever,
        /// How long what edges are told is kept, at least. Clients resume from `events`.
        outbound: Span = Span::from_secs(15 * 60),
    }
}

settings! {
    /// TLS towards the brokers.
    pub struct Tls {
        /// PEM file of the authorities that may have signed the brokers' certificates. Left out: those of the system.
        ca: Option<PathBuf> = None,
        /// PEM file of our own certificate, then its issuers, where brokers ask for one. Needs `key`.
        certificate: Option<PathBuf> = None,
        /// PEM file of its private key.
        key: Option<PathBuf> = None,
        /// What the key file is encrypted with. Better in the environment: `XP__KAFKA__TLS__KEY_PASSWORD`, or as below.
        key_password: Option<Secret> = None,
        /// The environment variable that holds it.
        key_password_env: Option<String> = None,
        /// The file that holds it; one line end is not part of it.
        key_password_file: Option<PathBuf> = None,
    }
}

settings! {
    /// A user of the brokers.
    pub struct Sasl {
        /// How the password is proved.
        mechanism: Mechanism = Mechanism::ScramSha512,
        /// Who.
        user: String = String::new(),
        /// The password. Better in the environment: `XP__KAFKA__SASL__PASSWORD`, or as below.
        password: Option<Secret> = None,
        /// The environment variable that holds it.
        password_env: Option<String> = None,
        /// The file that holds it; one line end is not part of it.
        password_file: Option<PathBuf> = None,
    }
}

/// How a password is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mechanism {
    /// Sent as it is; only over TLS.
    #[serde(rename = "plain")]
    Plain,
    /// SCRAM-SHA-256: never sent.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// SCRAM-SHA-512: never sent.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

impl From<Mechanism> for kafka::Mechanism {
    fn from(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::Plain => Self::Plain,
            Mechanism::ScramSha256 => Self::ScramSha256,
            Mechanism::ScramSha512 => Self::ScramSha512,
        }
    }
}

impl Kafka {
    /// Whether all topics of these lanes get names that Kafka takes and no other installation has.
    ///
    /// # Errors
    /// [`KafkaProblem`] with the key that cannot be used, which may be a lane.
    pub fn judge_names<'a>(
        &self,
        lanes: impl IntoIterator<Item = &'a String>,
    ) -> Result<(), KafkaProblem> {
        let prefix = self.prefix()?;
        lanes.into_iter().try_for_each(|lane| {
            let judged = prefix.judge_lane(lane);
            judged.map_err(|what| KafkaProblem::new(format!("lanes.{lane}"), what))
        })
    }

    fn prefix(&self) -> Result<kafka::Prefix, KafkaProblem> {
        let prefix = kafka::Prefix::parse(&self.topic_prefix);
        prefix.map_err(|what| KafkaProblem::new("kafka.topic-prefix", what))
    }

    /// What the backend is told: passwords are looked up (`variable` asks the environment), files must be there.
    ///
    /// # Errors
    /// [`KafkaProblem`] with the key that cannot be used.
    pub fn resolved(
        &self,
        client_id: &str,
        record_bytes_max: usize,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<kafka::Config, KafkaProblem> {
        let config = kafka::Config {
            brokers: self.brokers.clone(),
            client_id: client_id.to_owned(),
            topic_prefix: self.prefix()?,
            tls: match &self.tls {
                Some(tls) => Some(tls.resolved(variable)?),
                None => None,
            },
            sasl: match &self.sasl {
                Some(sasl) => Some(sasl.resolved(variable)?),
                None => None,
            },
            record_bytes_max,
            append_timeout: self.append_timeout.0,
            generation: self.generation,
            connect_timeout: self.connect_timeout.0,
            bulk_lanes: Default::default(),
        };
        match config.validate() {
            Ok(()) => Ok(config),
            Err(error) => Err(KafkaProblem::new("kafka", error.to_string())),
        }
    }
}

impl Tls {
    fn resolved(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<kafka::Tls, KafkaProblem> {
        let files = [
            ("kafka.tls.ca", &self.ca),
            ("kafka.tls.certificate", &self.certificate),
            ("kafka.tls.key", &self.key),
        ];
        for (key, file) in files {
            if let Some(file) = file {
                readable(key, file)?;
            }
        }
        let password = Password {
            key: "kafka.tls.key-password",
            text: self.key_password.as_ref(),
            variable: self.key_password_env.as_deref(),
            file: self.key_password_file.as_deref(),
        };
        let password = password.find(variable)?;
        let identity = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some(kafka::Identity {
                certificate: certificate.clone(),
                key: key.clone(),
                password,
            }),
            (None, None) => None,
            (Some(_), None) => return Err(half("kafka.tls.key", "kafka.tls.certificate")),
            (None, Some(_)) => return Err(half("kafka.tls.certificate", "kafka.tls.key")),
        };
        let ca = self.ca.clone();
        Ok(kafka::Tls { ca, identity })
    }
}

fn half(missing: &str, there: &str) -> KafkaProblem {
    KafkaProblem::new(missing, format!("is missing, and {there} needs it"))
}

impl Sasl {
    fn resolved(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<kafka::Sasl, KafkaProblem> {
        let password = Password {
            key: "kafka.sasl.password",
            text: self.password.as_ref(),
            variable: self.password_env.as_deref(),
            file: self.password_file.as_deref(),
        };
        let missing = || {
            let what = "is missing: give it here, as password-env or password-file, or as XP__KAFKA__SASL__PASSWORD in the environment";
            KafkaProblem::new("kafka.sasl.password", what)
        };
        Ok(kafka::Sasl {
            mechanism: self.mechanism.into(),
            user: self.user.clone(),
            password: password.find(variable)?.ok_or_else(missing)?,
        })
    }
}

#[cfg(test)]
mod tests;
