//! The instructions that `cargo xtask kafka start` prints, followed to the letter.

use std::path::Path;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::spawn_blocking;
use xp_local_kafka::{Detached, LocalKafka, Options};

use crate::process::{Process, Talk, end_of, program};
use crate::together::RED;

/// A shell in an empty directory, in which `xp` is found.
fn shell(dir: &Path, line: &str) -> Command {
    let mut shell = program("bash", dir);
    let xp = Path::new(env!("CARGO_BIN_EXE_xp")).parent().unwrap();
    let others = std::env::var("PATH").unwrap();
    shell
        .env("PATH", format!("{}:{others}", xp.display()))
        // The one that people know may be taken here.
        .env("XP__EDGE__LISTEN", "127.0.0.1:0")
        .args(["-e", "-c", line]);
    shell
}

/// A line that is to be pasted into a terminal of its own.
fn start(dir: &Path, printed: &str, task: &str) -> Process {
    let mut lines = printed.lines();
    let line = lines.find(|line| line.starts_with(&format!("xp {task} ")));
    Process::spawn(&mut shell(dir, &format!("exec {}", line.unwrap())))
}

async fn draws_at(dir: &Path, said: &str, strokes: usize) {
    let url = said.split_whitespace().find(|word| word.contains("://"));
    let connect = format!(
        "xp connect board/1 --as ana --config kafka.toml --url {}",
        url.unwrap()
    );
    let mut ana = Talk::with(&mut shell(dir, &connect));
    ana.sees(&["welcome", "fresh"]).await;
    ana.types(RED).await;
    ana.sees(&["reply 1 ", "Drawn"]).await;
    ana.types(r#"?{"type":"Count"}"#).await;
    ana.sees(&["reply ?1 ", &format!(r#""strokes":{strokes}"#)])
        .await;
    assert_eq!(ana.ends().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_started_kafka_prints_starts_the_platform() {
    let storage = tempfile::tempdir().unwrap();
    let options = Options::one().in_dir(storage.path());
    let kafka = spawn_blocking(|| LocalKafka::start(options));
    let kafka = kafka.await.unwrap().unwrap();
    let printed = Detached::find(kafka.dir()).instructions();
    let here: TempDir = tempfile::tempdir().unwrap();
    let here = here.path();

    let (first, _) = printed.split_once("\n\n# then").unwrap();
    let created = end_of(&mut shell(here, first)).await;
    assert_eq!(created.code, Some(0), "{printed}{}", created.err);
    assert_eq!(created.out.matches("made ").count(), 5, "{}", created.out);

    let mut node = start(here, &printed, "state-node");
    node.says("state-node ").await;
    let mut edge = start(here, &printed, "edge");
    draws_at(here, &edge.says("edge ").await, 1).await;
    assert_eq!(edge.terminate().await, Some(0));
    assert_eq!(node.terminate().await, Some(0));

    let mut dev = start(here, &printed, "dev");
    draws_at(here, &dev.says("listening on ").await, 2).await;
    assert_eq!(dev.terminate().await, Some(0));
    spawn_blocking(move || drop(kafka)).await.unwrap();
}
