//! How a socket is closed, so that the client learns why.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use xp_protocol::CloseCode;

use super::inlet::Inlet;
use super::writer::Writer;
use crate::node::Node;
use crate::outlet::Closing;
use crate::wire;

/// Closes a socket that may not come in.
pub(crate) async fn turn_away<R, W>(node: &Node, read: R, write: W, refused: &Closing)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut writer = Writer::new(write);
    writer.push(close_frame(refused));
    part(
        &mut writer,
        &mut Inlet::new(read),
        node.config.timing.close.0,
    )
    .await;
}

pub(super) fn close_frame(closing: &Closing) -> Bytes {
    let name = closing.code.name();
    let reason = match (closing.code, closing.detail.as_str()) {
        (CloseCode::ProtocolError, detail) if !detail.is_empty() => format!("{name}: {detail}"),
        _ => name.to_owned(),
    };
    wire::close(closing.code.number(), &reason)
}

/// Sends what is left, then reads on until the client has closed too: closing with unread bytes would
/// reset the socket, and the client might never see why.
pub(super) async fn part<R, W>(writer: &mut Writer<W>, inlet: &mut Inlet<R>, patience: Duration)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
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
