//! Records of `events`: an entity's address as the key, the event as the header.

use bytes::Bytes;
use xp_protocol::Address;
use xp_protocol::codec;
use xp_protocol::events::Event;
use xp_transport::{Record, Stored};

/// The address in a record's key.
pub(crate) fn key(stored: &Stored) -> Option<Address> {
    std::str::from_utf8(&stored.record.key).ok()?.parse().ok()
}

/// A record of `events`.
pub(super) fn record(address: Option<&Address>, event: &Event, value: Bytes) -> Record {
    let key = address.map_or_else(Bytes::new, |address| {
        Bytes::copy_from_slice(address.as_str().as_bytes())
    });
    Record {
        key,
        header: codec::encode(event).into(),
        value,
    }
}

/// A record about the whole partition.
pub(super) fn bare(event: &Event) -> Record {
    record(None, event, Bytes::new())
}
