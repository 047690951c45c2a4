//! The jars of Kafka, fetched once for all who share a target directory.

use crate::java;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

const POM: &str = include_str!("../pom.xml");

/// The jars of Kafka and what they need, complete.
#[derive(Clone, Debug)]
pub struct Jars {
    dir: PathBuf,
    fetched: bool,
}

impl Jars {
    /// Fetches the jars from Maven Central into `kafka/libs` of the [target directory](target_dir), unless they are
    /// there. A missing Java or Maven is installed on Debian as root; elsewhere the error says what to install. Of
    /// several processes one fetches, the others wait.
    pub fn prepare() -> Result<Self> {
        Self::prepare_in(&target_dir().join("kafka"))
    }

    fn prepare_in(home: &Path) -> Result<Self> {
        fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
        let lock = home.join("libs.lock");
        let lock =
            File::create(&lock).with_context(|| format!("cannot open {}", lock.display()))?;
        lock.lock().context("cannot lock the directory of jars")?;
        java::require_java()?;
        let dir = home.join("libs");
        let fetched = !is_complete(&dir);
        if fetched {
            java::require_maven()?;
            fetch(home, &dir)?;
        }
        // Archives of classes hold only for jars of the same full name.
        let dir = fs::canonicalize(dir)?;
        Ok(Self { dir, fetched })
    }

    /// Where they are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether they had to be fetched.
    #[must_use]
    pub fn fetched(&self) -> bool {
        self.fetched
    }

    /// Where the archive of a broker's classes is, or would be.
    pub(crate) fn archive(&self) -> PathBuf {
        self.dir.with_file_name("classes.jsa")
    }

    /// Words for every Java that runs these jars. An archive that does not fit, of another Java for one, is left unused;
    /// Java would say so amid what a tool prints.
    pub(crate) fn flags(&self) -> Vec<OsString> {
        let mut flags: Vec<OsString> = vec!["-XX:+UseSerialGC".into(), "-Xlog:disable".into()];
        if self.archive().exists() {
            let mut archive = OsString::from("-XX:SharedArchiveFile=");
            archive.push(self.archive());
            flags.push(archive);
        }
        flags.extend(["-cp".into(), self.dir.join("*").into_os_string()]);
        flags
    }
}

/// Cargo's target directory: `CARGO_TARGET_DIR`, else `target` of the repository that is worked in.
#[must_use]
pub fn target_dir() -> PathBuf {
    let root = repository();
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// What cargo says when it runs a program or a test; what it said at build time may be another clone's folder.
fn repository() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = package
        .ancestors()
        .find(|dir| dir.join("Cargo.lock").is_file());
    root.unwrap_or(&package).to_path_buf()
}

/// The description is copied last and compared, so that a new version of Kafka is fetched.
fn is_complete(dir: &Path) -> bool {
    fs::read_to_string(dir.join("pom.xml")).is_ok_and(|pom| pom == POM)
}

/// Into a directory of its own, which then gets its name: the jars are complete or not there.
fn fetch(home: &Path, dir: &Path) -> Result<()> {
    let work = tempfile::tempdir_in(home).context("cannot make a directory for the jars")?;
    let libs = work.path().join("libs");
    fs::write(work.path().join("pom.xml"), POM)?;
    copy_dependencies(work.path(), &libs)?;
    fs::copy(work.path().join("pom.xml"), libs.join("pom.xml"))?;
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    let _ = fs::remove_file(home.join("classes.jsa"));
    fs::rename(&libs, dir).with_context(|| format!("cannot move the jars to {}", dir.display()))
}

fn copy_dependencies(pom_dir: &Path, libs: &Path) -> Result<()> {
    let mut output = OsString::from("-DoutputDirectory=");
    output.push(libs);
    let mvn = Command::new("mvn")
        .args(["-q", "-B", "dependency:copy-dependencies"])
        .arg(output)
        .current_dir(pom_dir)
        .output()
        .context("cannot start mvn")?;
    if !mvn.status.success() {
        bail!(
            "Maven could not fetch the jars of Kafka (is there a way to Maven Central, or a mirror in settings.xml?):\n{}",
            String::from_utf8_lossy(&mvn.stdout).trim_end()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jars_that_are_there_are_not_fetched_again() {
        let jars = Jars::prepare().unwrap();
        assert!(jars.dir().starts_with(target_dir()), "{jars:?}");
        assert!(!Jars::prepare().unwrap().fetched());
    }

    #[test]
    fn jars_of_another_version_are_not_complete() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_complete(dir.path()));
        fs::write(dir.path().join("pom.xml"), POM.replace("4.", "3.")).unwrap();
        assert!(!is_complete(dir.path()));
        fs::write(dir.path().join("pom.xml"), POM).unwrap();
        assert!(is_complete(dir.path()));
    }
}
