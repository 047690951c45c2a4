//! Follows one partition: finds a fetching instance that has room for it, and reads what arrives.

use std::pin::Pin;
use std::sync::Arc;

use tokio::task::AbortHandle;
use xp_protocol::Offset;

use super::fetchers::Fetchers;
use super::mailbox::Mailbox;
use crate::log::{ReadError, Reader, Stored, TopicPartition};

/// An outage is waited out; only what is certain is an error.
pub(super) struct FetchingReader {
    mailbox: Arc<Mailbox>,
    attaching: AbortHandle,
}

impl FetchingReader {
    pub(super) fn open(fetchers: Arc<Fetchers>, at: TopicPartition, from: Offset) -> Self {
        let mailbox = Arc::new(Mailbox::from(from));
        let filled = Arc::clone(&mailbox);
        let attaching = tokio::spawn(async move {
            if let Err(error) = fetchers.attach(&at, &filled).await {
                filled.fail(error);
            }
        });
        Self {
            mailbox,
            attaching: attaching.abort_handle(),
        }
    }
}

impl Reader for FetchingReader {
    fn next(
        &mut self,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Stored>, ReadError>> + Send + '_>> {
        Box::pin(self.mailbox.next())
    }
}

impl Drop for FetchingReader {
    fn drop(&mut self) {
        self.attaching.abort();
        self.mailbox.close();
    }
}
