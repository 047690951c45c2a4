//! Certificates and keys that are rolled while `xp` serves, as people and Kubernetes roll them: who is connected
//! stays, who comes meets the new ones.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep};
use xp_transport::Clock;
use xplatform::runtime::{Grant, Secret};

use crate::process::{PATIENCE, Process, Talk, bare, end_of, program};

const RED: &str = r#"{"type":"Draw","data":{"colour":"red","points":[[1,2]]}}"#;
/// Files are looked at so often that nobody waits for it, or never by itself.
const OFTEN: &str = "50ms";
const NEVER: &str = "1h";

/// Writes a certificate of this machine, and its key.
fn write_certificate(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(dir.join("tls.crt"), cert.pem()).unwrap();
    fs::write(dir.join("tls.key"), signing_key.serialize_pem()).unwrap();
}

/// A running `xp dev` over TLS, and the files that it reads.
struct Rolled {
    dir: TempDir,
    process: Process,
    port: String,
}

impl Rolled {
    /// The first certificate and the first secret, in a folder that a symbolic link leads to.
    fn prepared(reread: &str) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let first = dir.path().join("first");
        write_certificate(&first);
        Secret::load_or_make(&first.join("secret")).unwrap();
        symlink(&first, dir.path().join("mounted")).unwrap();
        let files = dir.path().join("mounted");
        let file = |name| files.join(name);
        let (certificate, key, secret) = (file("tls.crt"), file("tls.key"), file("secret"));
        let written = format!(
            "[edge]\nlisten = \"127.0.0.1:0\"\ntls = {{ certificate = {certificate:?}, key = {key:?} }}\n\
             [edge.tokens]\nkeys = [{{ secret-file = {secret:?} }}]\n[edge.timing.keys]\nreread = {reread:?}\n"
        );
        fs::write(dir.path().join("xp.toml"), written).unwrap();
        dir
    }

    /// Without a terminal, wherever the tests run.
    async fn start(reread: &str) -> Self {
        let dir = Self::prepared(reread);
        let mut command = program("setsid", dir.path());
        command.arg(env!("CARGO_BIN_EXE_xp"));
        Self::greeted(command, dir).await
    }

    async fn greeted(mut command: Command, dir: TempDir) -> Self {
        command
            .arg("dev")
            .arg("--data")
            .arg(dir.path().join("data"));
        let messages = File::create(dir.path().join("messages")).unwrap();
        command.env("RUST_LOG", "info");
        let mut process = Process::spawn_telling(&mut command, messages.into());
        let first = process.says("listening on wss://127.0.0.1:").await;
        let port = first.split(' ').next().unwrap().to_owned();
        Self { dir, process, port }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `xp connect` that trusts this certificate alone, with a token by this secret.
    fn connect(&self, trusted: &str, secret: &str, patience: &str) -> Command {
        let secret = Secret::load(&self.path(secret)).unwrap().unwrap();
        let token = secret.sign(&Grant::of("ana"), Clock::system().now());
        let url = format!("wss://localhost:{}", self.port);
        let mut command = bare(self.dir.path());
        command.args(["connect", "board/1", "--patience", patience, "--url", &url]);
        command.env("XP_TOKEN", token);
        command.env("SSL_CERT_FILE", self.path(trusted).join("tls.crt"));
        command
    }

    /// Comes in as soon as that certificate is shown to who comes.
    async fn comes_in(&self, trusted: &str, secret: &str) -> Talk {
        let mut talk = Talk::with(&mut self.connect(trusted, secret, "30s"));
        talk.sees(&["welcome"]).await;
        talk
    }

    async fn is_refused(&self, trusted: &str, secret: &str) -> String {
        let ended = end_of(&mut self.connect(trusted, secret, "500ms")).await;
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        ended.err
    }

    /// As a mounted secret is updated: the link leads elsewhere from one moment to the next.
    fn mount(&self, name: &str) {
        let new = self.path("new");
        symlink(self.path(name), &new).unwrap();
        fs::rename(new, self.path("mounted")).unwrap();
    }

    /// How many lines of the log have all of this.
    fn told(&self, parts: &[&str]) -> usize {
        let has = |line: &&str| parts.iter().all(|part| line.contains(part));
        self.messages().lines().filter(has).count()
    }

    fn messages(&self) -> String {
        fs::read_to_string(self.path("messages")).unwrap()
    }

    async fn tells(&self, parts: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        while self.told(parts) == 0 {
            let in_time = Instant::now() < deadline;
            assert!(in_time, "no {parts:?} in {}", self.messages());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The socket that came in first answers, and is the same.
async fn lives_on(talk: &mut Talk, n: usize) {
    talk.types(RED).await;
    talk.sees(&[&format!("reply {n} "), "Drawn"]).await;
    let welcomes = talk.seen.iter().filter(|line| line.contains("welcome"));
    assert_eq!(welcomes.count(), 1, "{:#?}", talk.seen);
}

#[tokio::test]
async fn a_certificate_that_is_mounted_anew_meets_who_comes_and_who_is_there_stays() {
    let rolled = Rolled::start(OFTEN).await;
    let mut ana = rolled.comes_in("first", "first/secret").await;
    write_certificate(&rolled.path("second"));
    fs::copy(rolled.path("first/secret"), rolled.path("second/secret")).unwrap();
    rolled.mount("second");
    let ben = rolled.comes_in("second", "first/secret").await;
    rolled.is_refused("first", "first/secret").await;
    lives_on(&mut ana, 1).await;
    assert_eq!(ana.ends().await, Some(0));
    assert_eq!(ben.ends().await, Some(0));
    assert_eq!(rolled.process.terminate().await, Some(0));
}

#[tokio::test]
async fn sighup_reads_certificates_at_once_and_a_broken_one_changes_nothing() {
    let rolled = Rolled::start(NEVER).await;
    let mut ana = rolled.comes_in("first", "first/secret").await;
    write_certificate(&rolled.path("second"));
    let roll = |name: &str| {
        fs::copy(
            rolled.path("second").join(name),
            rolled.path("first").join(name),
        )
        .unwrap();
    };
    fs::create_dir(rolled.path("former")).unwrap();
    fs::copy(rolled.path("first/tls.crt"), rolled.path("former/tls.crt")).unwrap();
    // Half of it: a certificate without its key.
    roll("tls.crt");
    rolled.process.signal("HUP").await;
    let refusal = ["ERROR", "edge.tls", "cannot be used", "stays in use"];
    rolled.tells(&refusal).await;
    let ben = rolled.comes_in("former", "first/secret").await;
    lives_on(&mut ana, 1).await;
    roll("tls.key");
    rolled.process.signal("HUP").await;
    rolled.tells(&["edge.tls", "is in use from now on"]).await;
    let cleo = rolled.comes_in("second", "first/secret").await;
    rolled.is_refused("former", "first/secret").await;
    lives_on(&mut ana, 2).await;
    assert_eq!(rolled.told(&refusal), 1);
    for talk in [ana, ben, cleo] {
        assert_eq!(talk.ends().await, Some(0));
    }
    assert_eq!(rolled.process.terminate().await, Some(0));
}

#[tokio::test]
async fn a_secret_that_is_rolled_ends_the_sockets_of_the_old_one_and_a_broken_one_ends_none() {
    let rolled = Rolled::start(OFTEN).await;
    let mut ana = rolled.comes_in("first", "first/secret").await;
    fs::create_dir(rolled.path("kept")).unwrap();
    fs::copy(rolled.path("first/secret"), rolled.path("kept/first")).unwrap();
    Secret::load_or_make(&rolled.path("kept/second")).unwrap();
    fs::write(rolled.path("first/secret"), "too short").unwrap();
    let refusal = ["ERROR", "edge.tokens.keys", "at least 32 bytes"];
    rolled.tells(&refusal).await;
    lives_on(&mut ana, 1).await;
    fs::copy(rolled.path("kept/second"), rolled.path("first/secret")).unwrap();
    rolled
        .tells(&["edge.tokens.keys", "is in use from now on"])
        .await;
    let ben = rolled.comes_in("first", "kept/second").await;
    rolled
        .tells(&["closed a connection", "token-expired"])
        .await;
    let refused = rolled.is_refused("first", "kept/first").await;
    assert!(refused.contains("4001 bad-token"), "{refused}");
    drop(ana);
    assert_eq!(ben.ends().await, Some(0));
    assert_eq!(rolled.told(&refusal), 1);
    assert_eq!(rolled.process.terminate().await, Some(0));
}

/// `setsid --ctty` makes what stdin is the terminal of the process, which hears of its end.
#[tokio::test]
async fn a_terminal_that_is_gone_lets_the_process_drain() {
    // The process may not hold its own terminal open.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let keyboard = openpt(flags).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let name = ptsname(&keyboard, Vec::new()).unwrap();
    let inside = File::open(name.to_str().unwrap()).unwrap();
    let dir = Rolled::prepared(NEVER);
    // Also where these tests themselves run behind `nohup`.
    let mut command = program("env", dir.path());
    command.args([
        "--default-signal=HUP",
        "setsid",
        "--ctty",
        env!("CARGO_BIN_EXE_xp"),
    ]);
    command.stdin(Stdio::from(inside));
    let mut rolled = Rolled::greeted(command, dir).await;
    let ana = rolled.comes_in("first", "first/secret").await;
    drop(keyboard);
    assert_eq!(rolled.process.ends().await, Some(0));
    assert_eq!(rolled.told(&["closed a connection", "draining"]), 1);
    drop(ana);
}
