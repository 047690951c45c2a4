//! The same over TLS.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;
use xp_edge::StartError;
use xp_edge::config::Tls;
use xp_protocol::Incarnation;
use xp_settings::Span;
use xp_transport::Clock;

use crate::world::{World, config, id, lanes, until};

fn connector(certificate: CertificateDer<'static>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn commands_and_events_travel_over_tls() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let tls = Tls {
        certificate: dir.path().join("certificate.pem"),
        key: dir.path().join("key.pem"),
    };
    std::fs::write(&tls.certificate, cert.pem()).unwrap();
    std::fs::write(&tls.key, signing_key.serialize_pem()).unwrap();
    let mut config = config();
    config.tls = Some(tls);
    let world = World::with(config).await;

    let socket = TcpStream::connect(world.edge.addr()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let socket = connector(cert.der().clone())
        .connect(name, socket)
        .await
        .unwrap();
    let request = world.dial("ana").connection(1).request();
    let (mut socket, _) = tokio_tungstenite::client_async(request, socket)
        .await
        .unwrap();
    let mut frames = Vec::new();
    let payload = "x".repeat(50_000);
    socket
        .send(Message::text(format!("send 1 {payload}")))
        .await
        .unwrap();
    while frames.len() < 3 {
        let message = socket.next().await.unwrap().unwrap();
        frames.push(message.into_text().unwrap().to_string());
    }
    assert_eq!(
        frames[1..],
        [format!("event 1 {payload}"), "reply 1 1 ".to_owned()]
    );
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.tls = Some(Tls {
        certificate: dir.path().join("nowhere.pem"),
        key: dir.path().join("key.pem"),
    });
    let world = World::new().await;
    let log = Arc::new(world.log.another_producer());
    let started = xp_edge::start(config, lanes(), log, Incarnation(id(7)), Clock::system()).await;
    match started {
        Err(StartError::Tls { path, .. }) => assert!(path.ends_with("nowhere.pem")),
        other => panic!("{:?}", other.err()),
    }
}

/// Files of a certificate and its key, and the certificate in them.
struct Files {
    _dir: TempDir,
    tls: Tls,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tls = Tls {
            certificate: dir.path().join("certificate.pem"),
            key: dir.path().join("key.pem"),
        };
        Self { _dir: dir, tls }
    }

    fn write_certificate(&self, made: &CertifiedKey<KeyPair>) {
        std::fs::write(&self.tls.certificate, made.cert.pem()).unwrap();
    }

    fn write_key(&self, made: &CertifiedKey<KeyPair>) {
        std::fs::write(&self.tls.key, made.signing_key.serialize_pem()).unwrap();
    }
}

fn make() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

/// Whether a client that trusts this certificate alone gets through TLS.
async fn is_shown(world: &World, made: &CertifiedKey<KeyPair>) -> bool {
    let socket = TcpStream::connect(world.edge.addr()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = connector(made.cert.der().clone());
    connector.connect(name, socket).await.is_ok()
}

#[tokio::test]
async fn a_certificate_without_its_key_changes_nothing_until_its_key_is_there() {
    let (files, first, second) = (Files::new(), make(), make());
    files.write_certificate(&first);
    files.write_key(&first);
    let mut config = config();
    config.tls = Some(files.tls.clone());
    config.timing.keys.reread = Span::from_millis(20);
    let world = World::with(config).await;
    assert!(is_shown(&world, &first).await);
    files.write_certificate(&second);
    let refused = [
        "ERROR",
        "certificate.pem: it is not the certificate of the key in",
        "cannot be used",
    ];
    until("it is said", || world.logs.have(&refused)).await;
    std::fs::write(
        &files.tls.certificate,
        "-----BEGIN CERTIFICATE-----\nMIIB\n",
    )
    .unwrap();
    let half = ["ERROR", "it breaks off", "CERTIFICATE"];
    until("a half is said too", || world.logs.have(&half)).await;
    files.write_certificate(&second);
    assert!(is_shown(&world, &first).await);
    assert!(!is_shown(&world, &second).await);
    files.write_key(&second);
    let used = ["INFO", "edge.tls", "in use from now on"];
    until("it is used", || world.logs.have(&used)).await;
    assert!(is_shown(&world, &second).await);
    assert!(!is_shown(&world, &first).await);
}
