//! The frames in which a client sees a delivery.

use bytes::Bytes;
use xp_protocol::frame::{RequestId, ServerFrame};
use xp_protocol::outbound::Item;
use xp_protocol::{MessageNumber, Revision};

use super::EncodedFrame;

/// `welcome <revision> <n> fresh …`, or `welcome <since> <n> resumed` when nothing is shown.
pub(super) fn welcome(
    revision: Revision,
    n: MessageNumber,
    fresh: Option<(bool, &Bytes)>,
) -> EncodedFrame {
    let text = fresh.is_none_or(|(text, _)| text);
    let fresh = fresh.map(|(_, payload)| &payload[..]);
    let bytes = ServerFrame::Welcome { revision, n, fresh }.encode();
    EncodedFrame { bytes, text }
}

/// The frame of a delivery; `None` for what is no frame by itself.
pub(super) fn shown(item: &Item, payload: &Bytes) -> Option<EncodedFrame> {
    let payload = &payload[..];
    let (text, frame) = match item.clone() {
        Item::Event { revision, text } => (text, ServerFrame::Event { revision, payload }),
        Item::Ephemeral { text } => (text, ServerFrame::Ephemeral { payload }),
        Item::Reply { id, revision, text } => (
            text,
            ServerFrame::Reply {
                id,
                revision,
                payload,
            },
        ),
        Item::Reject { id, revision, text } => (
            text,
            ServerFrame::Reject {
                id,
                revision,
                payload,
            },
        ),
        Item::Fault { id, revision, code } => {
            let said = std::str::from_utf8(payload).unwrap_or_default();
            let fault = ServerFrame::Fault {
                id,
                revision,
                code,
                said,
            };
            (true, fault)
        }
        Item::Welcome { .. }
        | Item::Resumed { .. }
        | Item::Close { .. }
        | Item::Taken { .. }
        | Item::StillThere { .. }
        | Item::Piece { .. }
        | Item::LastPiece { .. }
        | Item::Resuming { .. } => return None,
    };
    let bytes = frame.encode();
    Some(EncodedFrame { bytes, text })
}

/// What an answer answers.
pub(super) fn answers(item: &Item) -> Option<&RequestId> {
    match item {
        Item::Reply { id, .. } | Item::Reject { id, .. } | Item::Fault { id, .. } => Some(id),
        _ => None,
    }
}

/// The commit a frame belongs to, by which a resume leaves out what a session has.
pub(super) fn revision(item: &Item) -> Option<Revision> {
    match item {
        Item::Event { revision, .. }
        | Item::Reply { revision, .. }
        | Item::Reject { revision, .. }
        | Item::Fault { revision, .. } => Some(*revision),
        _ => None,
    }
}
