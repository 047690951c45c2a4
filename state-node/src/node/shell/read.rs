//! Reads of the log: a reader's next batch, and reads that end at an offset or after so many bytes. What is read is
//! folded elsewhere.

use xp_protocol::Offset;
use xp_transport::{ReadError, Reader, Stored};

use crate::anew::FoldingAnew;
use crate::large::record_bytes;
use crate::partition::FoldedAnew;

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

/// What is before `end`, or the first of it once that has `bytes_max` bytes; `None` when it is gone.
pub(super) async fn read_bounded(
    mut reader: Box<dyn Reader>,
    end: Offset,
    bytes_max: usize,
) -> Option<Vec<Stored>> {
    let mut found: Vec<Stored> = Vec::new();
    let mut bytes = 0;
    while bytes < bytes_max && found.last().is_none_or(|last| last.offset.next() < end) {
        let batch = reader.next().await.ok()?;
        bytes += batch
            .iter()
            .map(|stored| record_bytes(&stored.record))
            .sum::<usize>();
        found.extend(batch);
    }
    Some(found)
}

/// Reads until all entities are folded anew; domain code runs where it holds up nobody.
pub(super) async fn fold_anew(
    mut reader: Box<dyn Reader>,
    mut folding: FoldingAnew,
) -> Vec<FoldedAnew> {
    while !folding.is_done() {
        let batch = match reader.next().await {
            Ok(batch) => batch,
            Err(error) => return folding.fail(&error.to_string()),
        };
        let read = tokio::task::spawn_blocking(move || {
            folding.read(&batch);
            folding
        });
        folding = match read.await {
            Ok(folding) => folding,
            Err(error) => {
                tracing::error!(%error, "folding entities anew ended early; they stay in quarantine until `xp entity retry` or a restart");
                return Vec::new();
            }
        };
    }
    folding.finish()
}
