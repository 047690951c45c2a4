//! The directory of a local Kafka: each broker's settings, storage and log, and what they share.

use crate::broker;
use crate::certificates::Certificates;
use crate::detached::Detached;
use crate::jars::{Jars, target_dir};
use crate::options::Options;
use crate::ports;
use crate::properties::{self, Ports};
use crate::security::{Listener, User};
use crate::tool;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const FORMAT: &str = "kafka.tools.StorageTool";

/// How directories begin that nobody chose.
const RUN: &str = "run-";

const A_DAY: Duration = Duration::from_secs(24 * 3_600);

/// Where a Kafka lives.
pub(crate) enum Home {
    Given(PathBuf),
    Temporary(TempDir),
}

impl Home {
    pub(crate) fn make(options: &Options) -> Result<Self> {
        if let Some(dir) = &options.dir {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            return Ok(Self::Given(fs::canonicalize(dir)?));
        }
        if options.detached {
            bail!("a detached Kafka needs a directory: `Options::in_dir`");
        }
        let runs = target_dir().join("kafka");
        remove_old_runs(&runs);
        let made = tempfile::Builder::new().prefix(RUN).tempdir_in(runs);
        Ok(Self::Temporary(
            made.context("cannot make a directory for Kafka")?,
        ))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(dir) => dir.path(),
        }
    }

    /// A failure's log must stay readable.
    pub(crate) fn keep(&mut self) {
        if let Self::Temporary(dir) = self {
            dir.disable_cleanup(true);
        }
    }

    pub(crate) fn broker(&self, index: usize) -> PathBuf {
        self.path().join(format!("broker-{}", index + 1))
    }

    pub(crate) fn certificates(&self, options: &Options) -> Result<Option<Certificates>> {
        let needed = options.listeners.iter().any(|listener| listener.has_tls());
        let make = || Certificates::make_in(&self.path().join("certificates"));
        needed.then(make).transpose()
    }

    /// Writes `server.properties` of every broker.
    pub(crate) fn write_properties(
        &self,
        ports: &[Ports],
        lines: &[(String, String)],
    ) -> Result<()> {
        for index in 0..ports.len() {
            let home = self.broker(index);
            fs::create_dir_all(&home)?;
            let text = properties::of(index, ports, &home.join("data"), lines);
            fs::write(broker::properties_path(&home), text)?;
        }
        Ok(())
    }

    /// The ports that brokers had here before, if all are free: what clients have in their settings stays right.
    pub(crate) fn earlier_ports(
        &self,
        brokers: usize,
        listeners: &[Listener],
    ) -> Option<Vec<Ports>> {
        let ports = (0..brokers).map(|index| {
            let text = fs::read_to_string(broker::properties_path(&self.broker(index))).ok()?;
            Ports::parse(&text, listeners)
        });
        let ports = ports.collect::<Option<Vec<Ports>>>()?;
        ports.iter().all(Ports::are_free).then_some(ports)
    }

    /// Formats the brokers' storage. What is formatted already is used as it is.
    pub(crate) fn format(&self, jars: &Jars, brokers: usize, users: &[User]) -> Result<()> {
        self.check_size(brokers)?;
        let new = (0..brokers).filter(|index| !self.is_formatted(*index));
        let id = self.cluster_id()?;
        std::thread::scope(|scope| {
            let id = id.as_str();
            let format = |index| scope.spawn(move || self.format_one(jars, index, id, users));
            let all: Vec<_> = new.map(format).collect();
            all.into_iter()
                .try_for_each(|one| one.join().expect("formatting does not panic"))
        })
    }

    fn is_formatted(&self, index: usize) -> bool {
        self.broker(index).join("data/meta.properties").exists()
    }

    /// Brokers that are formatted wait for each other; more or fewer of them would wait for ever.
    fn check_size(&self, brokers: usize) -> Result<()> {
        let earlier = (0..).take_while(|index| self.is_formatted(*index)).count();
        if earlier > brokers || (earlier == 1 && brokers > 1) {
            bail!(
                "{} holds the storage of {earlier} brokers, not of {brokers}; delete it or give another directory",
                self.path().display()
            );
        }
        Ok(())
    }

    fn format_one(&self, jars: &Jars, index: usize, id: &str, users: &[User]) -> Result<()> {
        let properties = broker::properties_path(&self.broker(index));
        let properties = properties.to_str();
        let properties = properties.context("the name of Kafka's directory is not UTF-8")?;
        let scram: Vec<String> = users.iter().flat_map(User::scram).collect();
        let mut arguments = vec!["format", "-g", "-t", id, "-c", properties];
        for one in &scram {
            arguments.extend(["--add-scram", one]);
        }
        tool::run(jars, FORMAT, &arguments).map(drop)
    }

    fn cluster_id(&self) -> Result<String> {
        let path = self.path().join("cluster-id");
        if let Ok(id) = fs::read_to_string(&path) {
            return Ok(id);
        }
        let id = new_cluster_id();
        fs::write(&path, &id)?;
        Ok(id)
    }
}

