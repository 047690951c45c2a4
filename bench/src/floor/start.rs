//! A bare start: a process that reads the files of a folder, one after the other, and says when it is done.

use std::fs;
use std::io::{Write, stdout};
use std::path::Path;

use anyhow::Result;

/// Bytes of all files below.
pub(super) fn read(folder: &Path) -> Result<()> {
    let bytes = walk(folder)?;
    writeln!(stdout(), "{bytes} bytes")?;
    Ok(())
}

fn walk(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => walk(&entry.path())?,
            false => fs::read(entry.path())?.len() as u64,
        };
    }
    Ok(bytes)
}
