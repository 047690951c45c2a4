//! The backlog of a client: items for which the application has made no room yet.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use crate::item::Item;

/// Items in their order; while there are any, the socket is not read.
#[derive(Default)]
pub(crate) struct Backlog(VecDeque<Item>);

impl Backlog {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives an item to the application, or keeps it behind those that wait. Dropped is only what nobody listens for.
    pub(crate) fn show(&mut self, item: Item, items: &mpsc::Sender<Item>) {
        if !self.0.is_empty() {
            self.0.push_back(item);
        } else if let Err(mpsc::error::TrySendError::Full(item)) = items.try_send(item) {
            self.0.push_back(item);
        }
    }

    /// Moves one item to the application as soon as it has room; drops all when it no longer listens. Cancel-safe.
    pub(crate) async fn move_one(&mut self, items: &mpsc::Sender<Item>) {
        match (items.reserve().await, self.0.pop_front()) {
            (Ok(permit), Some(item)) => permit.send(item),
            _ => self.0.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use xp_protocol::Revision;

    use super::*;

    fn item(n: u64) -> Item {
        Item::Resumed { since: Revision(n) }
    }

    #[tokio::test]
    async fn items_come_in_order_however_slowly_they_are_taken() {
        let (items, mut taken) = mpsc::channel(1);
        let mut backlog = Backlog::default();
        for n in 0..3 {
            backlog.show(item(n), &items);
        }
        assert_eq!(taken.recv().await, Some(item(0)));
        // There is room now, and those that wait come first all the same.
        backlog.show(item(3), &items);
        for n in 1..4 {
            assert!(!backlog.is_empty());
            backlog.move_one(&items).await;
            assert_eq!(taken.recv().await, Some(item(n)));
        }
        assert!(backlog.is_empty());
    }

    #[tokio::test]
    async fn nothing_is_kept_for_who_no_longer_listens() {
        let (items, taken) = mpsc::channel(1);
        let mut backlog = Backlog::default();
        (0..3).for_each(|n| backlog.show(item(n), &items));
        drop(taken);
        backlog.move_one(&items).await;
        assert!(backlog.is_empty());
    }
}
