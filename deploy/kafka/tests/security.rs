//! One real broker that demands TLS, certificates and passwords, asked by Kafka's own tools.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use xp_local_kafka::{Certificates, Listener, LocalKafka, Options};

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

/// A broker with every listener, the topic `seen`, and a client's files.
struct Secured {
    kafka: LocalKafka,
    files: tempfile::TempDir,
}

impl Secured {
    fn start() -> Self {
        let all = Listener::ALL.into_iter();
        let options = all.fold(Options::one(), Options::listening);
        let kafka = LocalKafka::start(options.user("ana", "secret-1").acl()).unwrap();
        let create = ["--create", "--topic", "seen", "--partitions", "1"];
        kafka.tool(TOPICS, &create).unwrap();
        let files = tempfile::tempdir().unwrap();
        Self { kafka, files }
    }

    /// What a client with these settings is told about topics.
    fn list(&self, listener: Listener, settings: &str) -> Result<String, String> {
        let file = self.files.path().join("client.properties");
        // Refused by TLS or by a password, the tool tries again until this is over.
        let patience = "default.api.timeout.ms=4000\nrequest.timeout.ms=3000\n";
        fs::write(&file, format!("{patience}{settings}")).unwrap();
        let bootstrap = self.kafka.bootstrap_of(listener).unwrap();
        let arguments = [
            "--list",
            "--bootstrap-server",
            &bootstrap,
            "--command-config",
            file.to_str().unwrap(),
        ];
        let listed = self.kafka.tool(TOPICS, &arguments);
        listed.map_err(|error| format!("{error:#}"))
    }

    fn allow(&self, principal: &str) {
        let arguments = [
            "--add",
            "--allow-principal",
            principal,
            "--operation",
            "Describe",
            "--topic",
            "seen",
        ];
        let acls = "org.apache.kafka.tools.AclCommand";
        self.kafka.tool(acls, &arguments).unwrap();
    }

    fn trust(&self) -> String {
        let ca = self.kafka.certificates().unwrap().ca();
        let ca = ca.display();
        format!("ssl.truststore.type=PEM\nssl.truststore.location={ca}\n")
    }

    fn identity(&self) -> String {
        let keystore = self.kafka.certificates().unwrap().client_keystore();
        let keystore = keystore.display();
        format!("ssl.keystore.type=PEM\nssl.keystore.location={keystore}\n")
    }
}

fn password(protocol: &str, mechanism: &str, password: &str) -> String {
    let module = match mechanism {
        "PLAIN" => "plain.PlainLoginModule",
        _ => "scram.ScramLoginModule",
    };
    format!(
        "security.protocol={protocol}\nsasl.mechanism={mechanism}\nsasl.jaas.config=\
         org.apache.kafka.common.security.{module} required username=\"ana\" password=\"{password}\";\n"
    )
}

#[test]
fn clients_come_in_with_the_right_certificate_or_password_and_see_what_acls_allow() {
    let secured = Secured::start();
    let tls = format!("security.protocol=SSL\n{}", secured.trust());
    let scram = |word: &str| password("SASL_SSL", "SCRAM-SHA-512", word) + &secured.trust();

    let without_rights = secured.list(Listener::SaslSsl, &scram("secret-1"));
    assert!(!without_rights.unwrap().contains("seen"));
    secured.allow("User:ana");
    secured.allow(Certificates::CLIENT);

    let accepted = [
        (Listener::SaslSsl, scram("secret-1")),
        (
            Listener::SaslPlaintext,
            password("SASL_PLAINTEXT", "PLAIN", "secret-1"),
        ),
        (Listener::Ssl, tls.clone()),
        (Listener::Mtls, tls.clone() + &secured.identity()),
    ];
    for (listener, settings) in accepted {
        let topics = secured.list(listener, &settings).unwrap();
        assert!(topics.contains("seen"), "{listener:?}: {topics}");
    }

    let refused = secured
        .list(Listener::SaslSsl, &scram("secret-2"))
        .unwrap_err();
    assert!(refused.contains("SaslAuthenticationException"), "{refused}");
    let refused = secured.list(Listener::Mtls, &tls).unwrap_err();
    assert!(
        refused.contains("SslAuthenticationException")
            || refused.contains("bad_certificate")
            || refused.contains("certificate_required"),
        "{refused}"
    );
}
