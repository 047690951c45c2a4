//! One build of a domain after the other: what the second cannot read is found before it is deployed, waits while it runs,
//! and is there with the third.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;
use xp_client::machine::Settings;
use xp_client::{Client, Item, Lost, Options, Tokens};
use xp_protocol::CloseCode;
use xp_transport::Clock;
use xplatform::runtime::config::secret_file;
use xplatform::runtime::{Grant, Secret};

use crate::process::{Ended, PATIENCE, Process, end_of, program};
use crate::server::Server;

const BOOK: &str = "notebook/1";
/// When it reminds: after the first build is gone.
const REMINDS_AFTER_MS: u64 = 6_000;

/// The same installation through all builds.
struct Site {
    data: TempDir,
    listen: String,
}

/// A build that runs, and where its state node answers.
struct Running {
    server: Server,
    window: String,
}

fn notebook(build: &str, data: &Path) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_xp-notebook"), data);
    command.env("NOTEBOOK_BUILD", build);
    command
}

impl Site {
    fn new() -> Self {
        Self {
            data: tempfile::tempdir().unwrap(),
            listen: "127.0.0.1:0".to_owned(),
        }
    }

    async fn deploy(&mut self, build: &str) -> Running {
        let mut command = notebook(build, self.data.path());
        command.args(["dev", "--listen", &self.listen, "--data"]);
        command.arg(self.data.path());
        command.env("XP__STATE_NODE__LISTEN", "127.0.0.1:0");
        let mut process = Process::spawn(&mut command);
        let said = process.says("state-node ").await;
        let window = said.rsplit_once("http://").expect("it says where").1;
        let server = Server::greeted(process).await;
        self.listen = server.addr.to_string();
        Running {
            server,
            window: window.to_owned(),
        }
    }

    async fn run(&self, build: &str, words: &[&str]) -> Ended {
        let mut command = notebook(build, self.data.path());
        end_of(command.args(words).arg("--data").arg(self.data.path())).await
    }

    /// What `xp entity` says.
    async fn entity(&self, of: &Running, word: &str) -> Ended {
        self.run("second", &["entity", word, BOOK, "--at", &of.window])
            .await
    }

    fn client(&self, entity: &str) -> Client {
        let secret = Secret::load(&secret_file(self.data.path())).unwrap();
        let token = secret
            .expect("xp dev makes one")
            .sign(&Grant::of("ana"), Clock::system().now());
        let url = format!("ws://{}", self.listen);
        let options = Options {
            settings: Settings {
                backoff_max_ms: 200,
                ..Settings::default()
            },
            ..Options::new(url, entity.parse().unwrap(), Tokens::from(token))
        };
        Client::connect(options).unwrap()
    }
}

async fn next(client: &mut Client) -> Item {
    let item = timeout(PATIENCE, client.next()).await;
    item.expect("something happens").expect("it is not over")
}

/// Says it all, in this order, and waits for the answers.
async fn say(client: &Client, words: &[Value]) {
    for word in words {
        let answer = timeout(PATIENCE, client.handle().command(word)).await;
        answer.expect("an answer").unwrap();
    }
}

fn write(line: &str) -> Value {
    json!({"type": "Write", "data": {"line": line}})
}

fn tell(line: &str) -> Value {
    json!({"type": "Tell", "data": {"notebook": "1", "line": line}})
}

/// The lines that a notebook shows first, once it lets in.
async fn welcomed(client: &mut Client) -> Vec<String> {
    loop {
        if let Item::Welcome { shown, .. } = next(client).await {
            return serde_json::from_slice(&shown.bytes).unwrap();
        }
    }
}

async fn lines(site: &Site) -> Vec<String> {
    welcomed(&mut site.client(BOOK)).await
}

