//! Domain code that never returns, or ends its process, in a real process. What never returns stops its own partition, and
//! a person can see which entity and which message it was (R47); what ends the process is a fault after some deaths (R16).

use std::fs::File;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use xp_client::{Answer, Client, Handle, Options, Payload};
use xp_protocol::{Address, FaultCode};
use xplatform::runtime::Secret;
use xplatform::runtime::config::secret_file;

use crate::installation::Signer;
use crate::process::{PATIENCE, Process, program};

/// How many partitions `xp dev` has.
const PARTITIONS: u32 = 8;
/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(20);

struct Hanging {
    data: TempDir,
    process: Process,
    /// Where it answers over HTTP, and where clients come in.
    window: String,
    url: String,
}

impl Hanging {
    async fn start() -> Self {
        Self::start_on("127.0.0.1:0", tempfile::tempdir().unwrap()).await
    }

    /// The process has ended, and another one begins where it listened.
    async fn start_again(self) -> Self {
        let listen = self.url.strip_prefix("ws://").unwrap().to_owned();
        Self::start_on(&listen, self.data).await
    }

    async fn start_on(listen: &str, data: TempDir) -> Self {
        let mut command = program(env!("CARGO_BIN_EXE_xp-hanging"), data.path());
        command.args(["dev", "--listen", listen, "--data"]);
        command.arg(data.path());
        command.env("XP__STATE_NODE__LISTEN", "127.0.0.1:0");
        command.env("XP__STATE_NODE__STUCK", "500 ms");
        let messages = File::create(data.path().join("messages")).unwrap();
        let mut process = Process::spawn_telling(&mut command, messages.into());
        let said = process.says("state-node ").await;
        let window = said.rsplit("http://").next().unwrap().to_owned();
        let said = process.says("listening on ").await;
        let url = said.split(' ').next().unwrap().to_owned();
        Self {
            data,
            process,
            window,
            url,
        }
    }

    fn connect(&self, who: &str, counter: &Address) -> Handle {
        let secret = Secret::load(&secret_file(self.data.path())).unwrap();
        let tokens = Signer(secret.expect("xp dev makes one")).tokens(who);
        let options = Options::new(&self.url, counter.clone(), tokens);
        let (handle, mut items) = Client::connect(options).unwrap().split();
        tokio::spawn(async move { while items.next().await.is_some() {} });
        handle
    }

    /// What it answers over HTTP, head and body.
    async fn get(&self, path: &str) -> String {
        let asked = async {
            let mut socket = TcpStream::connect(&self.window).await.unwrap();
            let request = format!("GET {path} HTTP/1.0\r\nHost: test\r\n\r\n");
            socket.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            answer
        };
        timeout(PATIENCE, asked).await.expect("an answer")
    }

    /// Waits until `/status` says all of this.
    async fn status_says(&self, words: &[&str]) {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.get("/status").await;
            if words.iter().all(|word| status.contains(word)) {
                return;
            }
            assert!(Instant::now() < until, "not {words:?} in {status}");
            sleep(LOOK).await;
        }
    }

    /// What it has said on stderr so far.
    fn messages(&self) -> String {
        std::fs::read_to_string(self.data.path().join("messages")).unwrap()
    }

    /// The first signal: it has heard it.
    async fn terminate(&self) {
        self.process.signal("TERM").await;
        let until = Instant::now() + PATIENCE;
        while !self.messages().contains("draining;") {
            assert!(Instant::now() < until, "{}", self.messages());
            sleep(LOOK).await;
        }
    }
}

fn counter(number: u32) -> Address {
    format!("counter/{number}").parse().unwrap()
}

/// A counter on another partition than the first one.
fn elsewhere() -> Address {
    let partition = |counter: &Address| counter.partition(PARTITIONS);
    let others = (2..).map(counter);
    let mut others = others.filter(|other| partition(other) != partition(&counter(1)));
    others.next().expect("there is more than one partition")
}

async fn count(handle: &Handle) -> u64 {
    let payload = Payload::json("Count").unwrap();
    let answer = timeout(PATIENCE, handle.command_payload(payload)).await;
    answer.expect("an answer").unwrap().reply().unwrap()
}

async fn hang(handle: &Handle) {
    drop(handle.submit(Payload::json("Hang").unwrap()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decide_that_never_returns_stops_its_partition_alone_and_the_process_ends_in_time() {
    let mut hanging = Hanging::start().await;
    let (ana, ben) = (
        hanging.connect("ana", &counter(1)),
        hanging.connect("ben", &elsewhere()),
    );
    assert_eq!((count(&ana).await, count(&ben).await), (1, 1));
    hang(&ana).await;
    hanging
        .status_says(&["of inbound, for counter/1", "the message at offset"])
        .await;
    assert!(hanging.get("/live").await.starts_with("HTTP/1.1 200"));
    assert!(hanging.get("/ready").await.starts_with("HTTP/1.1 503"));
    assert_eq!(count(&ben).await, 2, "others go on");
    hanging.terminate().await;
    // Everything else was handed over in order, and what was stuck could not be.
    assert_eq!(hanging.process.ends().await, Some(0));
}

/// What was not stuck is handed over within milliseconds, so the first signal may have done all when the second one comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_domain_code_does_not_return_ends_at_a_second_signal_at_the_latest() {
    let mut hanging = Hanging::start().await;
    let ana = hanging.connect("ana", &counter(1));
    assert_eq!(count(&ana).await, 1);
    hang(&ana).await;
    hanging.status_says(&["for counter/1"]).await;
    hanging.terminate().await;
    hanging.process.signal("TERM").await;
    let code = hanging.process.ends().await;
    let messages = hanging.messages();
    let cut_short = messages.contains("before everything was drained");
    assert_eq!(code, Some(i32::from(cut_short)), "{messages}");
}

/// One unawares, one among others, four alone.
const DEATHS_MAX: usize = 6;

/// The log of a single process forgets `inbound` with it: the client sends its command again, and it is known by its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_ends_each_process_it_is_sent_to_is_answered_with_a_fault() {
    let mut hanging = Hanging::start().await;
    let ana = hanging.connect("ana", &counter(1));
    assert_eq!(count(&ana).await, 1);
    let abort = ana.submit(Payload::json("Abort").unwrap()).await.unwrap();
    let mut answer = std::pin::pin!(abort);
    let mut deaths = 0;
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer.unwrap(),
            _ = hanging.process.ends() => {
                deaths += 1;
                assert!(deaths <= DEATHS_MAX, "the command has no answer after {deaths} deaths");
                hanging = hanging.start_again().await;
            }
        }
    };
    let poisonous = matches!(
        &answer,
        Answer::Fault {
            code: FaultCode::Poisonous,
            ..
        }
    );
    assert!(poisonous && deaths > 2, "{answer:?} after {deaths} deaths");
    assert_eq!(count(&ana).await, 2, "the entity goes on");
}
