//! The claims of tokens on their way: those that the domain names are kept, all others are written nowhere.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use xp_domains::wallet::{Command, Wallet};
use xplatform::sandbox::{Sandbox, User};

/// A role that no other record holds.
const NAMED: &str = "planted-gardener";
const UNNAMED: [&str; 3] = ["ana@planted.example", "planted-phone", "planted.issuer"];

fn somebody(sandbox: &Sandbox, subject: &str) -> User {
    let user = sandbox
        .user(subject)
        .claim("roles", json!(["cashier", NAMED]));
    let user = user.claim("email", UNNAMED[0]).claim("iss", UNNAMED[2]);
    user.claim("contact", json!({ "phone": [UNNAMED[1]] }))
}

/// Whether any file below `place`, or its name, holds `text`.
fn holds(place: &Path, text: &str) -> bool {
    let is_found = |bytes: &[u8]| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    fs::read_dir(place).unwrap().any(|entry| {
        let entry = entry.unwrap();
        let path = entry.path();
        let is_named = is_found(entry.file_name().as_encoded_bytes());
        is_named
            || match entry.file_type().unwrap().is_dir() {
                true => holds(&path, text),
                false => is_found(&fs::read(&path).unwrap()),
            }
    })
}

#[tokio::test]
async fn a_claim_that_no_entity_names_is_written_nowhere() {
    let data = tempfile::tempdir().unwrap();
    let place = data.path().join("data");
    let mut sandbox = Sandbox::builder()
        .host::<Wallet>()
        .configure({
            let place = place.clone();
            move |config| config.data = place
        })
        .start()
        .await
        .unwrap();
    let ana = somebody(&sandbox, "ana").connect("wallet/ana").await;
    let () = ana
        .command(&Command::Deposit { amount: 7 })
        .await
        .reply()
        .unwrap();
    // Everybody comes back, with a token that has them again.
    sandbox.kill_and_restart_node().await.unwrap();
    let () = ana
        .command(&Command::Deposit { amount: 8 })
        .await
        .reply()
        .unwrap();
    let ben = somebody(&sandbox, "ben").connect("wallet/ana").await;
    let () = ben
        .command(&Command::Deposit { amount: 9 })
        .await
        .reply()
        .unwrap();
    sandbox.advance(Duration::from_secs(60));
    // The snapshots are written then.
    sandbox.shutdown().await;
    for part in ["log", "snapshots"] {
        assert!(
            holds(&place.join(part), NAMED),
            "the named claim is not in {part}: this looks in the wrong place"
        );
    }
    for unnamed in UNNAMED {
        assert!(
            !holds(&place, unnamed),
            "{unnamed} is in {}",
            place.display()
        );
    }
}
