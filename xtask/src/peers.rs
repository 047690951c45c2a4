//! The peers of the benchmark, as they are installed for `cargo xtask bench peers`: packages of just the versions that
//! `bench/peers` pins, each in a folder of its own below `target/peers`. No script of a package is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use xp_background::wait_for;

use crate::{cargo, python};

/// How long one installation may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// In a folder whose installation is whole: what it was made from.
const STAMP: &str = "installed";
/// In it too: the last words of the installer.
const COMPLAINTS: &str = "complaints";
/// Made by package managers when one works in the sources by hand.
const NO_SOURCE: &str = "node_modules";

/// Installs what is not there yet, and returns the folder of all and what is missing with the reason.
pub(crate) fn prepare(root: &Path, asked: &[&str]) -> Result<(PathBuf, Vec<(String, String)>)> {
    let (sources, into) = (root.join("bench/peers"), cargo::target(root).join("peers"));
    let mut missing = Vec::new();
    for peer in folders(&sources)? {
        if !asked.is_empty() && !asked.contains(&peer.as_str()) {
            continue;
        }
        let (source, target) = (sources.join(&peer), into.join(&peer));
        if let Err(error) = install(root, &source, &target) {
            missing.push((peer, format!("{error:#}")));
        }
    }
    Ok((into, missing))
}

/// Each has the files of one peer.
fn folders(sources: &Path) -> Result<Vec<String>> {
    let mut names = names(sources)?;
    names.retain(|name| sources.join(name).is_dir());
    Ok(names)
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let cannot = || format!("cannot list {}", folder.display());
    let entries = fs::read_dir(folder).with_context(cannot)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<_> = names.collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

fn install(root: &Path, source: &Path, target: &Path) -> Result<()> {
    let files = files(source)?;
    let stamp = format!("{files:?}");
    if fs::read_to_string(target.join(STAMP)).is_ok_and(|made_from| made_from == stamp) {
        return Ok(());
    }
    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    fs::create_dir_all(target)?;
    for (name, text) in &files {
        fs::write(target.join(name), text)?;
    }
    let program = target.file_name().unwrap_or_default().to_string_lossy();
    eprintln!("installing {program}");
    run(
        &mut installer(root, &files, target)?,
        &target.join(COMPLAINTS),
    )?;
    fs::write(target.join(STAMP), stamp)?;
    Ok(())
}

/// Name and text of each, by name.
fn files(source: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for name in names(source)? {
        if name != NO_SOURCE {
            let text = fs::read_to_string(source.join(&name));
            files.push((
                name,
                text.with_context(|| format!("cannot read {}", source.display()))?,
            ));
        }
    }
    Ok(files)
}

/// By the file that pins the versions.
fn installer(root: &Path, files: &[(String, String)], target: &Path) -> Result<Command> {
    let has = |name: &str| files.iter().any(|(file, _)| file == name);
    let mut command;
    if has("package-lock.json") {
        command = Command::new("npm");
        command.args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]);
    } else if has("requirements.txt") {
        command = Command::new(python::environment(root)?);
        command.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        command.args([
            "--no-deps",
            "--target",
            ".",
            "--requirement",
            "requirements.txt",
        ]);
    } else if has("go.mod") {
        command = Command::new("go");
        command.args(["build", "-trimpath", "-mod=readonly", "-o", "server", "."]);
        // Another toolchain than the one that is here is not fetched.
        command.env("GOTOOLCHAIN", "local").env("GOWORK", "off");
    } else {
        bail!("nothing in {} pins a version", target.display());
    }
    command.current_dir(target);
    Ok(command)
}

/// Runs it to its end, but not for ever. What it complains about is the reason.
fn run(command: &mut Command, complaints: &Path) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(complaints)?)
        .spawn()
        .with_context(|| format!("`{program}` cannot be started; is it installed?"))?;
    let Some(status) = wait_for(PATIENCE, || child.try_wait().transpose()) else {
        child.kill()?;
        child.wait()?;
        bail!("`{program}` was not done within {PATIENCE:?}");
    };
    let status = status?;
    if !status.success() {
        let said = fs::read(complaints)?;
        let words: Vec<_> = said.split(u8::is_ascii_whitespace).collect();
        let said = String::from_utf8_lossy(&words.join(&b' ')).into_owned();
        bail!("`{program}` ended with {status}: {}", said.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(words: &str) -> (tempfile::TempDir, Result<()>) {
        let dir = tempfile::tempdir().unwrap();
        let run = run(
            Command::new("sh").args(["-c", words]),
            &dir.path().join("complaints"),
        );
        (dir, run)
    }

    #[test]
    fn the_reason_is_what_the_installer_complained_about() {
        let (_dir, run) = shell("echo fine; echo 'no such\npackage' >&2; exit 3");
        let said = run.unwrap_err().to_string();
        assert!(said.contains("exit status: 3: no such package"), "{said}");
        assert!(shell("exit 0").1.is_ok());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = run(
            &mut Command::new("no-such-installer"),
            &dir.path().join("complaints"),
        );
        let said = missing.unwrap_err().to_string();
        assert!(
            said.contains("`no-such-installer` cannot be started"),
            "{said}"
        );
    }

    #[test]
    fn what_is_installed_from_the_same_files_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (source, target) = (dir.path().join("source"), dir.path().join("target"));
        fs::create_dir(&source).unwrap();
        fs::write(source.join("unpinned.txt"), "1").unwrap();
        let refused = install(dir.path(), &source, &target)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("pins a version"), "{refused}");
        let stamp = format!("{:?}", files(&source).unwrap());
        fs::write(target.join(STAMP), stamp).unwrap();
        install(dir.path(), &source, &target).unwrap();
        fs::write(source.join("unpinned.txt"), "2").unwrap();
        assert!(
            install(dir.path(), &source, &target).is_err(),
            "the files are others"
        );
    }

    #[test]
    fn each_peer_of_the_repository_pins_its_versions() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/peers");
        for peer in folders(&sources).unwrap() {
            let files = files(&sources.join(&peer)).unwrap();
            let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
            let pins = ["package-lock.json", "requirements.txt", "go.sum"];
            assert!(
                names.iter().any(|name| pins.contains(name)),
                "{peer}: {names:?}"
            );
        }
    }
}
