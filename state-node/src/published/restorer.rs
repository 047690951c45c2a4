//! The fold of `snapshots`: which epoch counts, and whether it is whole.
//!
//! The newest record of each key counts. A reader may come between the records of a round, and compaction may take an
//! older record away before the newer one is read: both show in the digest, and both end by reading on.

use std::collections::{BTreeMap, HashMap};

use bytes::{Bytes, BytesMut};
use xp_protocol::codec::{self, DecodeError};
use xp_protocol::snapshots::{Body, Content, Entry, Head, Piece, Published, digest};
use xp_protocol::{Address, Offset};
use xp_transport::Stored;

/// A record that nobody may guess at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// Its header cannot be read.
    #[error("the record at offset {offset} cannot be read: {error}")]
    Header {
        /// The offset of the record in `snapshots`.
        offset: Offset,
        /// What the decoder said.
        error: DecodeError,
    },
    /// Its value is not what was written.
    #[error("the value at offset {offset} fails its checksum")]
    Value {
        /// The offset of the record in `snapshots`.
        offset: Offset,
    },
    /// More waits than a publisher leaves behind.
    #[error(
        "the pieces of entities that are not whole exceed {bytes_max} bytes at offset {offset}"
    )]
    Pieces {
        /// The offset at which the bound was passed.
        offset: Offset,
        /// The most bytes of pieces that may wait for their entity.
        bytes_max: usize,
    },
}

/// The word of a record.
///
/// # Errors
/// [`Damaged::Header`].
pub fn word(stored: &Stored) -> Result<Published, Damaged> {
    codec::decode(&stored.record.header).map_err(|error| Damaged::Header {
        offset: stored.offset,
        error,
    })
}

/// The epoch that a record belongs to.
#[must_use]
pub fn epoch(word: &Published) -> Option<Offset> {
    match word {
        Published::Mark { .. } | Published::Gone => None,
        Published::Head(head) => Some(head.epoch),
        Published::Entity(entry) => Some(entry.epoch),
        Published::Piece(piece) => Some(piece.epoch),
    }
}

/// A first reading: what there is.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    heads: BTreeMap<Offset, Head>,
}

impl Survey {
    /// Looks at a record.
    pub fn take(&mut self, word: &Published) {
        if let Published::Head(head) = word {
            self.heads.insert(head.epoch, head.clone());
        }
    }

    /// The head that counts: that of the latest epoch which has one.
    #[must_use]
    pub fn best(&self) -> Option<&Head> {
        self.heads.last_key_value().map(|(_, head)| head)
    }
}

/// An entity as a snapshot store takes it; `None` when it was removed.
pub type Filled = (Address, Option<Body>);

/// Reads one epoch.
#[derive(Clone, Debug)]
pub struct Restorer {
    epoch: Offset,
    pieces_bytes_max: usize,
    head: Option<(Head, Bytes)>,
    entities: HashMap<Address, Seen>,
    /// Those whose entity's record was not read yet, by entity and write.
    pieces: HashMap<Address, BTreeMap<u64, Pieces>>,
    pieces_bytes: usize,
    /// The latest epoch that has a head.
    latest: Offset,
}

type Pieces = BTreeMap<u32, Bytes>;

#[derive(Clone, Copy, Debug)]
struct Seen {
    round: u64,
    as_of: Offset,
    replaces: Option<Offset>,
    is_there: bool,
    is_whole: bool,
}

/// How far a reading is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Everything of the head's round is there.
    Whole(Restored),
    /// Something is missing that a later record may bring: the reason.
    Unfinished(String),
    /// A later epoch has a head now.
    Overtaken(Offset),
}

/// A partition's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The fold's header.
    pub fold: Bytes,
    /// The last record of `events` that it has seen.
    pub position: Offset,
    /// Entities of a later time, and up to which offset: the fold's header must see those records, and they must not.
    pub ahead: Vec<(Address, Offset)>,
}

impl Restorer {
    /// Reads `epoch`. Pieces that wait for their entity's record take up to `pieces_bytes_max`.
    #[must_use]
    pub fn new(epoch: Offset, pieces_bytes_max: usize) -> Self {
        Self {
            epoch,
            pieces_bytes_max,
            head: None,
            entities: HashMap::new(),
            pieces: HashMap::new(),
            pieces_bytes: 0,
            latest: epoch,
        }
    }

    /// Takes the next record; what is to be stored, if anything.
    ///
    /// # Errors
    /// [`Damaged`].
    pub fn take(&mut self, stored: &Stored) -> Result<Option<Filled>, Damaged> {
        let word = word(stored)?;
        if let Published::Head(head) = &word {
            self.latest = self.latest.max(head.epoch);
        }
        if epoch(&word) != Some(self.epoch) {
            return Ok(None);
        }
        let value = &stored.record.value;
        let fits = |crc| fits(stored.offset, value, crc);
        match word {
            Published::Head(head) => {
                fits(head.crc)?;
                self.head = Some((head, value.clone()));
                Ok(None)
            }
            Published::Piece(piece) => self.piece(stored.offset, piece, value),
            Published::Entity(entry) => match entry.content {
                Content::Here { crc } => {
                    fits(crc)?;
                    let body = self.body(stored.offset, value)?;
                    Ok(Some(self.note(entry, Some(body))))
                }
                Content::Removed => Ok(Some(self.note(entry, None))),
                Content::Pieces { write, count, crc } => {
                    self.assemble(stored, entry, (write, count, crc))
                }
            },
            Published::Mark { .. } | Published::Gone => Ok(None),
        }
    }

