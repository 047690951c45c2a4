//! A broker that demands TLS, certificates, users and rights: each way in, and what is told of each that fails.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use xp_local_kafka::{Certificates, Listener};
use xp_protocol::{Offset, PartitionId};
use xp_settings::Secret;
use xp_transport::kafka::topics::{self, Created, Kind};
use xp_transport::kafka::{
    self, Config, ConnectError, Identity, Kafka, Mechanism, Sasl, Tls, Topic,
};
use xp_transport::{Log, Record, TopicPartition};

use crate::rig::{ANA, BO, EDGE, PASSWORD, kafka};

fn certificates() -> &'static Certificates {
    kafka().certificates().unwrap()
}

fn at(listener: Listener) -> Config {
    Config {
        connect_timeout: Duration::from_secs(5),
        ..Config::at(&[&kafka().bootstrap_of(listener).unwrap()])
    }
}

fn trusting(ca: PathBuf) -> Tls {
    Tls {
        ca: Some(ca),
        identity: None,
    }
}

fn over_tls(listener: Listener) -> Config {
    Config {
        tls: Some(trusting(certificates().ca())),
        ..at(listener)
    }
}

fn identity(key: PathBuf) -> Identity {
    Identity {
        certificate: certificates().client_certificate(),
        key,
        password: None,
    }
}

fn with_certificate(key: PathBuf) -> Config {
    let mut config = over_tls(Listener::Mtls);
    config.tls.as_mut().unwrap().identity = Some(identity(key));
    config
}

fn as_user(config: Config, user: &str, mechanism: Mechanism, password: &str) -> Config {
    let sasl = Sasl {
        mechanism,
        user: user.to_owned(),
        password: Secret::from(password),
    };
    Config {
        sasl: Some(sasl),
        ..config
    }
}

fn scram(user: &str) -> Config {
    as_user(
        over_tls(Listener::SaslSsl),
        user,
        Mechanism::ScramSha512,
        PASSWORD,
    )
}

async fn refusal(config: Config) -> (ConnectError, String) {
    let error = kafka::probe(&config).await.unwrap_err();
    let said = error.to_string();
    assert!(!said.contains(PASSWORD), "{said}");
    (error, said)
}

#[tokio::test]
async fn each_way_in_that_is_configured_rightly_leads_in() {
    for config in [
        over_tls(Listener::Ssl),
        with_certificate(certificates().client_key()),
        scram(ANA),
        as_user(
            over_tls(Listener::SaslSsl),
            ANA,
            Mechanism::ScramSha256,
            PASSWORD,
        ),
        as_user(over_tls(Listener::SaslSsl), ANA, Mechanism::Plain, PASSWORD),
        as_user(
            at(Listener::SaslPlaintext),
            ANA,
            Mechanism::ScramSha512,
            PASSWORD,
        ),
    ] {
        let answered = kafka::probe(&config).await;
        assert_eq!(
            answered.map(|probe| probe.brokers.len()),
            Ok(1),
            "{config:?}"
        );
    }
}

#[tokio::test]
async fn a_password_without_tls_is_not_even_sent() {
    let config = as_user(at(Listener::SaslPlaintext), ANA, Mechanism::Plain, PASSWORD);
    let (error, said) = refusal(config).await;
    assert!(matches!(error, ConnectError::Settings(_)), "{error:?}");
    assert!(said.contains("add [kafka.tls]"), "{said}");
}

