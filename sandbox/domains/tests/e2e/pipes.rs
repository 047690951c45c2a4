//! `xp connect` in a pipe.

use crate::process::{Server, Talk, xp};

const RED: &str = r#"{"type":"Draw","data":{"colour":"red","points":[[1,2]]}}"#;
const BLUE: &str = r#"{"type":"Draw","data":{"colour":"blue","points":[[3,4]]}}"#;

#[tokio::test]
async fn two_pipes_see_each_other() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    let url = server.url();
    let mut ana = Talk::with(&mut xp(
        &["connect", "board/1", "--as", "ana", "--url", &url],
        data.path(),
    ));
    ana.sees(&["welcome", "fresh"]).await;
    let mut bob = Talk::with(&mut xp(
        &["connect", "board/1", "--as", "bob", "--url", &url],
        data.path(),
    ));
    bob.sees(&["welcome", "fresh", "ana"]).await;
    ana.sees(&["event", "Joined", "bob"]).await;
    ana.types(RED).await;
    ana.sees(&["reply 1 ", "Drawn"]).await;
    bob.sees(&["event", "StrokeDrawn", "red"]).await;
    bob.types(BLUE).await;
    bob.sees(&["reply 1 ", "Drawn"]).await;
    ana.sees(&["event", "StrokeDrawn", "blue"]).await;
    bob.types(r#"?{"type":"Count"}"#).await;
    bob.sees(&["reply ?1 ", r#""strokes":2"#]).await;
    assert_eq!(ana.ends().await, Some(0));
    bob.sees(&["event", "Left", "ana"]).await;
    assert_eq!(bob.ends().await, Some(0));
    assert_eq!(server.terminate().await, Some(0));
}

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