/// Directories of processes that were killed, and of starts that failed, stay; for a day somebody may want to read them.
fn remove_old_runs(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let runs = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(RUN));
    let old = runs
        .map(|entry| entry.path())
        .filter(|run| is_older_than(run, A_DAY));
    for run in old.filter(|run| Detached::find(run).running() == 0) {
        let _ = fs::remove_dir_all(run);
    }
}

fn is_older_than(path: &Path, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|path| path.modified());
    let elapsed = modified.ok().and_then(|modified| modified.elapsed().ok());
    elapsed.is_some_and(|elapsed| elapsed > age)
}

/// 22 letters that Kafka reads as 16 bytes.
fn new_cluster_id() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letter = |_| {
        let at = ports::random() % u64::try_from(LETTERS.len()).expect("52 fits");
        char::from(LETTERS[usize::try_from(at).expect("less than 52 fits")])
    };
    // The last one carries two bits only.
    (0..21).map(letter).chain(['A']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_ids_have_the_length_that_kafka_reads_and_differ() {
        assert_eq!(new_cluster_id().len(), 22);
        assert_ne!(new_cluster_id(), new_cluster_id());
    }

    #[test]
    fn storage_of_another_number_of_brokers_is_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::Given(dir.path().to_owned());
        home.check_size(3).unwrap();
        let data = home.broker(0).join("data");
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("meta.properties"), "").unwrap();
        home.check_size(1).unwrap();
        let error = home.check_size(3).unwrap_err().to_string();
        assert!(
            error.contains("the storage of 1 brokers, not of 3"),
            "{error}"
        );
    }

    #[test]
    fn only_runs_of_days_ago_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new, other) = (
            dir.path().join("run-1"),
            dir.path().join("run-2"),
            dir.path().join("libs"),
        );
        for made in [&old, &new, &other] {
            fs::create_dir(made).unwrap();
        }
        let now = fs::metadata(&new).unwrap().modified().unwrap();
        for made in [&old, &other] {
            fs::File::open(made)
                .unwrap()
                .set_modified(now - 2 * A_DAY)
                .unwrap();
        }
        remove_old_runs(dir.path());
        assert_eq!(
            [&old, &new, &other].map(|made| made.exists()),
            [false, true, true]
        );
    }

    #[test]
    fn ports_of_an_earlier_run_are_found_again_unless_a_listener_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::Given(dir.path().to_owned());
        let listeners = [Listener::Plaintext, Listener::SaslSsl];
        assert_eq!(home.earlier_ports(3, &listeners), None);
        let ports = Ports::choose(3, &listeners).unwrap();
        home.write_properties(&ports, &[]).unwrap();
        assert_eq!(home.earlier_ports(3, &listeners), Some(ports));
        assert_eq!(home.earlier_ports(3, &Listener::ALL), None);
    }
}
