//! The entities that a snapshot store has changed since they were published.

use std::collections::BTreeSet;

use xp_protocol::Address;

/// Held by whoever writes the store or publishes it, so that neither sees the other's work half done.
#[derive(Debug, Default)]
pub struct Changes {
    since: Option<Since>,
}

#[derive(Debug)]
struct Since {
    addresses: BTreeSet<Address>,
    max: usize,
    too_many: bool,
}

impl Changes {
    /// From now on up to `max` changes are kept.
    pub fn begin(&mut self, max: usize) {
        self.since = Some(Since {
            addresses: BTreeSet::new(),
            max,
            too_many: false,
        });
    }

    /// Nobody publishes any more.
    pub fn end(&mut self) {
        self.since = None;
    }

    /// These entities have other records in the store now.
    pub fn note<'a>(&mut self, addresses: impl IntoIterator<Item = &'a Address>) {
        let Some(since) = self.since.as_mut().filter(|since| !since.too_many) else {
            return;
        };
        since.addresses.extend(addresses.into_iter().cloned());
        if since.addresses.len() > since.max {
            since.too_many = true;
            since.addresses.clear();
        }
    }

    /// What changed since the last call; `None` when it was too much to keep, or is not kept.
    pub fn take(&mut self) -> Option<BTreeSet<Address>> {
        let since = self.since.as_mut().filter(|since| !since.too_many)?;
        Some(std::mem::take(&mut since.addresses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: usize) -> Address {
        Address::new("thing", &n.to_string()).unwrap()
    }

    #[test]
    fn changes_are_kept_once_from_the_beginning_on() {
        let mut changes = Changes::default();
        changes.note([&address(1)]);
        assert_eq!(changes.take(), None);
        changes.begin(2);
        assert_eq!(changes.take(), Some(BTreeSet::new()));
        changes.note([&address(2), &address(3), &address(2)]);
        assert_eq!(changes.take().map(|taken| taken.len()), Some(2));
        assert_eq!(changes.take(), Some(BTreeSet::new()));
    }

    #[test]
    fn too_many_changes_are_none_that_could_be_told() {
        let mut changes = Changes::default();
        changes.begin(2);
        let addresses: Vec<_> = (0..3).map(address).collect();
        changes.note(&addresses);
        changes.note([&address(1)]);
        assert_eq!(changes.take(), None);
        changes.begin(2);
        assert!(changes.take().is_some());
    }
}
