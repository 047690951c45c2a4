//! Outputs that are too large for one record: cut into pieces, and sent at a pace that neither the log nor an edge is
//! overrun by (R41).

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use xp_protocol::outbound::{Delivery, Item, Outbound, Recipients, Socket, Transfer};
use xp_protocol::{Epoch, PartitionId, TimeMs, codec};
use xp_transport::Record;

use crate::limits::Limits;

/// Pieces are named from here on, and chain records below.
const FIRST_ID: u64 = 1 << 63;
/// The time within which no more than `large_flight_bytes_max` leave, in milliseconds: where `outbound` lives in memory
/// an append is acknowledged at once, whether or not anybody has read it.
pub const PACE_MS: u64 = 20;

/// A record outside the chain that waits to be sent, whole or in pieces.
#[derive(Clone, Debug)]
pub struct Cut {
    partition: PartitionId,
    record: Record,
    /// Whose budget it counts against: the one session's that it is for.
    payer: Option<Box<str>>,
    /// How it is cut, when it is too large for one record.
    pieces: Option<Pieces>,
}

#[derive(Clone, Debug)]
struct Pieces {
    transfer: Transfer,
    to: Vec<Socket>,
    deliveries: Vec<Delivery>,
    next: u32,
}

/// One record to be appended; its acknowledgement is asked for under its name.
#[derive(Debug)]
pub struct Portion {
    /// Names it for the acknowledgement; never used twice by one owner.
    pub id: u64,
    /// Where it goes.
    pub partition: PartitionId,
    /// A piece, or a whole record that leaves at the same pace.
    pub record: Record,
}

/// Everything large that a partition has to send, in order.
#[derive(Debug, Default)]
pub struct Large {
    queue: VecDeque<Cut>,
    /// Bytes that are not acknowledged, by name.
    flying: BTreeMap<u64, (usize, Option<Box<str>>)>,
    flying_bytes: usize,
    /// Bytes made and not acknowledged.
    bytes: usize,
    by_payer: BTreeMap<Box<str>, usize>,
    next_id: u64,
    next_transfer: u64,
    paced_at: TimeMs,
    paced_bytes: usize,
}

/// Whether an emission of this name is none of the chain, but one of these.
#[must_use]
pub fn is_large(id: u64) -> bool {
    id >= FIRST_ID
}

/// The bytes of a record on the wire.
#[must_use]
pub fn record_bytes(record: &Record) -> usize {
    record.key.len() + record.header.len() + record.value.len()
}

impl Large {
    /// Takes a record into account, and cuts it when it is larger than a piece may be. `None` when it can be sent to
    /// nobody in particular: what is for everybody is volatile, and bounded like a record.
    pub fn cut(
        &mut self,
        (partition, record): (PartitionId, Record),
        epoch: Epoch,
        payer: Option<Box<str>>,
        limits: &Limits,
    ) -> Option<Cut> {
        let bytes = record_bytes(&record);
        let pieces = if bytes > limits.piece_bytes() {
            self.next_transfer += 1;
            let number = self.next_transfer;
            Some(Pieces::of(&record, Transfer { epoch, number })?)
        } else {
            None
        };
        self.bytes += bytes;
        if let Some(payer) = &payer {
            *self.by_payer.entry(payer.clone()).or_default() += bytes;
        }
        Some(Cut {
            partition,
            record,
            payer,
            pieces,
        })
    }

    /// Puts it behind everything that waits.
    pub fn push(&mut self, cut: Cut) {
        self.queue.push_back(cut);
    }

    /// Bytes made and not acknowledged.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Those of them that one subject waits for.
    #[must_use]
    pub fn bytes_of(&self, subject: &str) -> usize {
        self.by_payer.get(subject).copied().unwrap_or_default()
    }

    /// When more may leave, if anything waits for nothing but the time.
    #[must_use]
    pub fn wakes_at(&self, limits: &Limits) -> Option<TimeMs> {
        let paced = self.paced_bytes >= limits.large.flight_bytes_max.bytes();
        (paced && !self.queue.is_empty()).then(|| self.paced_at.plus_ms(PACE_MS))
    }

