//! The first contact with brokers that are not there.

use std::net::TcpListener;
use std::time::Duration;

use xp_transport::kafka::{self, Config, ConnectError};

/// A port of this machine that refuses connections: it was free a moment ago.
fn dead_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

async fn failure(brokers: &[&str], connect_timeout: Duration) -> ConnectError {
    let config = Config {
        connect_timeout,
        ..Config::at(brokers)
    };
    kafka::probe(&config).await.unwrap_err()
}

#[tokio::test]
async fn a_dead_port_is_named_with_what_the_system_said() {
    let broker = format!("127.0.0.1:{}", dead_port());
    let said = failure(&[&broker], Duration::from_millis(600))
        .await
        .to_string();
    assert!(
        said.contains(&broker) && said.contains("Connection refused"),
        "{said}"
    );
    assert!(said.contains("within 600ms"), "{said}");
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_told_apart_from_a_dead_host() {
    let error = failure(&["kafka.invalid:9092"], Duration::from_secs(2)).await;
    assert!(matches!(error, ConnectError::Unresolved { .. }), "{error}");
    assert!(error.to_string().contains("kafka.invalid"), "{error}");
}

#[tokio::test]
async fn a_port_that_speaks_something_else_is_no_broker() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let broker = listener.local_addr().unwrap().to_string();
    // Whoever connects is hung up on; ends with the first connection that cannot be made.
    std::thread::spawn(move || while listener.accept().is_ok() {});
    let error = failure(&[&broker], Duration::from_secs(1)).await;
    assert!(matches!(error, ConnectError::Protocol { .. }), "{error}");
    assert!(error.to_string().contains("check [kafka.tls]"), "{error}");
}
