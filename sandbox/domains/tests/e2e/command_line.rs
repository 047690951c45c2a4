//! The output of the other subcommands.

use std::path::Path;

use crate::process::{Talk, run, xp};
use crate::server::Server;

async fn with_a_stroke(data: &Path) {
    let server = Server::start(data).await;
    let mut ana = Talk::with(&mut xp(
        &["connect", "board/1", "--url", &server.url()],
        data,
    ));
    ana.types(r#"{"type":"Draw","data":{"colour":"red","points":[[1,2]]}}"#)
        .await;
    ana.sees(&["reply 1 ", "Drawn"]).await;
    assert_eq!(ana.ends().await, Some(0));
    assert_eq!(server.terminate().await, Some(0));
}

#[tokio::test]
async fn the_log_is_shown_to_people_and_to_programs() {
    let data = tempfile::tempdir().unwrap();
    with_a_stroke(data.path()).await;
    let people = run(&["log", "show", "--address", "board/1"], data.path()).await;
    assert!(
        people.out.contains("commit board/1 revision 2"),
        "{}",
        people.out
    );
    assert!(
        people.out.contains(r#"events [{"type":"StrokeDrawn""#),
        "{}",
        people.out
    );
    let programs = run(&["log", "show", "--json"], data.path()).await;
    for line in programs.out.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["format"], "events", "{line}");
    }
    let cluster = run(&["log", "show", "--topic", "cluster"], data.path()).await;
    assert!(cluster.out.contains("Join"), "{}", cluster.out);
}

/// As `xp log show | head` does: it reads a little and goes.
#[tokio::test]
async fn a_reader_that_has_seen_enough_hears_no_complaint() {
    let data = tempfile::tempdir().unwrap();
    with_a_stroke(data.path()).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut show = xp(&["log", "show"], data.path());
    let child = show.stdout(writer).spawn().unwrap();
    drop(show);
    let ended = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), said.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn a_log_that_is_not_there_says_where_it_was_looked_for() {
    let data = tempfile::tempdir().unwrap();
    let ended = run(&["log", "show"], data.path()).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("there is no log in"), "{}", ended.err);
    with_a_stroke(data.path()).await;
    let ended = run(&["log", "show", "--topic", "mian.events"], data.path()).await;
    assert!(
        ended.err.contains("main.events with partitions 0 to 7"),
        "{}",
        ended.err
    );
}

#[tokio::test]
async fn a_configuration_that_can_be_used_is_said_to_be() {
    let data = tempfile::tempdir().unwrap();
    let ended = run(&["config", "check"], data.path()).await;
    assert_eq!(ended.out, "the configuration can be used\n");
    assert_eq!(ended.code, Some(0));
}

#[tokio::test]
async fn tokens_come_from_one_secret_that_is_made_once() {
    let data = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let ended = run(
            &["token", "--sub", "bob", "--claim", "roles=[\"cashier\"]"],
            data.path(),
        )
        .await;
        assert_eq!(ended.out.trim().split('.').count(), 3, "{}", ended.out);
    }
    assert!(data.path().join("development-secret").is_file());
}
