//! The disk space that snapshots take.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use xp_protocol::Address;
use xp_state_node::sled_store::{SledStore, SledStores};
use xp_state_node::snapshot::sealed;
use xp_state_node::store::{Batch, SnapshotStore};

use crate::records::partition;

const MIB: usize = 1 << 20;

fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    let size = |entry: std::fs::DirEntry| match entry.metadata().unwrap() {
        data if data.is_dir() => size(&entry.path()),
        data => data.len(),
    };
    entries.map(size).sum()
}

fn board() -> Address {
    "ledger/board".parse().unwrap()
}

/// A state that does not resemble another one.
fn state(seed: usize, bytes: usize) -> Bytes {
    let byte = |at: usize| (seed.wrapping_mul(31) ^ at.wrapping_mul(2_654_435_761) >> 7) as u8;
    sealed(&(0..bytes).map(byte).collect::<Vec<_>>())
}

fn write(store: &SledStore, entity: Option<Bytes>) {
    let batch = Batch {
        header: sealed(b"header"),
        entities: vec![(board(), entity)],
        pending: Vec::new(),
        ahead: None,
    };
    store.write(batch).unwrap();
}

fn open(dir: &Path, boot: &str) -> (SledStores, SledStore) {
    let stores = SledStores::open(dir, 16 << 20, boot).unwrap();
    let store = stores.partition(&partition()).unwrap();
    (stores, store)
}

/// A drawing of 1 MB, to which somebody adds a stroke again and again.
#[test]
fn a_large_entity_that_changes_often_takes_a_bounded_directory() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("snapshots");
    let (stores, store) = open(&dir, "boot");
    for round in 0..120 {
        write(&store, Some(state(round, MIB)));
        // As in the background once a second: only what is flushed is used again.
        stores.flush().unwrap();
    }
    let size = size(&dir);
    assert!(size < 40 * MIB as u64, "{size} bytes for one of a MiB");
    assert_eq!(store.entity(&board()).unwrap(), Some(state(119, MIB)));
}

#[test]
fn a_value_is_whole_whatever_its_size_was_and_is() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("snapshots");
    let sizes = [10, 6 << 10, (6 << 10) + 1, MIB, 20_000, 12 << 10, 0, 7_000];
    for (round, bytes) in sizes.into_iter().enumerate() {
        // Another boot: every checksum is looked at, and what fails would be thrown away (R35).
        let (_stores, store) = open(&dir, &round.to_string());
        let state = state(round, bytes);
        write(&store, Some(state.clone()));
        assert_eq!(store.entity(&board()).unwrap(), Some(state));
        assert_eq!(store.addresses(None, 9).unwrap(), [board()]);
    }
    let (stores, store) = open(&dir, "last");
    assert_eq!(store.entity(&board()).unwrap(), Some(state(7, 7_000)));
    write(&store, None);
    assert_eq!(store.entity(&board()).unwrap(), None);
    drop((store, stores));
    let db = sled::Config::new().path(&dir).open().unwrap();
    let left = db.open_tree(partition().to_string()).unwrap();
    assert_eq!(
        left.len(),
        1,
        "the header, and no piece of what was removed"
    );
}

/// sled lets go of a directory some moments after its last handle is gone.
#[test]
fn a_directory_that_is_just_being_closed_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("snapshots");
    let (stores, store) = open(&dir, "boot");
    write(&store, Some(state(1, 100)));
    let (tell, told) = std::sync::mpsc::channel();
    let opener = std::thread::spawn({
        let dir = dir.clone();
        move || tell.send(open(&dir, "boot").1.entity(&board()).unwrap())
    });
    let early = told.recv_timeout(Duration::from_millis(200));
    assert!(early.is_err(), "it has what is still held");
    drop((store, stores));
    let read = told.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(read, Some(state(1, 100)));
    opener.join().unwrap().unwrap();
}

/// Former builds stored each value whole, and sled kept the files of all former ones.
#[test]
fn what_a_former_build_left_is_read_and_its_space_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("snapshots");
    let db = sled::Config::new().path(&dir).open().unwrap();
    db.insert("boot", "boot").unwrap();
    let tree = db.open_tree(partition().to_string()).unwrap();
    for round in 0..70 {
        let state = state(round, MIB);
        tree.insert("eledger/board", &state[..]).unwrap();
    }
    tree.insert("h", &sealed(b"header")[..]).unwrap();
    db.flush().unwrap();
    drop((tree, db));
    assert!(size(&dir) > 64 * MIB as u64);
    let (_stores, store) = open(&dir, "boot");
    assert_eq!(store.entity(&board()).unwrap(), Some(state(69, MIB)));
    assert_eq!(store.header().unwrap(), Some(sealed(b"header")));
    let size = size(&dir);
    assert!(size < 20 * MIB as u64, "{size} bytes");
}
