//! The platform in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use tempfile::TempDir;
use xp_runtime::config::secret_file;
use xp_runtime::{Grant, Secret};
use xp_transport::Clock;

use crate::figures::{GENERATOR_CORE, SERVER_CORE, cpu, pin_to};

/// The generator is one subject at one address, so their bounds are lifted; all others stay built in.
const LIMITS: &str = "[edge.limits.connections]\nper-subject = 100000\nper-address = 100000\n\
    [edge.limits.handshakes]\nper-second = 1000000\nburst = 10000000\nsubject-per-second = 1000000\nsubject-burst = 1000000\n\
    [edge.limits.rates]\nframes-per-second = 1000000\nframes-burst = 1000000\nsubject-frames-per-second = 10000000\n\
    subject-frames-burst = 10000000\n\
    subject-bytes-per-second = \"1 GiB\"\nsubject-bytes-burst = \"3 GiB\"\n[edge]\nlisten = \"127.0.0.1:0\"\n";

/// Bounds of a state node that are lifted for the same reason; sections of the file may be each benchmark's own.
const STATE_NODE: [(&str, &str); 2] = [
    ("XP__STATE_NODE__LIMITS__SESSIONS__PER_SUBJECT", "1000000"),
    (
        "XP__STATE_NODE__LIMITS__SESSIONS__ENTITIES_PER_SUBJECT",
        "10000000",
    ),
];

/// The folder in a home that a server writes.
pub(crate) const DATA: &str = "data";

/// In the environment of a process of this program that is a server of entities.
pub(crate) const HOSTS: &str = "XP_BENCH_HOSTS";

/// Where a server keeps what outlives it.
pub(crate) struct Home(TempDir);

impl Home {
    /// An empty one, on the disk that this was built on: /tmp is memory on many machines. `more` is appended to its configuration.
    pub(crate) fn new(more: &str) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(std::env::current_exe()?.with_file_name(""))?;
        fs::write(dir.path().join("xp.toml"), format!("{LIMITS}{more}"))?;
        Ok(Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where the server says that it listens, and a token that it accepts.
    pub(crate) fn door(&self, line: &str) -> Result<Door> {
        let secret = Secret::load_or_make(&secret_file(&self.path().join(DATA)))?;
        let token = secret.sign(&Grant::of("ana"), Clock::system().now());
        Ok(Door {
            addr: listening(line)?,
            token,
        })
    }
}

/// Where a server says that it listens.
pub(crate) fn listening(line: &str) -> Result<SocketAddr> {
    let addr = line.split("://").nth(1);
    let addr = addr.and_then(|rest| rest.split([' ', '\n']).next());
    let addr = addr.with_context(|| format!("no address in {line:?}"))?;
    Ok(addr.parse()?)
}

/// How to come in.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) addr: SocketAddr,
    pub(crate) token: String,
}

/// A running server. Dropped, it is killed.
pub(crate) struct Node {
    process: Process,
    pub(crate) door: Door,
}

/// A running process. Dropped, it is killed.
pub(crate) struct Process(Child);

impl Node {
    /// Starts a server and waits until it listens.
    pub(crate) fn start(home: &Home) -> Result<Self> {
        Self::start_with(home, &[])
    }

    /// The same with more in its environment.
    pub(crate) fn start_with(home: &Home, more: &[(&str, String)]) -> Result<Self> {
        pin_to(SERVER_CORE);
        let started = Process::start_with(home, &[], more);
        pin_to(GENERATOR_CORE);
        let (process, line) = started?;
        Ok(Self {
            process,
            door: home.door(&line)?,
        })
    }

    /// As by the kernel when memory is short: nothing is flushed.
    pub(crate) fn kill(self) -> Result<()> {
        self.process.kill()
    }

    /// User and system time so far, in seconds.
    pub(crate) fn cpu(&self) -> Result<f64> {
        self.process.cpu()
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<f64> {
        self.process.resident()
    }
}

impl Process {
    /// Starts a server with these words and waits for the first line that it prints.
    pub(crate) fn start(home: &Home, words: &[&str]) -> Result<(Self, String)> {
        Self::start_with(home, words, &[])
    }

