//! Records of `{lane}.snapshots`: the state of a partition as a changelog, compacted by key.
//!
//! Each publisher writes under an *epoch* of its own, the offset of the [`Published::Mark`] that it drew, and every
//! key begins with it: two publishers at once never replace each other's records. A *round* brings the entities that
//! changed, then the [`Head`] that says of which offset of `events` the whole is. A record without a value is a
//! tombstone, which compaction forgets after a while, so that nothing may depend on it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::codec::Format;
use crate::ids::{ClaimId, Offset};

/// The header of a record on `snapshots`; its value is what the header says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Published {
    /// Draws a place in the log: a publisher's epoch, or the end up to which somebody reads. No value.
    Mark {
        /// Tells the mark apart from all others.
        id: ClaimId,
    },
    /// All records of a round are before this one.
    Head(Head),
    /// An entity. The value is an encoded [`Body`], or the end of one whose beginning lies in pieces, or a mark of
    /// its removal: only behind the head of its round that record comes again as a tombstone.
    Entity(Entry),
    /// A piece of an encoded [`Body`]; the entity's own record follows with the rest.
    Piece(Piece),
    /// A key that nothing refers to any more. No value.
    Gone,
}

impl Format for Published {
    const NAME: &'static str = "snapshots";
    const VERSION: u8 = 1;
}

/// The state of a partition at an offset of `events`. The value is the fold's header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The publisher's epoch.
    pub epoch: Offset,
    /// 1, 2, 3 … within the epoch.
    pub round: u64,
    /// The last valid record of `events` that the fold's header has seen.
    pub position: Offset,
    /// How many records of entities count after this round: one for each that is there, and one for each that was
    /// removed behind `position`.
    pub records: u64,
    /// The sum of [`digest`] over them.
    pub digest: u128,
    /// crc32c of the value.
    pub crc: u32,
}

/// What becomes of one entity in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The publisher's epoch.
    pub epoch: Offset,
    /// The round that it belongs to.
    pub round: u64,
    /// The entity that the record is about, also where it was removed.
    pub address: Address,
    /// All records of `events` up to this offset are in it; may lie behind the position of its round.
    pub as_of: Offset,
    /// The `as_of` of its record in an earlier round, if that counted.
    pub replaces: Option<Offset>,
    /// Where its bytes are.
    pub content: Content,
}

/// Where an entity's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// It was removed.
    Removed,
    /// In this record's value.
    Here {
        /// crc32c of the value.
        crc: u32,
    },
    /// In pieces, one behind the other, and the rest in this record's value: an empty one would be a tombstone.
    Pieces {
        /// Their common number.
        write: u64,
        /// How many pieces, without this record's value.
        count: u32,
        /// crc32c of all of them together.
        crc: u32,
    },
}

/// A piece of an entity that is larger than one record should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The publisher's epoch.
    pub epoch: Offset,
    /// Another one for each time that the publisher writes in pieces.
    pub write: u64,
    /// The entity that the piece is of.
    pub address: Address,
    /// 0, 1, 2 …
    pub index: u32,
}

/// An entity's bytes, as its snapshot store keeps them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// The entity's record, as the snapshot store keeps it.
    pub record: Bytes,
    /// Its timers and watching edges, when it has any.
    pub pending: Option<Bytes>,
}

impl Format for Body {
    const NAME: &'static str = "published-entity";
    const VERSION: u8 = 1;
}

/// The value of a removed entity's record within its round.
pub const REMOVED: &[u8] = b"removed";

/// The key of a mark: one of its own, so that nobody's later mark lets compaction take it away before it was read.
#[must_use]
pub fn mark_key(id: ClaimId) -> String {
    format!("mark/{id}")
}

impl Head {
    /// The key of an epoch's head.
    #[must_use]
    pub fn key(epoch: Offset) -> String {
        format!("{epoch}")
    }
}

impl Entry {
    /// The key of an entity in an epoch.
    #[must_use]
    pub fn key(epoch: Offset, address: &Address) -> String {
        format!("{epoch}/{address}")
    }
}

impl Piece {
    /// The key of a piece: another one for each write, so that one that is cut short leaves the former whole.
    #[must_use]
    pub fn key(&self) -> String {
        format!(
            "{}+{}.{}/{}",
            self.epoch, self.write, self.index, self.address
        )
    }
}

/// What one entity adds to a head's digest: FNV-1a with 128 bits (draft-eastlake-fnv) of its `as_of` and address.
#[must_use]
pub fn digest(address: &Address, as_of: Offset) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bytes = as_of.0.to_le_bytes().into_iter();
    let bytes = bytes.chain(address.as_str().bytes());
    bytes.fold(BASIS, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored digests must stay comparable; the numbers are those of the algorithm's definition.
    #[test]
    fn the_digest_is_pinned() {
        let address: Address = "board/7".parse().unwrap();
        let of = |offset| digest(&address, Offset(offset));
        assert_eq!(of(0), expected(&[0; 8]));
        assert_eq!(of(258), expected(&[2, 1, 0, 0, 0, 0, 0, 0]));
        assert_ne!(of(0), of(258));
    }

    fn expected(offset: &[u8; 8]) -> u128 {
        let mut hash: u128 = 144_066_263_297_769_815_596_495_629_667_062_367_629;
        for byte in offset.iter().chain(b"board/7") {
            hash ^= u128::from(*byte);
            hash = hash.wrapping_mul((1 << 88) + 0x13b);
        }
        hash
    }
}
