//! One process per directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use std::process;

use super::error::OpenError;

/// Held while the log is open; the kernel lets go of it when the process ends, however it ends.
pub(super) struct DirLock {
    file: File,
}

impl DirLock {
    pub(super) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(OpenError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {
                // The number is for people; the lock holds without it.
                let _ = file
                    .set_len(0)
                    .and_then(|()| write!(file, "{}", process::id()));
                Ok(Self { file })
            }
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
                dir: dir.to_owned(),
                holder: holder(&mut file),
            }),
            Err(TryLockError::Error(source)) => Err(OpenError::io("lock", &path)(source)),
        }
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing alone would not do: a child that is just being started holds a copy of the descriptor until it
        // runs its own program.
        let _ = self.file.unlock();
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
