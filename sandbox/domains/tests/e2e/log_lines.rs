//! A server whose messages nobody takes: it serves and ends as ever.

use std::fs::File;
use std::io::pipe;
use std::path::Path;
use std::process::Stdio;

use crate::process::{Talk, xp};
use crate::server::Server;

const RED: &str = r#"{"type":"Draw","data":{"colour":"red","points":[[1,2]]}}"#;
/// What is logged of them is far more than a pipe holds.
const STROKES: usize = 200;

/// Draws, is answered each time, and sends the server home, which hands over in order.
async fn serves_and_ends(messages: Stdio, data: &Path) {
    let server = Server::start_telling(messages, data).await;
    let url = server.url();
    let mut ana = Talk::with(&mut xp(&["connect", "board/1", "--url", &url], data));
    for n in 1..=STROKES {
        ana.types(RED).await;
        ana.sees(&[&format!("reply {n} "), "Drawn"]).await;
    }
    assert_eq!(ana.ends().await, Some(0));
    assert_eq!(server.terminate().await, Some(0));
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_stops_nobody() {
    let data = tempfile::tempdir().unwrap();
    let (reader, writer) = pipe().unwrap();
    serves_and_ends(writer.into(), data.path()).await;
    drop(reader);
}

#[tokio::test]
async fn a_pipe_whose_reader_is_gone_stops_nobody() {
    let data = tempfile::tempdir().unwrap();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    serves_and_ends(writer.into(), data.path()).await;
}

#[tokio::test]
async fn a_disk_that_is_full_stops_nobody() {
    let data = tempfile::tempdir().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    serves_and_ends(full.into(), data.path()).await;
}
