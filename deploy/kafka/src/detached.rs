//! Brokers that an earlier process started and left running, found by their pid files.

use crate::broker;
use crate::instructions;
use crate::properties::Ports;
use crate::security::Listener;
use anyhow::{Result, bail};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use xp_background::{PidFile, Process, Stopped, stop, wait_for};

/// How long brokers may take to end by themselves before they are killed.
const POLITE: Duration = Duration::from_secs(30);

/// A broker that serves answers in a few milliseconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// The brokers of one directory.
#[derive(Debug)]
pub struct Detached {
    dir: PathBuf,
    brokers: Vec<DetachedBroker>,
}

/// One of them.
#[derive(Debug)]
pub struct DetachedBroker {
    dir: PathBuf,
    pid_file: PidFile,
    port: Option<u16>,
}

impl Detached {
    /// What was started in this directory ([`Options::in_dir`](crate::Options::in_dir)), running or not.
    #[must_use]
    pub fn find(dir: &Path) -> Self {
        // Brokers were started with the full name.
        let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        let homes = (1..).map(|node| dir.join(format!("broker-{node}")));
        let homes = homes.take_while(|home| broker::properties_path(home).is_file());
        let brokers = homes.map(DetachedBroker::find).collect();
        Self { dir, brokers }
    }

    /// Where they keep their storage, settings and logs.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All of them, in order; none if nothing was ever started there.
    #[must_use]
    pub fn brokers(&self) -> &[DetachedBroker] {
        &self.brokers
    }

    /// How many of them run.
    #[must_use]
    pub fn running(&self) -> usize {
        let running = self.brokers.iter().filter(|broker| broker.pid().is_some());
        running.count()
    }

    /// `host:port` of every broker, separated by commas, without TLS and users.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let addresses = self.brokers.iter().filter_map(DetachedBroker::address);
        addresses.collect::<Vec<_>>().join(",")
    }

    /// What to paste into a shell to run the platform on them: a configuration, and the commands that it is for.
    #[must_use]
    pub fn instructions(&self) -> String {
        let addresses = self.brokers.iter().filter_map(DetachedBroker::address);
        instructions::page(&addresses.collect::<Vec<_>>(), &self.dir)
    }

    /// Waits until all of them answer; false when the time is over.
    #[must_use]
    pub fn answers_within(&self, within: Duration) -> bool {
        let all_answer = || self.brokers.iter().all(DetachedBroker::answers);
        wait_for(within, || all_answer().then_some(())).is_some()
    }

    /// Ends those that run: by SIGTERM, and after half a minute by SIGKILL. Returns how many it were.
    pub fn stop(&self) -> Result<usize> {
        let files: Vec<&PidFile> = self.brokers.iter().map(|broker| &broker.pid_file).collect();
        let stopped = stop(&files, POLITE)?;
        let ran = |stopped: &&Stopped| **stopped != Stopped::DidNotRun;
        Ok(stopped.iter().filter(ran).count())
    }
}

impl DetachedBroker {
    fn find(dir: PathBuf) -> Self {
        let properties = fs::read_to_string(broker::properties_path(&dir)).unwrap_or_default();
        let ports = Ports::parse(&properties, &[Listener::Plaintext]);
        let port = ports.and_then(|ports| ports.of(Listener::Plaintext));
        let pid_file = broker::pid_file(&dir);
        Self {
            dir,
            pid_file,
            port,
        }
    }

    /// Its process id, if it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid_file.running().as_ref().map(Process::pid)
    }

    /// Where it listens without TLS and users.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        self.port.map(|port| format!("127.0.0.1:{port}"))
    }

    /// Where it logs.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        broker::log_path(&self.dir)
    }

    /// Whether it answers Kafka's first question, which versions it speaks. A stopped process accepts connections too.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.port.is_some_and(|port| ask_versions(port).is_ok())
    }
}

fn ask_versions(port: u16) -> Result<()> {
    // Length, ApiVersions, version 0, correlation id, no client id.
    const QUESTION: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWERS_WITHIN)?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    stream.write_all(&QUESTION)?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer)?;
    if answer[4..] != QUESTION[8..12] {
        bail!("this is not Kafka");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_that_ran_once_are_shown_and_not_ended() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("broker-1");
        fs::create_dir_all(&home).unwrap();
        fs::write(broker::properties_path(&home), "").unwrap();
        // As an older build wrote it, for a process that has this test's number.
        fs::write(
            broker::pid_file(&home).path(),
            std::process::id().to_string(),
        )
        .unwrap();
        let found = Detached::find(dir.path());
        assert_eq!(found.brokers().len(), 1);
        assert_eq!(found.running(), 0);
        assert_eq!(found.stop().unwrap(), 0);
    }

    #[test]
    fn a_directory_where_nothing_was_started_has_no_brokers() {
        let dir = tempfile::tempdir().unwrap();
        let found = Detached::find(dir.path());
        assert!(found.brokers().is_empty());
        assert_eq!(found.bootstrap(), "");
    }

    #[test]
    fn a_listener_that_never_answers_is_no_broker() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let other = std::thread::spawn(move || drop(listener.accept()));
        assert!(ask_versions(port).is_err());
        other.join().unwrap();
    }
}
