//! One broker: a Java process with a directory.

use crate::jars::Jars;
use crate::java;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use xp_background::{PidFile, Process, spawn, wait_for};

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
    java: Process,
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
        let mut leash = None;
        let java = pid_file(dir).start(|| match mode {
            Mode::Detached => spawn(&mut java(dir, jars, mode), open_log(dir)?),
            Mode::Leashed | Mode::Archiving(_) => {
                let shell = leash.insert(leashed(dir, &java(dir, jars, mode))?);
                printed_pid(shell)
            }
        })?;
        Ok(Self {
            java,
            leash,
            paused: false,
            log,
            log_from: usize::try_from(log_from)?,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.java.pid()
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
        self.java.pause()
    }

    pub(crate) fn resume(&mut self) -> Result<()> {
        self.paused = false;
        self.java.resume()
    }

    /// Whether it may be asked something; one that died by itself is not known here.
    pub(crate) fn answers(&self) -> bool {
        !self.paused
    }

    /// Ends it as a crash would, and returns when it is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.java.kill()?;
        self.wait_ended(SOON)
    }

    /// Lets it end by itself, or else kills it: it hands over what it leads and closes its files.
    pub(crate) fn stop(self) -> Result<()> {
        self.stop_within(POLITE)
    }

    pub(crate) fn stop_within(mut self, patience: Duration) -> Result<()> {
        self.java.ask_to_end()?;
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
            None => !self.java.runs(),
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

pub(crate) fn pid_file(dir: &Path) -> PidFile {
    PidFile::at(dir.join("pid"))
}

pub(crate) fn properties_path(dir: &Path) -> PathBuf {
    dir.join("server.properties")
}

fn open_log(dir: &Path) -> Result<File> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_path(dir));
    log.with_context(|| format!("cannot write a log in {}", dir.display()))
}

/// What runs the broker.
fn java(dir: &Path, jars: &Jars, mode: &Mode) -> Command {
    let mut java = Command::new(java::program());
    java.args(FLAGS)
        .args(mode.flag())
        .args(jars.flags())
        .arg("kafka.Kafka")
        .arg(properties_path(dir));
    java
}

/// In a process group of its own, so that Ctrl-C in a terminal reaches the broker through its leash only.
fn leashed(dir: &Path, java: &Command) -> Result<Child> {
    let shell = Command::new("sh")
        .args(["-c", LEASHED, "sh"])
        .arg(java.get_program())
        .args(java.get_args())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(open_log(dir)?)
        .process_group(0)
        .spawn();
    shell.context("cannot start sh")
}

fn printed_pid(shell: &mut Child) -> Result<u32> {
    let stdout = shell.stdout.take().context("the shell has no stdout")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let pid = line.trim().parse().ok();
    pid.with_context(|| format!("the shell printed no process id but `{}`", line.trim()))
}
