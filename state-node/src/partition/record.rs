//! Records of `events`: an entity's address as the key, the event as the header.

use std::sync::Arc;

use bytes::Bytes;
use xp_protocol::codec;
use xp_protocol::events::{Attachment, Cause, Change, Commit, Event, Waiting};
use xp_protocol::{Address, ConnectionId};
use xp_transport::{Label, Record, Stored};

use crate::entity::Entity;

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
        ..Record::default()
    }
}

/// What strangers read of a commit that the entity has not seen yet. Its sender's session is known, or `begins` with it.
pub(super) fn label(entity: &Entity, commit: &Commit, begins: Option<&Attachment>) -> Arc<Label> {
    let subject = sender(commit).and_then(|sender| {
        let known = entity.runtime.session(sender);
        let socket = known.map(|session| &session.socket).or(begins)?;
        Some(socket.subject.clone())
    });
    Arc::new(Label {
        time: commit.now,
        revision: commit.revision,
        subject,
    })
}

/// The session whose message caused a commit, or whose socket came or went: what its changes name first. None where it was
/// a timer, the end of an edge or another entity.
fn sender(commit: &Commit) -> Option<ConnectionId> {
    let (Cause::Inbound(_), Some(first)) = (&commit.cause, commit.changes.first()) else {
        return None;
    };
    match first {
        Change::SessionBegun(socket) | Change::SessionAttached(socket) => Some(socket.connection),
        Change::SessionDetached { connection, .. }
        | Change::ClaimsChanged { connection, .. }
        | Change::Taken { connection, .. } => Some(*connection),
        Change::Parked(parked) => match &parked.what {
            Waiting::Disconnect { connection, .. } => Some(*connection),
            Waiting::Told { .. } => None,
        },
        _ => None,
    }
}

/// A record about the whole partition.
pub(super) fn bare(event: &Event) -> Record {
    record(None, event, Bytes::new())
}