    /// The same with more in its environment.
    pub(crate) fn start_with(
        home: &Home,
        words: &[&str],
        more: &[(&str, String)],
    ) -> Result<(Self, String)> {
        let (process, mut output) = Self::spawn(home, words, more)?;
        let line = next_line(&mut output, words)?;
        drain(output);
        Ok((process, line))
    }

    /// Starts this program with these words, not as a server of entities.
    pub(crate) fn start_bare(home: &Home, words: &[&str]) -> Result<(Self, String)> {
        let mut command = Command::new(std::env::current_exe()?);
        let (process, mut output) = Self::of(command.args(words).current_dir(home.path()))?;
        Ok((process, next_line(&mut output, words)?))
    }

    fn spawn(
        home: &Home,
        words: &[&str],
        more: &[(&str, String)],
    ) -> Result<(Self, BufReader<ChildStdout>)> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .env(HOSTS, "1")
            .envs(STATE_NODE)
            .args(words)
            .envs(more.iter().map(|(key, value)| (key, value)))
            .current_dir(home.path());
        Self::of(&mut command)
    }

    fn of(command: &mut Command) -> Result<(Self, BufReader<ChildStdout>)> {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.context("the server does not start")?;
        let stdout = child.stdout.take().context("its output is piped")?;
        Ok((Self(child), BufReader::new(stdout)))
    }

    /// Starts a program of others beside the generator. What it says goes to the end of a file.
    pub(crate) fn start_foreign(command: &mut Command, says: &Path) -> Result<Self> {
        let says = fs::File::options().create(true).append(true).open(says)?;
        pin_to(SERVER_CORE);
        let child = command
            .stdin(Stdio::null())
            .stdout(says.try_clone()?)
            .stderr(says)
            .spawn();
        pin_to(GENERATOR_CORE);
        let program = command.get_program().to_string_lossy();
        let child = child.with_context(|| format!("{program} does not start"))?;
        Ok(Self(child))
    }

    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    /// Starts a state node that answers over HTTP, and waits until it says that it is ready. It says before where it
    /// answers.
    pub(crate) fn start_answering(
        home: &Home,
        words: &[&str],
        more: &[(&str, String)],
    ) -> Result<(Self, SocketAddr)> {
        let mut more = more.to_vec();
        more.push(("XP__STATE_NODE__LISTEN", "127.0.0.1:0".to_owned()));
        let (process, mut output) = Self::spawn(home, words, &more)?;
        let answers = next_line(&mut output, words)?;
        next_line(&mut output, words)?;
        drain(output);
        let addr = answers.trim_end().rsplit("http://").next();
        let addr = addr.with_context(|| format!("no address in {answers:?}"))?;
        Ok((process, addr.parse()?))
    }

    pub(crate) fn kill(mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    pub(crate) fn cpu(&self) -> Result<f64> {
        cpu(self.0.id())
    }

    pub(crate) fn resident(&self) -> Result<f64> {
        resident(self.0.id())
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.0);
        Ok(kill_process(pid, signal)?)
    }

    /// Waits until it ends by itself, which must be in order.
    pub(crate) fn wait(mut self) -> Result<()> {
        let status = self.0.wait()?;
        anyhow::ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Raises the bound of open files to what is allowed, for this process and those that it starts.
pub(crate) fn allow_many_files() {
    let mut bound = getrlimit(Resource::Nofile);
    bound.current = bound.maximum;
    // Where it is not allowed, a workload that needs more says so.
    let _ = setrlimit(Resource::Nofile, bound);
}

fn resident(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .context("VmRSS stands in status")?;
    Ok(kib.parse::<f64>()? * 1024.0)
}

fn next_line(output: &mut BufReader<ChildStdout>, words: &[&str]) -> Result<String> {
    let mut line = String::new();
    if output.read_line(&mut line)? == 0 {
        bail!(
            "the server ended before it was ready; start `{HOSTS}=1 xp-bench {}` by hand and read what it says",
            words.join(" ")
        );
    }
    Ok(line)
}

/// Whatever else it prints must not fill the pipe.
fn drain(mut output: BufReader<ChildStdout>) {
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
}
