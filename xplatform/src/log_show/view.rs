//! One partition as it is read, and what of it is printed.

use xp_protocol::{Offset, PartitionId};
use xp_transport::Stored;

use super::line::Entry;
use super::validity::Validity;
use crate::command_line::Show;

/// One partition, read up to somewhere.
pub(super) struct View {
    pub(super) topic: String,
    pub(super) partition: PartitionId,
    pub(super) next: Offset,
    validity: Validity,
}

impl View {
    /// A partition whose oldest record is at `first`.
    pub(super) fn new(topic: &str, partition: PartitionId, first: Offset) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
            next: first,
            validity: Validity::from(first),
        }
    }

    /// Whether a record counts follows from all before it, so all must pass through here even when printing begins
    /// later.
    pub(super) fn lines<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a Stored>,
        asked: &Show,
    ) -> String {
        let mut lines = String::new();
        for stored in records {
            self.next = stored.offset.next();
            let entry = Entry::new(&self.topic, self.partition, stored, &mut self.validity);
            if is_shown(stored, asked) {
                let text = if asked.json {
                    entry.json()
                } else {
                    entry.text()
                };
                lines.push_str(&text);
                lines.push('\n');
            }
        }
        lines
    }
}

fn is_shown(stored: &Stored, asked: &Show) -> bool {
    let is_about = asked
        .address
        .as_ref()
        .is_none_or(|address| stored.record.key == address.as_str().as_bytes());
    stored.offset >= asked.from && is_about
}
