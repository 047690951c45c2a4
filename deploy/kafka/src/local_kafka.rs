//! A cluster of local brokers.

use crate::archive;
use crate::broker::{Broker, Mode};
use crate::certificates::Certificates;
use crate::home::Home;
use crate::jars::Jars;
use crate::line::Line;
use crate::options::Options;
use crate::properties::Ports;
use crate::security::{Listener, User};
use crate::tool;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use xp_background::wait_for;

/// A port may be taken between its choice and its use; more often than this, something else is wrong.
const STARTS: u32 = 5;

/// How long a topic may be without a leader, after faults too.
const LEADER_WITHIN: Duration = Duration::from_secs(30);

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

/// A running Kafka of one or three brokers. Brokers are counted from 0; the broker with index 0 has `node.id` 1.
///
/// Dropping it kills the brokers and removes their directory, unless the directory was given or they are detached.
pub struct LocalKafka {
    /// `None` was killed or stopped.
    brokers: Vec<Mutex<Option<Broker>>>,
    ports: Vec<Ports>,
    /// One to each broker, if [`Listener::Severable`] was asked for.
    lines: Vec<Line>,
    options: Options,
    certificates: Option<Certificates>,
    jars: Jars,
    home: Home,
}

impl LocalKafka {
    /// Starts the brokers and waits until each of them serves. The error of a failed start shows the last lines of the
    /// broker's log, and where it is.
    pub fn start(options: Options) -> Result<Self> {
        let jars = Self::prepare()?;
        options.users.iter().try_for_each(User::check)?;
        let home = Home::make(&options)?;
        let certificates = home.certificates(&options)?;
        let count = usize::try_from(options.brokers)?;
        let mut kafka = Self {
            brokers: (0..count).map(|_| Mutex::new(None)).collect(),
            ports: Vec::new(),
            lines: Vec::new(),
            options,
            certificates,
            jars,
            home,
        };
        let started = kafka.start_on_free_ports();
        if started.is_err() {
            kafka.end_all();
            kafka.home.keep();
        }
        started.map(|()| kafka)
    }

    /// What every start does first: [`Jars::prepare`], and once a broker that runs for a moment, so that all later ones
    /// start with half of the work.
    pub fn prepare() -> Result<Jars> {
        let jars = Jars::prepare()?;
        archive::ensure(&jars)?;
        Ok(jars)
    }

    fn start_on_free_ports(&mut self) -> Result<()> {
        let mut start = 1;
        self.ports = match self
            .home
            .earlier_ports(self.size(), &self.options.listeners)
        {
            Some(ports) => ports,
            None => self.choose_ports()?,
        };
        loop {
            self.lay_lines()?;
            self.install()?;
            let started = self.start_all();
            if started.is_ok() || start == STARTS || !self.found_port_taken() {
                return started;
            }
            self.end_all();
            self.ports = self.choose_ports()?;
            start += 1;
        }
    }

    fn choose_ports(&self) -> Result<Vec<Ports>> {
        Ports::choose(self.size(), &self.options.listeners)
    }

    fn lay_lines(&mut self) -> Result<()> {
        self.lines.clear();
        for ports in &mut self.ports {
            let Some(port) = ports.of(Listener::Severable) else {
                continue;
            };
            let line = Line::to(port)?;
            ports.line = Some(line.port());
            self.lines.push(line);
        }
        Ok(())
    }

    fn install(&self) -> Result<()> {
        let certificates = self.certificates.as_ref();
        let lines = self.options.lines(certificates);
        self.home.write_properties(&self.ports, &lines)?;
        self.home
            .format(&self.jars, self.size(), &self.options.users)
    }

    /// All together: a majority of them is needed before any is ready.
    fn start_all(&self) -> Result<()> {
        for index in 0..self.brokers.len() {
            *self.broker(index) = Some(self.spawn(index)?);
        }
        (0..self.brokers.len()).try_for_each(|index| self.wait_ready(index))
    }

    fn spawn(&self, index: usize) -> Result<Broker> {
        let mode = if self.options.detached {
            Mode::Detached
        } else {
            Mode::Leashed
        };
        Broker::start(&self.home.broker(index), &self.jars, &mode)
    }

    fn wait_ready(&self, index: usize) -> Result<()> {
        let mut broker = self.broker(index);
        let broker = broker
            .as_mut()
            .context("the broker was ended while it started")?;
        broker
            .wait_ready(self.options.ready_within)
            .with_context(|| format!("broker {index} of {} does not start", self.brokers.len()))
    }

    fn found_port_taken(&self) -> bool {
        (0..self.brokers.len()).any(|index| {
            let broker = self.broker(index);
            broker.as_ref().is_some_and(Broker::found_port_taken)
        })
    }

    fn end_all(&self) {
        for index in 0..self.brokers.len() {
            if let Some(broker) = self.broker(index).take() {
                let _ = broker.kill();
            }
        }
    }

    fn broker(&self, index: usize) -> MutexGuard<'_, Option<Broker>> {
        self.brokers[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// `host:port` of every broker, separated by commas, without TLS and users.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.addresses(0..self.size(), Listener::Plaintext)
    }

    /// `host:port` of every broker, separated by commas, on this listener; an error if [`Options::listening`] did not
    /// ask for it.
    pub fn bootstrap_of(&self, listener: Listener) -> Result<String> {
        if !self.options.listeners.contains(&listener) {
            bail!("{listener:?} is not there; ask for it with `Options::listening`");
        }
        Ok(self.addresses(0..self.size(), listener))
    }

    fn addresses(&self, brokers: impl Iterator<Item = usize>, listener: Listener) -> String {
        let ports = brokers.filter_map(|index| self.ports[index].told(listener));
        let addresses: Vec<String> = ports.map(|port| format!("127.0.0.1:{port}")).collect();
        addresses.join(",")
    }

