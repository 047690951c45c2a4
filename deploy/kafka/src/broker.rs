//! One broker: a Java process with a directory.

use crate::jars::Jars;
use crate::java;
use crate::patience::wait_for;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Small heaps, because three brokers share a machine with what is tested.
const FLAGS: [&str; 3] = [
    "-Xmx384m",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
];

/// A broker that lives as long as a test starts with two thirds of the work when nothing is compiled for the long run.
const SHORT_LIVED: &str = "-XX:TieredStopAtLevel=1";

/// Java runs until it ends by itself or until our end of the pipe on stdin is closed: by us, or by the system when
/// this process is gone, however it went. The shell prints Java's process id and lives as long as Java.
const LEASHED: &str = r#"
exec 3<&0
"$@" </dev/null >&2 3<&- &
java=$!
(while read -r _; do :; done; kill -9 "$java") <&3 >/dev/null &
leash=$!
echo "$java"
exec 3<&- </dev/null >/dev/null
wait "$java"
kill -9 "$leash"
"#;

/// Java belongs to nobody; its process id is all there is.
const DETACHED: &str = r#"
"$@" </dev/null >&2 &
echo $!
"#;

/// The line by which a broker says that it serves.
const READY: &str = "Kafka Server started";

const PORT_TAKEN: &str = "Address already in use";

const LINES_SHOWN: usize = 30;

/// For what must happen at once, on a machine that may be busy.
const SOON: Duration = Duration::from_secs(20);

/// How long a broker may take to end by itself before it is killed.
const POLITE: Duration = Duration::from_secs(15);

/// How a broker is to live.
pub(crate) enum Mode {
    /// As long as its handle.
    Leashed,
    /// Until somebody ends it.
    Detached,
    /// As long as its handle; if it ends by itself, it leaves an archive of its classes there.
    Archiving(PathBuf),
}

impl Mode {
    fn script(&self) -> &'static str {
        match self {
            Self::Detached => DETACHED,
            Self::Leashed | Self::Archiving(_) => LEASHED,
        }
    }

    fn flag(&self) -> Option<OsString> {
        match self {
            Self::Leashed => Some(SHORT_LIVED.into()),
            Self::Detached => None,
            Self::Archiving(archive) => {
                let mut flag = OsString::from("-XX:ArchiveClassesAtExit=");
                flag.push(archive);
                Some(flag)
            }
        }
    }
}

/// A started broker.
pub(crate) struct Broker {
    pid: Pid,
    /// The shell that holds the leash.
    leash: Option<Child>,
    paused: bool,
    log: PathBuf,
    /// How long the log was before this start.
    log_from: usize,
}

impl Broker {
    /// Starts the broker whose `server.properties` are in this directory; it is not ready yet.
    pub(crate) fn start(dir: &Path, jars: &Jars, mode: &Mode) -> Result<Self> {
        let log = log_path(dir);
        let log_from = fs::metadata(&log).map_or(0, |log| log.len());
        let mut shell = shell(dir, jars, mode)?;
        let pid = printed_pid(&mut shell)?;
        fs::write(pid_path(dir), format!("{}\n", pid.as_raw_nonzero()))?;
        let detached = matches!(mode, Mode::Detached);
        if detached {
            shell
                .wait()
                .context("the shell that started Java is lost")?;
        }
        Ok(Self {
            pid,
            leash: (!detached).then_some(shell),
            paused: false,
            log,
            log_from: usize::try_from(log_from)?,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits until the broker serves; an error shows what it logged.
    pub(crate) fn wait_ready(&mut self, within: Duration) -> Result<()> {
        let decided = wait_for(within, || {
            let ready = self.logged().contains(READY);
            (ready || self.has_ended()).then_some(ready)
        });
        let problem = match decided {
            Some(true) => return Ok(()),
            Some(false) => "the broker ended while it started".to_owned(),
            None => format!("the broker did not say `{READY}` within {within:?}"),
        };
        bail!(
            "{problem}; {} ends with\n{}",
            self.log.display(),
            self.log_tail()
        )
    }

    /// Whether a port that was free when it was chosen is taken now.
    pub(crate) fn found_port_taken(&self) -> bool {
        self.logged().contains(PORT_TAKEN)
    }

    /// What this start logged.
    fn logged(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(log.get(self.log_from..).unwrap_or_default()).into_owned()
    }

    fn log_tail(&self) -> String {
        let logged = self.logged();
        let lines: Vec<&str> = logged.lines().collect();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }

    pub(crate) fn pause(&mut self) -> Result<()> {
        self.paused = true;
        self.signal(Signal::STOP)
    }

    pub(crate) fn resume(&mut self) -> Result<()> {
        self.paused = false;
        self.signal(Signal::CONT)
    }

    /// Whether it may be asked something; one that died by itself is not known here.
    pub(crate) fn answers(&self) -> bool {
        !self.paused
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid, signal)
            .with_context(|| format!("cannot send {signal:?} to process {}", self.pid()))
    }

    /// Ends it as a crash would, and returns when it is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        if !self.has_ended() {
            self.signal(Signal::KILL)?;
        }
        self.wait_ended(SOON)
    }

    /// Lets it end by itself, or else kills it: it hands over what it leads and closes its files.
    pub(crate) fn stop(self) -> Result<()> {
        self.stop_within(POLITE)
    }

    pub(crate) fn stop_within(mut self, patience: Duration) -> Result<()> {
        if !self.has_ended() {
            self.signal(Signal::TERM)?;
            // A paused one hears it when it goes on.
            self.resume()?;
        }
        match self.wait_ended(patience) {
            Ok(()) => Ok(()),
            Err(_) => self.kill(),
        }
    }

    fn wait_ended(&mut self, within: Duration) -> Result<()> {
        wait_for(within, || self.has_ended().then_some(()))
            .with_context(|| format!("process {} does not end", self.pid()))
    }

    fn has_ended(&mut self) -> bool {
        match &mut self.leash {
            Some(shell) => shell.try_wait().is_ok_and(|ended| ended.is_some()),
            None => test_kill_process(self.pid).is_err(),
        }
    }
}

impl Drop for Broker {
    /// Closing the pipe lets go of the leash. A detached broker stays.
    fn drop(&mut self) {
        if let Some(mut shell) = self.leash.take() {
            drop(shell.stdin.take());
            let _ = shell.wait();
        }
    }
}

pub(crate) fn log_path(dir: &Path) -> PathBuf {
    dir.join("broker.log")
}

pub(crate) fn pid_path(dir: &Path) -> PathBuf {
    dir.join("pid")
}

pub(crate) fn properties_path(dir: &Path) -> PathBuf {
    dir.join("server.properties")
}

/// In a process group of its own, so that Ctrl-C in a terminal reaches the broker through its leash only.
fn shell(dir: &Path, jars: &Jars, mode: &Mode) -> Result<Child> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_path(dir));
    let shell = Command::new("sh")
        .args(["-c", mode.script(), "sh"])
        .arg(java::program())
        .args(FLAGS)
        .args(mode.flag())
        .args(jars.flags())
        .arg("kafka.Kafka")
        .arg(properties_path(dir))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log.with_context(|| format!("cannot write a log in {}", dir.display()))?)
        .process_group(0)
        .spawn();
    shell.context("cannot start sh")
}

fn printed_pid(shell: &mut Child) -> Result<Pid> {
    let stdout = shell.stdout.take().context("the shell has no stdout")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let pid = line.trim().parse().ok().and_then(Pid::from_raw);
    pid.with_context(|| format!("the shell printed no process id but `{}`", line.trim()))
}
