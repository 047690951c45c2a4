//! The closing of a socket, in such a way that the client learns why.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use xp_protocol::CloseCode;
use xp_protocol::plain::plain;

use super::inlet::Inlet;
use crate::backlog::Closing;
use crate::node::Node;
use crate::send_queue::Writer;
use crate::wire;

/// Closes a socket that may not come in, for this reason and with this reference.
pub(crate) async fn turn_away<R, W>(
    node: &Node,
    read: R,
    write: W,
    (refused, reference): (&Closing, &str),
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let mut writer = Writer::new(write);
    let is_told = explained(refused, node.config.explains);
    let frame = match is_told {
        true => close_frame(refused, true),
        false => wire::close(
            refused.code.number(),
            &format!("{} {reference}", refused.code.name()),
        ),
    };
    writer.push(frame);
    part(
        &mut writer,
        &mut Inlet::new(read),
        node.config.timing.close.0,
    )
    .await;
}

/// Whether the client hears the detail: where the edge explains itself, and what only its author can mend.
fn explained(closing: &Closing, explains: bool) -> bool {
    !closing.detail.is_empty() && (explains || closing.code == CloseCode::ProtocolError)
}

pub(super) fn close_frame(closing: &Closing, explains: bool) -> Bytes {
    let name = closing.code.name();
    let reason = match explained(closing, explains) {
        true => format!("{name}: {}", plain(&closing.detail)),
        false => name.to_owned(),
    };
    wire::close(closing.code.number(), &reason)
}

/// Sends what is left, then reads on until the client has closed too: closing with unread bytes would
/// reset the socket, and the client might never see why.
pub(super) async fn part<R>(writer: &mut Writer, inlet: &mut Inlet<R>, patience: Duration)
where
    R: AsyncRead + Unpin,
{
    let goodbye = async {
        writer.finish().await?;
        let mut rest = [0; 512];
        while inlet.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Late or broken, the socket is dropped all the same.
    let _ = tokio::time::timeout(patience, goodbye).await;
}