    /// The files that clients of [`Listener::Ssl`], [`Listener::Mtls`] and [`Listener::SaslSsl`] need; an error if none
    /// of these is there.
    pub fn certificates(&self) -> Result<&Certificates> {
        let certificates = self.certificates.as_ref();
        certificates.context("no listener has TLS; ask for one with `Options::listening`")
    }

    /// How many brokers there are, running or not.
    #[must_use]
    pub fn size(&self) -> usize {
        self.brokers.len()
    }

    /// The directory with storage, settings and logs (`broker-1/broker.log`).
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.home.path()
    }

    /// The process id of a broker's Java; `None` after it was killed or stopped.
    #[must_use]
    pub fn pid(&self, index: usize) -> Option<u32> {
        self.broker(index).as_ref().map(Broker::pid)
    }

    /// Kills a broker with -9 and returns when it is gone. Nothing happens to one that does not run.
    pub fn kill(&self, index: usize) -> Result<()> {
        self.broker(index).take().map_or(Ok(()), Broker::kill)
    }

    /// Stops a broker as an operator would: it hands its partitions over first.
    pub fn stop_broker(&self, index: usize) -> Result<()> {
        self.broker(index).take().map_or(Ok(()), Broker::stop)
    }

    /// Stops a broker's process where it is (SIGSTOP): its connections stay open and nothing is answered.
    pub fn pause(&self, index: usize) -> Result<()> {
        self.running(index, Broker::pause)
    }

    /// Lets a paused broker go on (SIGCONT).
    pub fn resume(&self, index: usize) -> Result<()> {
        self.running(index, Broker::resume)
    }

    fn running(&self, index: usize, what: fn(&mut Broker) -> Result<()>) -> Result<()> {
        let mut broker = self.broker(index);
        let broker = broker.as_mut();
        what(broker.with_context(|| format!("broker {index} does not run"))?)
    }

    /// Cuts the lines of [`Listener::Severable`] to all brokers: connections stay open and silent, new ones find nobody.
    pub fn cut(&self) {
        self.lines.iter().for_each(Line::cut);
    }

    /// Mends them; what was said meanwhile arrives, if whoever said it is still there.
    pub fn mend(&self) {
        self.lines.iter().for_each(Line::mend);
    }

    /// Starts a broker that was killed or stopped, on its ports and its storage, and waits until it serves. One that
    /// runs is killed first.
    pub fn restart(&self, index: usize) -> Result<()> {
        self.kill(index)?;
        *self.broker(index) = Some(self.spawn(index)?);
        self.wait_ready(index)
    }

    /// Stops all brokers as an operator would.
    pub fn stop(&self) -> Result<()> {
        std::thread::scope(|scope| {
            let stops = (0..self.size()).map(|index| scope.spawn(move || self.stop_broker(index)));
            let stops: Vec<_> = stops.collect();
            let ended = |stop: std::thread::ScopedJoinHandle<'_, Result<()>>| {
                stop.join().expect("stopping does not panic")
            };
            stops.into_iter().try_for_each(ended)
        })
    }

    /// Runs one of Kafka's own command line classes (`org.apache.kafka.tools.TopicCommand`, `….AclCommand`,
    /// `kafka.admin.ConfigCommand`) and returns what it printed. `--bootstrap-server` is added unless it is given.
    /// Each call costs the start of a Java, about a second.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> Result<String> {
        let bootstrap = self.answering();
        let mut all = arguments.to_vec();
        if !arguments.contains(&"--bootstrap-server") {
            all.extend(["--bootstrap-server", bootstrap.as_str()]);
        }
        tool::run(&self.jars, class, &all)
    }

    /// A tool that asks a paused broker waits for a minute.
    fn answering(&self) -> String {
        let answers = |index: &usize| self.broker(*index).as_ref().is_some_and(Broker::answers);
        self.addresses((0..self.size()).filter(answers), Listener::Plaintext)
    }

    /// The index of the broker that leads a partition; waits while none does.
    pub fn leader(&self, topic: &str, partition: u32) -> Result<usize> {
        let mut described = String::new();
        let leader = wait_for(LEADER_WITHIN, || {
            let described_now = self.tool(TOPICS, &["--describe", "--topic", topic]);
            described = described_now.unwrap_or_else(|error| format!("{error:#}"));
            leader_of(&described, partition)
        });
        let node = leader.with_context(|| {
            format!("partition {partition} of {topic} has no leader:\n{described}")
        })?;
        node.checked_sub(1).context("there is no node 0 here")
    }
}

/// The node of a line `Topic: t  Partition: 3  Leader: 2  Replicas: …`; `none` is no number.
fn leader_of(described: &str, partition: u32) -> Option<usize> {
    let wanted = partition.to_string();
    let line = described
        .lines()
        .find(|line| word_after(line, "Partition:") == Some(&wanted))?;
    word_after(line, "Leader:")?.parse().ok()
}

fn word_after<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_once(key)?.1.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIBED: &str = "Topic: t\tTopicId: x\tPartitionCount: 2\tReplicationFactor: 3\tConfigs: \n\
                             \tTopic: t\tPartition: 0\tLeader: 3\tReplicas: 3,1,2\tIsr: 3,1,2\n\
                             \tTopic: t\tPartition: 1\tLeader: none\tReplicas: 1,2,3\tIsr: 1\n";

    #[test]
    fn the_leader_is_read_from_what_the_tool_prints() {
        assert_eq!(leader_of(DESCRIBED, 0), Some(3));
        assert_eq!(leader_of(DESCRIBED, 1), None);
        assert_eq!(leader_of(DESCRIBED, 2), None);
    }
}