    /// The next record that may leave now.
    pub fn next(&mut self, now: TimeMs, limits: &Limits) -> Option<Portion> {
        if now.since_ms(self.paced_at) >= PACE_MS || now < self.paced_at {
            (self.paced_at, self.paced_bytes) = (now, 0);
        }
        if self.flying_bytes.max(self.paced_bytes) >= limits.large.flight_bytes_max.bytes() {
            return None;
        }
        let first = self.queue.front_mut()?;
        let (record, bytes, last) = first.next(limits.piece_bytes());
        let (partition, payer) = (first.partition, first.payer.clone());
        if last {
            self.queue.pop_front();
        }
        let id = FIRST_ID + self.next_id;
        self.next_id += 1;
        self.flying.insert(id, (bytes, payer));
        self.flying_bytes += bytes;
        self.paced_bytes += bytes;
        Some(Portion {
            id,
            partition,
            record,
        })
    }

    /// A record was appended or not; what did not arrive is asked for again by whoever waits for it (R22). Says whether
    /// it was one of these.
    pub fn acknowledged(&mut self, id: u64) -> bool {
        if let Some((bytes, payer)) = self.flying.remove(&id) {
            self.flying_bytes -= bytes;
            self.forget(bytes, payer.as_deref());
        }
        is_large(id)
    }

    fn forget(&mut self, bytes: usize, payer: Option<&str>) {
        self.bytes = self.bytes.saturating_sub(bytes);
        let Some((payer, left)) = payer.and_then(|payer| self.by_payer.get_key_value(payer)) else {
            return;
        };
        let (payer, left) = (payer.clone(), left.saturating_sub(bytes));
        if left == 0 {
            self.by_payer.remove(&payer);
        } else {
            self.by_payer.insert(payer, left);
        }
    }
}

impl Cut {
    /// The next record that leaves, how many bytes of the whole are gone with it, and whether these were the last.
    fn next(&mut self, piece_bytes: usize) -> (Record, usize, bool) {
        let around = self.record.key.len() + self.record.header.len();
        let Some(pieces) = &mut self.pieces else {
            let record = std::mem::take(&mut self.record);
            let bytes = record_bytes(&record);
            return (record, bytes, true);
        };
        let value = &mut self.record.value;
        let payload = value.split_to(value.len().min(piece_bytes));
        let last = value.is_empty();
        let bytes = payload.len() + if last { around } else { 0 };
        let record = pieces.piece(self.record.key.clone(), payload, last);
        (record, bytes, last)
    }
}

impl Pieces {
    fn of(record: &Record, transfer: Transfer) -> Option<Self> {
        let header: Outbound = codec::decode(&record.header).ok()?;
        let mut to: Vec<Socket> = Vec::new();
        for delivery in &header.deliveries {
            let Recipients::Only(sockets) = &delivery.to else {
                return None;
            };
            to.extend(sockets);
        }
        to.sort_unstable();
        to.dedup();
        Some(Self {
            transfer,
            to,
            deliveries: header.deliveries,
            next: 0,
        })
    }

    fn piece(&mut self, key: Bytes, payload: Bytes, last: bool) -> Record {
        let (transfer, index) = (self.transfer, self.next);
        self.next += 1;
        let item = if last {
            Item::LastPiece {
                transfer,
                index,
                deliveries: std::mem::take(&mut self.deliveries),
            }
        } else {
            Item::Piece { transfer, index }
        };
        let payload_bytes = u32::try_from(payload.len()).expect("a piece is far below 4 GiB");
        let header = Outbound {
            link: None,
            deliveries: vec![Delivery {
                to: Recipients::Only(self.to.clone()),
                item,
                payload_bytes,
            }],
        };
        Record {
            key,
            header: codec::encode(&header).into(),
            value: payload,
            ..Record::default()
        }
    }
}