#[tokio::test]
async fn a_wrong_password_is_told_at_once_with_the_user() {
    for mechanism in [
        Mechanism::ScramSha512,
        Mechanism::ScramSha256,
        Mechanism::Plain,
    ] {
        let config = as_user(over_tls(Listener::SaslSsl), ANA, mechanism, "not-this-one");
        let (error, said) = refusal(config).await;
        assert!(
            matches!(error, ConnectError::Authentication { .. }),
            "{error:?}"
        );
        assert!(said.contains("refuse the user \"ana\""), "{said}");
        assert!(
            said.contains("check kafka.sasl.user") && !said.contains("not-this-one"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn brokers_signed_by_another_authority_are_not_trusted() {
    let config = Config {
        tls: Some(trusting(certificates().stranger_ca())),
        ..at(Listener::Ssl)
    };
    let (error, said) = refusal(config).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    assert!(said.contains("check kafka.tls.ca"), "{said}");
}

#[tokio::test]
async fn brokers_that_ask_for_a_certificate_get_it_or_say_so() {
    let (error, said) = refusal(over_tls(Listener::Mtls)).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    assert!(
        said.contains("set kafka.tls.certificate and kafka.tls.key"),
        "{said}"
    );
}

#[tokio::test]
async fn files_that_are_missing_or_hold_something_else_are_named() {
    let (error, said) = refusal(with_certificate("nowhere/key.pem".into())).await;
    assert!(matches!(error, ConnectError::File { .. }), "{error:?}");
    assert!(
        said.contains("kafka.tls.key = \"nowhere/key.pem\" cannot be read"),
        "{said}"
    );
    let (error, said) = refusal(with_certificate(certificates().ca())).await;
    assert!(matches!(error, ConnectError::Client { .. }), "{error:?}");
    assert!(said.contains("ssl.key.location"), "{said}");
}

#[tokio::test]
async fn the_wrong_protocol_for_a_port_is_told_as_such() {
    let tls = Some(trusting(certificates().ca()));
    for config in [
        at(Listener::Ssl),
        at(Listener::SaslSsl),
        at(Listener::SaslPlaintext),
        Config {
            tls,
            ..at(Listener::Plaintext)
        },
        over_tls(Listener::SaslSsl),
    ] {
        let config = Config {
            connect_timeout: Duration::from_secs(1),
            ..config
        };
        let asked = config.brokers.clone();
        let (error, said) = refusal(config).await;
        assert!(
            matches!(error, ConnectError::Protocol { .. }),
            "{asked:?}: {error:?}"
        );
        assert!(
            said.contains("check [kafka.tls], [kafka.sasl] and the port"),
            "{said}"
        );
    }
}

fn events(name: &str) -> Topic {
    Topic {
        name: name.to_owned(),
        partitions: 1,
        kind: Kind::Events,
        replication: 1,
        min_insync: 1,
        retention: None,
    }
}

/// Runs the kafka-acls.sh line of a problem's text.
fn run_acl_command(said: &str) {
    let (_, command) = said
        .split_once("kafka-acls.sh --bootstrap-server ")
        .unwrap();
    let command = command.split(',').next().unwrap();
    let words: Vec<_> = command
        .split(' ')
        .skip(1)
        .map(|word| word.trim_matches('\''))
        .collect();
    kafka()
        .tool("org.apache.kafka.tools.AclCommand", &words)
        .unwrap();
}

/// Rights are on their way to the broker for a moment after they were given.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking)
        .await
        .unwrap()
}

#[tokio::test]
async fn each_missing_right_comes_with_the_command_that_gives_it() {
    let wanted = [events("rights.events")];
    topics::create(&at(Listener::Plaintext), &wanted)
        .await
        .unwrap();
    let check = async || topics::check(&scram(ANA), &wanted).await.unwrap();

    let [unseen] = &check().await[..] else {
        panic!("one problem")
    };
    assert!(unseen.is_fatal());
    assert!(
        unseen
            .to_string()
            .contains("rights.events may not be seen by User:ana"),
        "{unseen}"
    );
    run_acl_command(&unseen.to_string());

    let unchecked = until(async || check().await.pop().filter(|found| !found.is_fatal())).await;
    assert!(
        unchecked.to_string().contains("nobody checked them"),
        "{unchecked}"
    );
    run_acl_command(&unchecked.to_string());

    until(async || check().await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_user_who_may_not_make_topics_is_told_which_right_is_missing() {
    let describe = [
        "--add",
        "--allow-principal",
        "User:bo",
        "--operation",
        "Describe",
        "--topic",
        "forbidden.events",
    ];
    kafka()
        .tool("org.apache.kafka.tools.AclCommand", &describe)
        .unwrap();
    let wanted = [events("forbidden.events")];
    let refused = until(async || {
        let outcome = topics::create(&scram(BO), &wanted).await.unwrap().pop()?;
        matches!(outcome, Created::Refused { .. }).then_some(outcome)
    });
    let Created::Refused { reason, .. } = refused.await else {
        unreachable!("looked for")
    };
    assert!(reason.contains("allow the operation Create"), "{reason}");
}

#[tokio::test]
async fn appending_without_the_right_fails_with_that_reason() {
    let wanted = [events("silent.events")];
    topics::create(&at(Listener::Plaintext), &wanted)
        .await
        .unwrap();
    let log = Kafka::connect(scram(BO)).await.unwrap();
    let at = TopicPartition {
        topic: "silent.events".into(),
        partition: PartitionId(0),
    };
    let record = Record {
        key: Bytes::from_static(b"board/1"),
        ..Record::default()
    };
    let refused = log
        .append(&at, vec![record])
        .await
        .remove(0)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("silent.events") && refused.to_lowercase().contains("authoriz"),
        "{refused}"
    );
}

fn allow(user: &str, operations: &[&str], topics: &[&str]) {
    let principal = format!("User:{user}");
    let mut words = vec!["--add", "--allow-principal", &principal];
    words.extend(
        operations
            .iter()
            .flat_map(|operation| ["--operation", operation]),
    );
    words.extend(topics.iter().flat_map(|topic| ["--topic", topic]));
    let acls = "org.apache.kafka.tools.AclCommand";
    kafka().tool(acls, &words).unwrap();
}

/// What docs/kafka.md says that an edge needs.
#[tokio::test]
async fn the_rights_of_an_edge_are_enough_for_an_edge_and_no_more() {
    let kinds = [
        ("edge.inbound", Kind::Inbound),
        ("edge.events", Kind::Events),
        ("edge.outbound", Kind::Outbound),
    ];
    let wanted = kinds.map(|(name, kind)| Topic {
        kind,
        ..events(name)
    });
    let made = topics::create(&at(Listener::Plaintext), &wanted).await;
    assert!(
        made.unwrap()
            .iter()
            .all(|made| matches!(made, Created::Made(_)))
    );
    allow(EDGE, &["Write", "DescribeConfigs"], &["edge.inbound"]);
    allow(EDGE, &["Read", "DescribeConfigs"], &["edge.outbound"]);
    allow(EDGE, &["Describe", "DescribeConfigs"], &["edge.events"]);
    until(async || {
        let found = topics::check(&scram(EDGE), &wanted).await.unwrap();
        found.is_empty().then_some(())
    })
    .await;

    let whole = Kafka::connect(at(Listener::Plaintext)).await.unwrap();
    let log = Kafka::connect(scram(EDGE)).await.unwrap();
    let at = |topic: &str| TopicPartition {
        topic: topic.into(),
        partition: PartitionId(0),
    };
    let record = || {
        vec![Record {
            value: Bytes::from_static(b"{}"),
            ..Record::default()
        }]
    };
    log.append(&at("edge.inbound"), record())
        .await
        .remove(0)
        .unwrap();
    for topic in ["edge.outbound", "edge.events"] {
        whole.append(&at(topic), record()).await.remove(0).unwrap();
    }
    let told = log
        .read(&at("edge.outbound"), Offset(0))
        .next()
        .await
        .unwrap();
    assert_eq!(told.len(), 1);
    let reading = tokio::time::timeout(Duration::from_secs(20), async {
        log.read(&at("edge.events"), Offset(0)).next().await
    });
    let refused = reading.await.unwrap().unwrap_err().to_string();
    assert!(
        refused.contains("edge.events") && refused.to_lowercase().contains("authoriz"),
        "{refused}"
    );
}
