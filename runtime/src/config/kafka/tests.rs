use std::time::Duration;

use super::*;

fn none(_: &str) -> Option<String> {
    None
}

fn one_broker() -> Kafka {
    Kafka {
        brokers: vec!["127.0.0.1:9092".to_owned()],
        ..Kafka::default()
    }
}

fn user() -> Sasl {
    Sasl {
        user: "ana".to_owned(),
        ..Sasl::default()
    }
}

fn problem(kafka: &Kafka) -> String {
    let problem = kafka.resolved("xp", 1 << 20, &none).unwrap_err();
    problem.to_string()
}

#[test]
fn a_broker_is_enough() {
    let config = one_broker().resolved("xp-edge-1", 1 << 20, &none).unwrap();
    assert_eq!(config.client_id, "xp-edge-1");
    assert_eq!((config.tls, config.sasl), (None, None));
    assert_eq!(config.append_timeout, Duration::from_secs(3));
}

#[test]
fn a_password_is_found_where_it_is_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "hunter2\n").unwrap();
    let variable = |name: &str| (name == "KAFKA_PASSWORD").then(|| "hunter2".to_owned());
    let places = [
        Sasl {
            password: Some("hunter2".into()),
            ..user()
        },
        Sasl {
            password_env: Some("KAFKA_PASSWORD".to_owned()),
            ..user()
        },
        Sasl {
            password_file: Some(file),
            ..user()
        },
    ];
    for sasl in places {
        let kafka = Kafka {
            sasl: Some(sasl),
            ..one_broker()
        };
        let found = kafka
            .resolved("xp", 1 << 20, &variable)
            .unwrap()
            .sasl
            .unwrap();
        assert_eq!(found.password.expose(), "hunter2");
        assert!(!format!("{kafka:?} {found:?}").contains("hunter2"));
    }
}

#[test]
fn what_is_missing_is_named_with_its_key() {
    let sasl = |sasl| {
        problem(&Kafka {
            sasl: Some(sasl),
            ..one_broker()
        })
    };
    let tls = |tls| {
        problem(&Kafka {
            tls: Some(tls),
            ..one_broker()
        })
    };
    let nowhere = || Some(PathBuf::from("no/such.pem"));
    let cases = [
        (problem(&Kafka::default()), "kafka.brokers is empty"),
        (sasl(user()), "kafka.sasl.password is missing"),
        (
            sasl(Sasl {
                password_env: Some("NOT_SET".to_owned()),
                ..user()
            }),
            "kafka.sasl.password-env names NOT_SET",
        ),
        (
            sasl(Sasl {
                password_file: nowhere(),
                ..user()
            }),
            "kafka.sasl.password-file names no/such.pem",
        ),
        (
            sasl(Sasl {
                password: Some("x".into()),
                password_file: nowhere(),
                ..user()
            }),
            "kafka.sasl.password is given more than once",
        ),
        (
            tls(Tls {
                ca: nowhere(),
                ..Tls::default()
            }),
            "kafka.tls.ca names no/such.pem",
        ),
        (
            tls(Tls {
                key: Some("Cargo.toml".into()),
                ..Tls::default()
            }),
            "kafka.tls.certificate is missing",
        ),
    ];
    for (said, part) in cases {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn an_age_is_forever_or_a_duration() {
    let kafka: Kafka = serde_json::from_str(r#"{"retention":{"events":"7 h"}}"#).unwrap();
    assert_eq!(
        kafka.retention.events.limit(),
        Some(Duration::from_secs(7 * 3600))
    );
    assert_eq!(Kafka::default().retention.events.limit(), None);
    let error = serde_json::from_str::<Kafka>(r#"{"retention":{"events":"long"}}"#).unwrap_err();
    assert!(error.to_string().contains("forever"), "{error}");
}