    fn body(&self, offset: Offset, bytes: &[u8]) -> Result<Body, Damaged> {
        codec::decode(bytes).map_err(|error| Damaged::Header { offset, error })
    }

    fn note(&mut self, entry: Entry, body: Option<Body>) -> Filled {
        // What is left of former writes: their own record was compacted away.
        self.take_pieces(&entry.address);
        let is_there = body.is_some();
        self.see(&entry, is_there, true);
        (entry.address, body)
    }

    fn see(&mut self, entry: &Entry, is_there: bool, is_whole: bool) {
        let seen = Seen {
            round: entry.round,
            as_of: entry.as_of,
            replaces: entry.replaces,
            is_there,
            is_whole,
        };
        self.entities.insert(entry.address.clone(), seen);
    }

    fn piece(
        &mut self,
        offset: Offset,
        piece: Piece,
        value: &Bytes,
    ) -> Result<Option<Filled>, Damaged> {
        let writes = self.pieces.entry(piece.address).or_default();
        let pieces = writes.entry(piece.write).or_default();
        let former = pieces.insert(piece.index, value.clone());
        self.pieces_bytes += value.len();
        self.pieces_bytes -= former.map_or(0, |former| former.len());
        if self.pieces_bytes > self.pieces_bytes_max {
            let bytes_max = self.pieces_bytes_max;
            return Err(Damaged::Pieces { offset, bytes_max });
        }
        Ok(None)
    }

    fn take_pieces(&mut self, address: &Address) -> BTreeMap<u64, Pieces> {
        let writes = self.pieces.remove(address).unwrap_or_default();
        let pieces = writes.values().flat_map(BTreeMap::values);
        self.pieces_bytes -= pieces.map(Bytes::len).sum::<usize>();
        writes
    }

    /// Pieces may be missing when a newer write has put them away: then its record comes later.
    fn assemble(
        &mut self,
        stored: &Stored,
        entry: Entry,
        (write, count, crc): (u64, u32, u32),
    ) -> Result<Option<Filled>, Damaged> {
        let pieces = self.take_pieces(&entry.address).remove(&write);
        let pieces = pieces.unwrap_or_default();
        if !(0..count).eq(pieces.keys().copied()) {
            self.see(&entry, true, false);
            return Ok(None);
        }
        let mut whole = BytesMut::new();
        for piece in pieces.values() {
            whole.extend_from_slice(piece);
        }
        whole.extend_from_slice(&stored.record.value);
        fits(stored.offset, &whole, crc)?;
        let body = self.body(stored.offset, &whole)?;
        Ok(Some(self.note(entry, Some(body))))
    }

    /// Whether what was read so far is the whole state at a head.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.latest > self.epoch {
            return Standing::Overtaken(self.latest);
        }
        let Some((head, fold)) = &self.head else {
            return Standing::Unfinished("there is no head".to_owned());
        };
        match self.tally(head) {
            Ok(found) if found == (head.records, head.digest) => Standing::Whole(Restored {
                fold: fold.clone(),
                position: head.position,
                ahead: self.ahead(head.position),
            }),
            Ok((found, _)) => Standing::Unfinished(format!(
                "its head counts {} entities, and those that were read are {found} or others",
                head.records
            )),
            Err(reason) => Standing::Unfinished(reason),
        }
    }

    /// The records that the head counts and their digest, as far as the newest records tell.
    fn tally(&self, head: &Head) -> Result<(u64, u128), String> {
        let (mut count, mut sum) = (0, 0_u128);
        for (address, seen) in &self.entities {
            if !seen.is_whole {
                return Err(format!("pieces of {address} are missing"));
            }
            let at_head = match seen.round {
                round if round <= head.round => {
                    let counts = seen.is_there || seen.as_of > head.position;
                    counts.then_some(seen.as_of)
                }
                // The next round has begun: it says what it replaced.
                round if round == head.round + 1 => seen.replaces,
                _ => return Err(format!("{address} is of a later round than the head")),
            };
            if let Some(as_of) = at_head {
                count += 1;
                sum = sum.wrapping_add(digest(address, as_of));
            }
        }
        Ok((count, sum))
    }

    fn ahead(&self, position: Offset) -> Vec<(Address, Offset)> {
        let later = self
            .entities
            .iter()
            .filter(|(_, seen)| seen.as_of > position);
        let mut ahead: Vec<_> = later.map(|(a, seen)| (a.clone(), seen.as_of)).collect();
        ahead.sort();
        ahead
    }
}

fn fits(offset: Offset, bytes: &[u8], crc: u32) -> Result<(), Damaged> {
    if crc32c::crc32c(bytes) == crc {
        Ok(())
    } else {
        Err(Damaged::Value { offset })
    }
}
