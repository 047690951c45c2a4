//! The records of a publisher: the entities of a round, then its head. It appends nothing itself.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use xp_protocol::codec;
use xp_protocol::snapshots::{Body, Content, Entry, Head, Piece, Published, REMOVED, digest};
use xp_protocol::{Address, Offset};
use xp_transport::Record;

/// One publisher's epoch. The caller appends what it returns in order, the kinds of a [`Written`] and each head only when
/// all before it is acknowledged; after a failed append it begins a new epoch, because what failed may still arrive later.
#[derive(Clone, Debug)]
pub struct Publisher {
    epoch: Offset,
    /// The round that is being written.
    round: u64,
    piece_bytes: usize,
    writes: u64,
    /// Every entity of the epoch, and what was removed so late that a reader must see it.
    known: HashMap<Address, Known>,
    digest: u128,
    /// What entities that this round has written were before it; not kept in the first one, before which nothing was.
    before: HashMap<Address, Option<Offset>>,
    /// What was removed behind the last head's position, or in this round.
    removed: BTreeMap<Address, Entry>,
    /// What was removed before it and has no tombstone yet.
    settled: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    as_of: Offset,
    /// The number and count of its pieces.
    pieces: Option<(u64, u32)>,
}

/// The records of one write of an entity. The log may take some records of an append and lose others, so each kind is
/// appended only when the one before it is acknowledged: what refers to a piece must never be there without it.
#[derive(Clone, Debug)]
pub struct Written {
    /// All of its value but the end, where it is large.
    pub pieces: Vec<Record>,
    /// Its own record.
    pub entity: Record,
    /// The tombstones of the pieces that its former record referred to.
    pub gone: Vec<Record>,
}

/// A record of `snapshots`; without a value it is a tombstone.
#[must_use]
pub fn record(key: String, word: &Published, value: Bytes) -> Record {
    Record {
        key: key.into(),
        header: codec::encode(word).into(),
        value,
        ..Record::default()
    }
}

/// The tombstone of a key that nothing refers to.
#[must_use]
pub fn gone(key: Bytes) -> Record {
    Record {
        key,
        header: codec::encode(&Published::Gone).into(),
        value: Bytes::new(),
        ..Record::default()
    }
}

impl Publisher {
    /// Begins an epoch: the offset of a mark that is acknowledged. Entities of more than `piece_bytes` are written
    /// in pieces of that size.
    #[must_use]
    pub fn new(epoch: Offset, piece_bytes: usize) -> Self {
        Self {
            epoch,
            round: 1,
            piece_bytes: piece_bytes.max(1),
            writes: 0,
            known: HashMap::new(),
            digest: 0,
            before: HashMap::new(),
            removed: BTreeMap::new(),
            settled: Vec::new(),
        }
    }

    /// The offset of its mark: a publisher whose mark lies further on takes over from it.
    #[must_use]
    pub fn epoch(&self) -> Offset {
        self.epoch
    }

    /// Records of entities that count.
    #[must_use]
    pub fn records(&self) -> usize {
        self.known.len()
    }

    /// An entity as it is at `as_of`; `None` when there is none.
    pub fn entity(&mut self, address: &Address, body: Option<&Body>, as_of: Offset) -> Written {
        let former = self.known.get(address).copied();
        let replaces = self.replaces(address, former);
        let mut pieces = Vec::new();
        let (content, value) = match body {
            None => (Content::Removed, Bytes::from_static(REMOVED)),
            Some(body) => self.content(address, body, &mut pieces),
        };
        let entry = Entry {
            epoch: self.epoch,
            round: self.round,
            address: address.clone(),
            as_of,
            replaces,
            content,
        };
        self.removed.remove(address);
        if content == Content::Removed {
            self.removed.insert(address.clone(), entry.clone());
        }
        let key = Entry::key(self.epoch, address);
        let former_pieces = former.and_then(|known| known.pieces);
        self.note(address, content, as_of, former);
        Written {
            pieces,
            entity: record(key, &Published::Entity(entry), value),
            gone: self.pieces_gone(address, former_pieces),
        }
    }

    fn replaces(&mut self, address: &Address, former: Option<Known>) -> Option<Offset> {
        let former = former.map(|known| known.as_of);
        match self.round {
            1 => None,
            _ => *self.before.entry(address.clone()).or_insert(former),
        }
    }

    /// The value of an entity's record, or its pieces before it.
    fn content(
        &mut self,
        address: &Address,
        body: &Body,
        records: &mut Vec<Record>,
    ) -> (Content, Bytes) {
        let bytes: Bytes = codec::encode(body).into();
        let crc = crc32c::crc32c(&bytes);
        if bytes.len() <= self.piece_bytes {
            return (Content::Here { crc }, bytes);
        }
        self.writes += 1;
        let write = self.writes;
        let mut rest = bytes;
        let mut count = 0;
        while rest.len() > self.piece_bytes {
            let piece = self.piece(address, write, count);
            let (key, value) = (piece.key(), rest.split_to(self.piece_bytes));
            records.push(record(key, &Published::Piece(piece), value));
            count += 1;
        }
        (Content::Pieces { write, count, crc }, rest)
    }

    fn piece(&self, address: &Address, write: u64, index: u32) -> Piece {
        Piece {
            epoch: self.epoch,
            write,
            address: address.clone(),
            index,
        }
    }

    fn pieces_gone(&self, address: &Address, pieces: Option<(u64, u32)>) -> Vec<Record> {
        let (write, count) = pieces.unwrap_or_default();
        let key = |index| self.piece(address, write, index).key().into();
        (0..count).map(|index| gone(key(index))).collect()
    }

    fn note(&mut self, address: &Address, content: Content, as_of: Offset, former: Option<Known>) {
        if let Some(former) = former {
            self.digest = self.digest.wrapping_sub(digest(address, former.as_of));
        }
        let pieces = match content {
            Content::Removed | Content::Here { .. } => None,
            Content::Pieces { write, count, .. } => Some((write, count)),
        };
        self.digest = self.digest.wrapping_add(digest(address, as_of));
        self.known.insert(address.clone(), Known { as_of, pieces });
    }

    /// Ends the round: all entities that changed up to `position` are written, and `fold` is the header there.
    pub fn head(&mut self, fold: Bytes, position: Offset) -> Record {
        self.settle(position);
        let head = Head {
            epoch: self.epoch,
            round: self.round,
            position,
            records: self.known.len() as u64,
            digest: self.digest,
            crc: crc32c::crc32c(&fold),
        };
        self.round += 1;
        self.before.clear();
        record(Head::key(self.epoch), &Published::Head(head), fold)
    }

    /// What was removed up to here is nothing that a reader must see any more.
    fn settle(&mut self, position: Offset) {
        let settled = self.removed.extract_if(.., |_, e| e.as_of <= position);
        for (address, entry) in settled {
            self.known.remove(&address);
            self.digest = self.digest.wrapping_sub(digest(&address, entry.as_of));
            self.settled.push(entry);
        }
    }

    /// The tombstones of what was removed up to the last head, to be appended when that is acknowledged and before the
    /// next round.
    pub fn tombstones(&mut self) -> Vec<Record> {
        let tombstone = |entry: Entry| {
            let key = Entry::key(entry.epoch, &entry.address);
            record(key, &Published::Entity(entry), Bytes::new())
        };
        self.settled.drain(..).map(tombstone).collect()
    }
}
