//! A large value in pieces.
//!
//! sled writes a leaf of its tree as one; what is larger than a quarter of a segment goes to a file of its own, and
//! the file is given back only with the segment that names it. A tree of large values writes little but names, so its
//! segments never fill: the files stayed, 200 MB after 200 writes of a state of 1 MB. Values that are small enough for
//! a whole leaf of them to stay in the log make no such file.

use bytes::Bytes;
use sled::transaction::ConflictableTransactionError;
use sled::{Batch, IVec, Tree};

use super::failed;
use crate::store::StoreError;

/// The largest value that stands whole, in bytes. A leaf has up to 17, and all of them stay below 128 KiB.
const PIECE_BYTES: usize = 6 << 10;
/// What the keys of pieces begin with.
pub(super) const PIECE: u8 = b's';
/// What stands in a value's place begins so; a whole one begins with the version of its format.
const MARK: &[u8] = b"\xffpieces";

fn piece_key(key: &[u8], index: u32) -> Vec<u8> {
    // No address has this byte, so that no entity's pieces stand among another's.
    [&[PIECE], key, &[0xff], &index.to_be_bytes()].concat()
}

/// How many pieces stand for a value; `None` when it is whole.
fn count(value: &[u8]) -> Option<u32> {
    let count = value.strip_prefix(MARK)?;
    Some(u32::from_le_bytes(count.try_into().ok()?))
}

/// How many pieces a key has.
fn former(tree: &Tree, key: &[u8]) -> Result<u32, StoreError> {
    let value = tree.get(key).map_err(failed)?;
    Ok(value.and_then(|value| count(&value)).unwrap_or_default())
}

/// Puts a value in the place of the former one, whole or in pieces.
pub(super) fn put(
    tree: &Tree,
    changes: &mut Batch,
    key: Vec<u8>,
    value: &[u8],
) -> Result<(), StoreError> {
    let former = former(tree, &key)?;
    let mut pieces = 0;
    if value.len() > PIECE_BYTES {
        for piece in value.chunks(PIECE_BYTES) {
            changes.insert(piece_key(&key, pieces), piece);
            pieces += 1;
        }
    }
    (pieces..former).for_each(|index| changes.remove(piece_key(&key, index)));
    match pieces {
        0 => changes.insert(key, value),
        pieces => changes.insert(key, [MARK, &pieces.to_le_bytes()].concat()),
    }
    Ok(())
}

/// Removes a value and its pieces.
pub(super) fn remove(tree: &Tree, changes: &mut Batch, key: Vec<u8>) -> Result<(), StoreError> {
    let former = former(tree, &key)?;
    (0..former).for_each(|index| changes.remove(piece_key(&key, index)));
    changes.remove(key);
    Ok(())
}

/// The whole value of a key.
pub(super) fn get(tree: &Tree, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
    match tree.get(key).map_err(failed)? {
        Some(value) => whole(tree, key, &value).map(Some),
        None => Ok(None),
    }
}

/// The whole value of a key that was found with this one.
pub(super) fn whole(tree: &Tree, key: &[u8], found: &IVec) -> Result<Bytes, StoreError> {
    if count(found).is_none() {
        return Ok(Bytes::copy_from_slice(found));
    }
    // At once, so that no write between two pieces tears it. One that is missing fails its checksum.
    let joined = tree.transaction(|tree| {
        let value = tree.get(key)?.unwrap_or_default();
        let Some(count) = count(&value) else {
            return Ok(value.to_vec());
        };
        let mut joined = Vec::with_capacity(count as usize * PIECE_BYTES);
        for index in 0..count {
            joined.extend_from_slice(&tree.get(piece_key(key, index))?.unwrap_or_default());
        }
        Ok::<_, ConflictableTransactionError<()>>(joined)
    });
    let joined = joined.map_err(|error| failed(format!("{error:?}")))?;
    Ok(joined.into())
}
