//! Errors of `xp` for bad input: each message says what to do, and scripts see a code that is not 0.

use std::path::Path;

use xp_protocol::TimeMs;
use xplatform::runtime::config::secret_file;
use xplatform::runtime::{Grant, Secret};

use crate::process::{Ended, bare, end_of, run, xp};
use crate::server::Server;

/// It ended with `code`, and what it said holds all of `parts`.
fn refused(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.err);
    for part in parts {
        assert!(ended.err.contains(part), "no {part:?} in: {}", ended.err);
    }
}

async fn dev(data: &Path) -> Ended {
    run(&["dev", "--listen", "127.0.0.1:0"], data).await
}

#[tokio::test]
async fn a_wrong_file_is_named_with_the_key_and_what_to_write() {
    let data = tempfile::tempdir().unwrap();
    for (toml, says) in [
        (
            "[edge]\nlistn = \"x\"",
            &["edge.listn in xp.toml", "Did you mean \"listen\"?"][..],
        ),
        (
            "[edge]\nlisten = \"home\"",
            &["edge.listen in xp.toml", "as in 127.0.0.1:7400"],
        ),
        ("edge = 5", &["edge in xp.toml", "must be a table of keys"]),
        (
            "[log]\nsegment-size = \"big\"",
            &["log.segment-size in xp.toml", "as in"],
        ),
        ("[edge", &["xp.toml: is not TOML", "line 1"]),
        (
            "[lanes.main]\npartitions = 0",
            &["lanes.main.partitions", "at least 1"],
        ),
        (
            "[lanes.main]\ncategories = [\"bord\"]",
            &["lanes.main.categories", "\"bord\""],
        ),
    ] {
        std::fs::write(data.path().join("xp.toml"), toml).unwrap();
        // Without --listen, which would win over the file.
        refused(&run(&["dev"], data.path()).await, 1, says);
        refused(&run(&["config", "check"], data.path()).await, 1, says);
    }
}

#[tokio::test]
async fn a_missing_file_and_a_wrong_variable_are_named() {
    let data = tempfile::tempdir().unwrap();
    let ended = run(&["dev", "--config", "nowhere.toml"], data.path()).await;
    refused(
        &ended,
        1,
        &[
            "nowhere.toml: cannot be read",
            "check the path, or leave --config out",
        ],
    );
    let ended = end_of(xp(&["dev"], data.path()).env("XP__EDGE__LISTN", "x")).await;
    refused(&ended, 1, &["$XP__EDGE__LISTN", "Did you mean \"listen\"?"]);
    let ended = end_of(xp(&["dev"], data.path()).env("XP__EDGE__LISTEN", "x")).await;
    refused(&ended, 1, &["$XP__EDGE__LISTEN", "as in 127.0.0.1:7400"]);
}

#[tokio::test]
async fn words_that_make_no_sense_are_answered_with_how_to_write_them() {
    let data = tempfile::tempdir().unwrap();
    for (words, says) in [
        (&["dance"][..], "--help"),
        (&["dev", "--listen", "7400"], "as in 127.0.0.1:7400"),
        (&["connect", "board"], "category/id"),
        (&["token", "--ttl", "soon"], "as in \"500ms\""),
        (&["token", "--claim", "role"], "as in role=seller"),
        (
            &["log", "show", "--partition", "x"],
            "a number counted from 0",
        ),
    ] {
        let ended = end_of(bare(data.path()).args(words)).await;
        refused(&ended, 2, &[says]);
    }
}

#[tokio::test]
async fn a_taken_port_says_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let ended = run(&["dev", "--listen", &listen], data.path()).await;
    refused(
        &ended,
        1,
        &[
            &format!("{listen} is taken"),
            "choose another address with --listen",
        ],
    );
    // An address for documentation (RFC 5737), which no machine has.
    let ended = run(&["dev", "--listen", "192.0.2.1:7400"], data.path()).await;
    refused(
        &ended,
        1,
        &["192.0.2.1:7400", "choose an address of this machine"],
    );
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused_and_the_first_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    let ended = dev(data.path()).await;
    let holder = format!("in use by process {}", server.id());
    refused(
        &ended,
        1,
        &[&holder, "stop that process, or choose another directory"],
    );
    let words = ["connect", "board/1", "--url", &server.url()];
    assert_eq!(run(&words, data.path()).await.code, Some(0));
    assert_eq!(server.terminate().await, Some(0));
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for data in [
        file.as_path(),
        &file.join("below"),
        Path::new("/dev/null/data"),
    ] {
        let words = ["dev", "--listen", "127.0.0.1:0", "--data"];
        let ended = end_of(bare(dir.path()).args(words).arg(data)).await;
        refused(
            &ended,
            1,
            &[&data.display().to_string(), "choose another data directory"],
        );
    }
}

/// Root may write what is read-only, so this is the part of it that holds for everybody: a log that is no directory.
#[tokio::test]
async fn a_log_that_cannot_be_written_says_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("log"), "").unwrap();
    refused(
        &dev(data.path()).await,
        1,
        &["make sure that its directory exists, can be written"],
    );
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("snapshots"), "").unwrap();
    refused(
        &dev(data.path()).await,
        1,
        &["can be written", "or choose another directory with --data"],
    );
}

#[tokio::test]
async fn a_token_that_is_not_accepted_ends_a_pipe_with_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    let secret = Secret::load(&secret_file(data.path()))
        .unwrap()
        .expect("xp dev makes one");
    let expired = secret.sign(&Grant::of("ana"), TimeMs(0));
    for (token, says) in [
        (
            "nonsense",
            &["4001 bad-token", "take a token that the platform accepts"],
        ),
        (&expired, &["4404 token-expired", "take a fresh token"]),
    ] {
        let words = [
            "connect",
            "board/1",
            "--patience",
            "1s",
            "--token",
            token,
            "--url",
            &server.url(),
        ];
        refused(&run(&words, data.path()).await, 1, says);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let words = ["connect", "board/1", "--url", &server.url()];
    refused(
        &run(&words, elsewhere.path()).await,
        1,
        &["no token was given", "pass --token"],
    );
}

#[tokio::test]
async fn an_unknown_category_ends_a_pipe_with_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    let words = ["connect", "bord/1", "--url", &server.url()];
    let says = [
        "4006 unknown-address",
        "nothing of this category is hosted",
        "`xp dev` prints what is",
    ];
    refused(&run(&words, data.path()).await, 1, &says);
}

#[tokio::test]
async fn a_platform_that_is_not_there_is_not_waited_for_for_ever() {
    let data = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("ws://{free}");
    let words = [
        "connect",
        "board/1",
        "--token",
        "any",
        "--url",
        &url,
        "--patience",
        "300ms",
    ];
    refused(
        &run(&words, data.path()).await,
        1,
        &["is the platform running there?"],
    );
    let words = ["connect", "board/1", "--token", "any", "--url", "http://x"];
    refused(
        &run(&words, data.path()).await,
        1,
        &["such as wss://example.com"],
    );
}
