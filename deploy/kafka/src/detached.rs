//! Brokers that an earlier process started and left running, found by the process ids that it wrote down.

use crate::broker;
use crate::instructions;
use crate::patience::wait_for;
use crate::properties::Ports;
use crate::security::Listener;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long brokers may take to end by themselves before they are killed.
const POLITE: Duration = Duration::from_secs(30);

const KILLED: Duration = Duration::from_secs(10);

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
    pid: Option<Pid>,
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
        let running = self.running();
        self.signal(Signal::TERM)?;
        if !self.end_within(POLITE) {
            self.signal(Signal::KILL)?;
            if !self.end_within(KILLED) {
                bail!("a broker does not end although it was killed: {self:?}");
            }
        }
        for broker in &self.brokers {
            let _ = fs::remove_file(broker::pid_path(&broker.dir));
        }
        Ok(running)
    }

    /// A process that was stopped where it is hears this when it goes on.
    fn signal(&self, signal: Signal) -> Result<()> {
        for pid in self.brokers.iter().filter_map(DetachedBroker::process) {
            for signal in [signal, Signal::CONT] {
                kill_process(pid, signal)
                    .or_else(|error| {
                        let is_gone = error == rustix::io::Errno::SRCH;
                        is_gone.then_some(()).ok_or(error)
                    })
                    .with_context(|| format!("cannot send {signal:?} to {pid:?}"))?;
            }
        }
        Ok(())
    }

    fn end_within(&self, within: Duration) -> bool {
        wait_for(within, || (self.running() == 0).then_some(())).is_some()
    }
}

impl DetachedBroker {
    fn find(dir: PathBuf) -> Self {
        let pid = fs::read_to_string(broker::pid_path(&dir)).ok();
        let pid = pid.and_then(|pid| Pid::from_raw(pid.trim().parse().ok()?));
        let properties = fs::read_to_string(broker::properties_path(&dir)).unwrap_or_default();
        let ports = Ports::parse(&properties, &[Listener::Plaintext]);
        let port = ports.and_then(|ports| ports.of(Listener::Plaintext));
        Self { dir, pid, port }
    }

    /// Its process id, if it runs. A process that got the same number later is none of ours: its command line does not
    /// name our directory.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let pid = self.process()?;
        Some(pid.as_raw_nonzero().get().unsigned_abs())
    }

    fn process(&self) -> Option<Pid> {
        let properties = broker::properties_path(&self.dir);
        let line = command_line(self.pid?);
        let names = |text: &str| line.as_deref().is_some_and(|line| line.contains(text));
        (names("kafka.Kafka") && names(properties.to_str()?)).then_some(self.pid?)
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

/// Its words, separated by zeros or spaces; none for a process that ended.
fn command_line(pid: Pid) -> Option<String> {
    let number = pid.as_raw_nonzero().to_string();
    let line = match fs::read(format!("/proc/{number}/cmdline")) {
        Ok(line) => line,
        // Systems without that directory have `ps`.
        Err(_) => {
            Command::new("ps")
                .args(["-ww", "-o", "args=", "-p", &number])
                .output()
                .ok()?
                .stdout
        }
    };
    Some(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker_with_pid(dir: &Path, pid: u32) -> Detached {
        let home = dir.join("broker-1");
        fs::create_dir_all(&home).unwrap();
        fs::write(broker::properties_path(&home), "").unwrap();
        fs::write(broker::pid_path(&home), pid.to_string()).unwrap();
        Detached::find(dir)
    }

    #[test]
    fn a_process_that_got_a_brokers_old_number_is_neither_shown_nor_ended() {
        let dir = tempfile::tempdir().unwrap();
        let found = broker_with_pid(dir.path(), std::process::id());
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
