//! Snapshots in sled: one tree per partition.
//!
//! Its explicit flush does not reach the platter, so nothing here is relied on: every record carries its own
//! checksum, the header is compared with the log (R35), and the log can rebuild all of it.

mod space;
mod pieces;

use std::ops::Bound;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use xp_protocol::{Address, LanePartition};

use crate::snapshot;
use crate::store::{Batch, SnapshotStore, StoreError};

const HEADER: &[u8] = b"h";
const ENTITY: u8 = b'e';
const PENDING: u8 = b'p';
const AHEAD: &[u8] = b"a";
const BOOT: &[u8] = b"boot";

/// All snapshots of a node, in one directory.
#[derive(Clone)]
pub struct SledStores {
    db: sled::Db,
}

fn failed(error: impl ToString) -> StoreError {
    StoreError(error.to_string())
}

fn config(dir: &Path, cache_bytes: u64) -> sled::Config {
    let config = sled::Config::new().path(dir);
    let config = config.cache_capacity(cache_bytes);
    config.flush_every_ms(Some(1000))
}

/// How often, and how long apart, a directory is tried that somebody else holds: sled lets go of it some moments after
/// the last handle is gone, as where a process or a test opens again what it has just closed. Two seconds in all.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

#[expect(
    clippy::disallowed_methods,
    reason = "the lock is a file's: nothing tells when it is free"
)]
fn opened(config: &sled::Config) -> sled::Result<sled::Db> {
    for _ in 1..LOCK_TRIES {
        match config.open() {
            Err(error) if is_held(&error) => std::thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
    }
    config.open()
}

/// Whether somebody else holds the directory; sled says so in words only.
fn is_held(error: &sled::Error) -> bool {
    let lock = |error: &std::io::Error| error.to_string().contains("could not acquire lock");
    matches!(error, sled::Error::Io(error) if lock(error))
}

impl SledStores {
    /// Opens or makes the directory. A store that was written under another boot of the machine has every
    /// checksum verified (R35); what fails is thrown away, and the log rebuilds it.
    ///
    /// # Errors
    /// When another process holds the directory, or it cannot be written.
    pub fn open(dir: &Path, cache_bytes: u64, boot: &str) -> Result<Self, StoreError> {
        space::settle(dir)?;
        xp_transport::private::make_dir(dir).map_err(failed)?;
        let config = config(dir, cache_bytes);
        let db = match opened(&config) {
            Ok(db) => db,
            Err(sled::Error::Corruption { .. }) => {
                tracing::warn!(dir = %dir.display(), "the snapshots are damaged; they are thrown away and the log is replayed");
                std::fs::remove_dir_all(dir).map_err(failed)?;
                opened(&config).map_err(failed)?
            }
            Err(error) => return Err(StoreError(format!("{}: {error}", dir.display()))),
        };
        let stores = Self { db };
        if stores.db.get(BOOT).map_err(failed)?.as_deref() != Some(boot.as_bytes()) {
            stores.verify()?;
            stores.db.insert(BOOT, boot.as_bytes()).map_err(failed)?;
        }
        match space::is_wasted(dir) {
            true => stores.written_anew(dir, cache_bytes),
            false => Ok(stores),
        }
    }

    /// What former builds left in files that sled never gives back is gone afterwards.
    fn written_anew(self, dir: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        tracing::info!(dir = %dir.display(), "the snapshots take far more space than they need; they are written anew");
        if let Err(error) = space::write_anew(dir, cache_bytes, self.db) {
            tracing::warn!(dir = %dir.display(), %error, "the snapshots were not written anew and keep their space");
            space::settle(dir)?;
        }
        let db = opened(&config(dir, cache_bytes)).map_err(failed)?;
        Ok(Self { db })
    }

    fn verify(&self) -> Result<(), StoreError> {
        for name in partitions(&self.db) {
            let tree = self.db.open_tree(&name).map_err(failed)?;
            if !is_sound(&tree) {
                tracing::warn!(partition = %String::from_utf8_lossy(&name), "a snapshot fails its checksum; the partition's log is replayed");
                tree.clear().map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The snapshots of one partition.
    ///
    /// # Errors
    /// When the tree cannot be opened.
    pub fn partition(&self, partition: &LanePartition) -> Result<SledStore, StoreError> {
        let tree = self.db.open_tree(partition.to_string()).map_err(failed)?;
        Ok(SledStore { tree })
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.db.flush().map(drop).map_err(failed)
    }
}

/// The names of the trees that hold a partition each.
fn partitions(db: &sled::Db) -> impl Iterator<Item = sled::IVec> {
    let names = db.tree_names().into_iter();
    names.filter(|name| name.contains(&b'/'))
}

/// Whether every value has its checksum.
fn is_sound(tree: &sled::Tree) -> bool {
    let sound = |(key, value): (sled::IVec, sled::IVec)| {
        key.first() == Some(&pieces::PIECE)
            || pieces::whole(tree, &key, &value)
                .is_ok_and(|value| snapshot::unsealed(&value).is_ok())
    };
    tree.iter().all(|entry| entry.is_ok_and(sound))
}

/// The snapshots of one partition, in one tree.
pub struct SledStore {
    tree: sled::Tree,
}

fn key(kind: u8, address: &Address) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(address.as_str().as_bytes());
    key
}

fn address(key: &[u8]) -> Result<Address, StoreError> {
    let address = std::str::from_utf8(&key[1..]).map_err(failed)?;
    address.parse().map_err(failed)
}

impl SnapshotStore for SledStore {
    fn header(&self) -> Result<Option<Bytes>, StoreError> {
        let value = pieces::get(&self.tree, HEADER)?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn entity(&self, address: &Address) -> Result<Option<Bytes>, StoreError> {
        pieces::get(&self.tree, &key(ENTITY, address))
    }

    fn pending(&self) -> Result<Vec<(Address, Bytes)>, StoreError> {
        let mut found = Vec::new();
        for entry in self.tree.scan_prefix([PENDING]) {
            let (key, value) = entry.map_err(failed)?;
            let value = pieces::whole(&self.tree, &key, &value)?;
            found.push((address(&key)?, value));
        }
        Ok(found)
    }

    fn pending_of(&self, address: &Address) -> Result<Option<Bytes>, StoreError> {
        pieces::get(&self.tree, &key(PENDING, address))
    }

    fn addresses(&self, after: Option<&Address>, count: usize) -> Result<Vec<Address>, StoreError> {
        let from = match after {
            Some(after) => Bound::Excluded(key(ENTITY, after)),
            None => Bound::Included(vec![ENTITY]),
        };
        let upto = Bound::Excluded(vec![ENTITY + 1]);
        let entries = self.tree.range((from, upto)).keys().take(count);
        entries.map(|key| address(&key.map_err(failed)?)).collect()
    }

    fn ahead(&self) -> Result<Option<Bytes>, StoreError> {
        pieces::get(&self.tree, AHEAD)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut changes = sled::Batch::default();
        for (kind, entries) in [(ENTITY, batch.entities), (PENDING, batch.pending)] {
            for (address, value) in entries {
                let key = key(kind, &address);
                match value {
                    Some(value) => pieces::put(&self.tree, &mut changes, key, &value)?,
                    None => pieces::remove(&self.tree, &mut changes, key)?,
                }
            }
        }
        pieces::put(&self.tree, &mut changes, HEADER.to_vec(), &batch.header)?;
        match batch.ahead {
            Some(ahead) => pieces::put(&self.tree, &mut changes, AHEAD.to_vec(), &ahead)?,
            None => pieces::remove(&self.tree, &mut changes, AHEAD.to_vec())?,
        }
        self.tree.apply_batch(changes).map_err(failed)
    }

    fn clear(&self) -> Result<(), StoreError> {
        // What is removed one after the other is no snapshot any more.
        self.tree.remove(HEADER).map_err(failed)?;
        self.tree.clear().map_err(failed)
    }
}