/// Waits until it is so; each look takes a while of its own.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let seen = timeout(PATIENCE, async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
        }
    });
    seen.await.expect("it comes to be so")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_build_cannot_read_is_told_before_it_runs_waits_while_it_does_and_is_there_after_it()
{
    let mut site = Site::new();
    let first = site.deploy("first").await;
    let ana = site.client(BOOK);
    let remind = json!({"type": "Remind", "data": {"after_ms": REMINDS_AFTER_MS, "line": "tea"}});
    let soonest = Clock::system().now().plus_ms(REMINDS_AFTER_MS);
    say(&ana, &[write("one"), remind]).await;
    let latest = Clock::system().now().plus_ms(REMINDS_AFTER_MS);
    drop(ana);
    first.server.kill().await;
    assert!(
        Clock::system().now() < soonest,
        "this machine is too slow for a test of timers"
    );

    verified(&site).await;

    // Only without snapshots is there anything to be read that it cannot read.
    std::fs::remove_dir_all(site.data.path().join("snapshots")).unwrap();
    let second = site.deploy("second").await;
    let mut ana = site.client(BOOK);
    let four = tokio::spawn({
        let handle = ana.handle();
        async move { handle.command(&write("four")).await }
    });
    let sent_away = next(&mut ana).await;
    let code = CloseCode::Quarantined.number();
    assert_eq!(code, 4408);
    assert!(
        matches!(sent_away, Item::Lost { why: Lost::Code(number, _), .. } if number == code),
        "{sent_away:?}"
    );
    let back = tokio::spawn(async move { welcomed(&mut ana).await });
    let ben = site.client("notebook/2");
    say(&ben, &[tell("two"), tell("three"), write("mine")]).await;
    waits(&site, &second).await;
    until(async || {
        let retried = site.entity(&second, "retry").await;
        assert_eq!(retried.code, Some(1), "{}", retried.out);
        assert!(
            retried.err.contains("is still in quarantine"),
            "{}",
            retried.err
        );
        (Clock::system().now() > latest).then_some(())
    })
    .await;
    waits(&site, &second).await;
    assert_eq!(second.server.terminate().await, Some(0));

    let third = site.deploy("third").await;
    until(async || (lines(&site).await.len() == 5).then_some(())).await;
    let mut all = lines(&site).await;
    // Her own came when she was let in, which is when it may.
    all.retain(|line| line != "four");
    assert_eq!(all, ["one", "two", "three", "tea"]);
    back.await.expect("she came back by herself");
    let four = timeout(PATIENCE, four).await.expect("an answer").unwrap();
    assert!(four.unwrap().reply::<usize>().is_ok());
    let shown = site.entity(&third, "retry").await;
    assert_eq!((shown.code, shown.err.as_str()), (Some(0), ""));
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(
        (&shown["quarantine"], &shown["parked_count"]),
        (&Value::Null, &json!(0))
    );
    assert_eq!(third.server.terminate().await, Some(0));
}

/// Each build says whether it reads what the first one wrote, and nothing runs.
async fn verified(site: &Site) {
    let verify = ["log", "verify"];
    let first = site.run("first", &verify).await;
    assert_eq!(first.code, Some(0), "{}{}", first.out, first.err);
    assert!(
        first
            .out
            .contains("this binary reads all of it: 8 partitions"),
        "{}",
        first.out
    );
    let second = site.run("second", &verify).await;
    assert_eq!(second.code, Some(1), "{}", second.out);
    for part in [
        "notebook/1: from offset ",
        "(revision 2)",
        "unknown variant `Written`",
    ] {
        assert!(second.out.contains(part), "{}", second.out);
    }
    assert!(
        second.err.contains("cannot read 1 of 1 entity"),
        "{}",
        second.err
    );
    let third = site.run("third", &verify).await;
    assert_eq!(third.code, Some(0), "{}{}", third.out, third.err);
}

/// What waits and why, for people.
async fn waits(site: &Site, second: &Running) {
    let shown = until(async || {
        let shown = site.entity(second, "show").await;
        assert_eq!(shown.code, Some(0), "{}", shown.err);
        let shown: Value = serde_json::from_str(&shown.out).unwrap();
        (shown["parked_count"] == json!(2)).then_some(shown)
    })
    .await;
    let reason = shown["quarantine"]["reason"].as_str().unwrap();
    assert!(reason.contains("unknown variant `Written`"), "{shown:#}");
    let parked = shown["parked"].as_array().unwrap().iter();
    let parked: Vec<_> = parked.map(|what| what.as_str().unwrap()).collect();
    for (what, line) in parked.iter().zip(["two", "three"]) {
        assert!(
            what.contains("notebook/2") && what.contains(line),
            "{shown:#}"
        );
    }
    assert!(
        shown["timers"].to_string().contains("reminder"),
        "{shown:#}"
    );
}

#[tokio::test]
async fn a_verification_that_cannot_be_made_is_neither_a_yes_nor_a_no() {
    let site = Site::new();
    let ended = site.run("first", &["log", "verify"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("there is no log in"), "{}", ended.err);
    let ended = site
        .run("first", &["log", "verify", "--memory", "much"])
        .await;
    assert_eq!(ended.code, Some(2));
}
