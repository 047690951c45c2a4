//! Reads with an end.

use xp_protocol::Offset;
use xp_transport::{ReadError, Reader, Stored};

pub(super) async fn next(reader: &mut Option<Box<dyn Reader>>) -> Result<Vec<Stored>, ReadError> {
    match reader {
        Some(reader) => reader.next().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn read_upto(
    mut reader: Box<dyn Reader>,
    end: Offset,
) -> Result<Vec<Stored>, ReadError> {
    let mut found: Vec<Stored> = Vec::new();
    while found.last().is_none_or(|last| last.offset.next() < end) {
        found.extend(reader.next().await?);
    }
    found.retain(|stored| stored.offset < end);
    Ok(found)
}

/// Everything before `end`, or `None` when it is gone or has more than `bytes_max` bytes.
pub(super) async fn read_bounded(
    mut reader: Box<dyn Reader>,
    end: Offset,
    bytes_max: usize,
) -> Option<Vec<Stored>> {
    let mut found: Vec<Stored> = Vec::new();
    let mut bytes = 0;
    while found.last().is_none_or(|last| last.offset.next() < end) {
        let batch = reader.next().await.ok()?;
        bytes += batch
            .iter()
            .map(|stored| stored.record.header.len() + stored.record.value.len())
            .sum::<usize>();
        if bytes > bytes_max {
            return None;
        }
        found.extend(batch);
    }
    Some(found)
}
