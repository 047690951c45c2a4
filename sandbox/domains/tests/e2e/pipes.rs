//! `xp connect` in a pipe.

use crate::process::{Talk, xp};
use crate::server::Server;

const RED: &str = r#"{"type":"Draw","data":{"colour":"red","points":[[1,2]]}}"#;

#[tokio::test]
async fn binary_payloads_are_typed_and_shown_in_hex() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    let url = server.url();
    let mut ana = Talk::with(&mut xp(
        &["connect", "device/1", "--url", &url],
        data.path(),
    ));
    ana.sees(&["welcome", "fresh 0x"]).await;
    ana.types("0xffffffff").await;
    ana.sees(&["fault 1 ", "unreadable"]).await;
    assert_eq!(ana.ends().await, Some(0));
}

#[tokio::test]
async fn a_line_that_is_no_json_is_named_and_the_rest_is_sent() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    let mut ana = Talk::with(&mut xp(
        &["connect", "board/1", "--url", &server.url()],
        data.path(),
    ));
    ana.types("{oops").await;
    ana.types(RED).await;
    ana.sees(&["reply 1 ", "Drawn"]).await;
    assert_eq!(ana.ends().await, Some(1));
}
