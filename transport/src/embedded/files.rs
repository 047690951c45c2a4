//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::machine::Machine;

/// Ends the name of a file that is still being written.
const UNFINISHED: &str = ".unfinished";

/// Makes the file at `path` with exactly `bytes`, replacing what was there. After a crash at any
/// moment there is the old file or the new one, and after a return the new one survives power loss.
pub(super) fn put(machine: &dyn Machine, path: &Path, bytes: &[u8]) -> io::Result<File> {
    let unfinished = unfinished(path);
    let written = write(machine, &unfinished, bytes).and_then(|file| {
        fs::rename(&unfinished, path)?;
        Ok(file)
    });
    let file = written.inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    sync_parent(path)?;
    Ok(file)
}

fn write(machine: &dyn Machine, path: &Path, bytes: &[u8]) -> io::Result<File> {
    let file = machine.create(path)?;
    machine.write_at(&file, bytes, 0)?;
    machine.sync(&file)?;
    Ok(file)
}

/// What the file at `path` is called while it is written.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    name.into()
}

/// Whether a crash left this file half written.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.ends_with(UNFINISHED)
}

/// Makes names that appeared or vanished beside `path` survive power loss.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Removes a file for good.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync_parent(path)),
    }
}
