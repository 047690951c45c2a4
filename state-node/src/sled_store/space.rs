//! Space that sled does not give back by itself: a directory is written anew when it holds too much of it.

use std::path::{Path, PathBuf};

use sled::{Batch, Db};

use super::pieces::{self, PIECE};
use super::{BOOT, config, failed};
use crate::store::StoreError;

/// From how many bytes in files of single values on a directory is written anew. Values stand in pieces and need no
/// such files, so there are none but those of former builds.
const FILES_BYTES_MAX: u64 = 64 << 20;

fn beside(dir: &Path, what: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(what);
    dir.with_file_name(name)
}

fn remove(dir: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Ends what a process that died while it wrote a directory anew has left behind.
pub(super) fn settle(dir: &Path) -> Result<(), StoreError> {
    let (fresh, former) = (beside(dir, ".new"), beside(dir, ".old"));
    remove(&fresh)?;
    if former.exists() && !dir.exists() {
        return std::fs::rename(&former, dir).map_err(failed);
    }
    remove(&former)
}

/// Whether the directory holds more than it should.
pub(super) fn is_wasted(dir: &Path) -> bool {
    let files = std::fs::read_dir(dir.join("blobs")).into_iter().flatten();
    let sizes = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len()));
    sizes.sum::<u64>() > FILES_BYTES_MAX
}

/// Copies what counts into a fresh directory and puts it in the place of `dir`, whose store is closed by then.
pub(super) fn write_anew(dir: &Path, cache_bytes: u64, db: Db) -> Result<(), StoreError> {
    let (fresh, former) = (beside(dir, ".new"), beside(dir, ".old"));
    let copy = config(&fresh, cache_bytes).open().map_err(failed)?;
    copy_all(&db, &copy)?;
    copy.flush().map_err(failed)?;
    drop((copy, db));
    std::fs::rename(dir, &former).map_err(failed)?;
    std::fs::rename(&fresh, dir).map_err(failed)?;
    remove(&former)
}

fn copy_all(from: &Db, to: &Db) -> Result<(), StoreError> {
    if let Some(boot) = from.get(BOOT).map_err(failed)? {
        to.insert(BOOT, boot).map_err(failed)?;
    }
    for name in super::partitions(from) {
        let source = from.open_tree(&name).map_err(failed)?;
        let target = to.open_tree(&name).map_err(failed)?;
        for entry in &source {
            let (key, value) = entry.map_err(failed)?;
            if key.first() != Some(&PIECE) {
                let value = pieces::whole(&source, &key, &value)?;
                let mut changes = Batch::default();
                pieces::put(&target, &mut changes, key.to_vec(), &value)?;
                target.apply_batch(changes).map_err(failed)?;
            }
        }
    }
    Ok(())
}
