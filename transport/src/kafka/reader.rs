//! Follows one partition: finds a fetching instance that has room for it, and reads what arrives.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use xp_protocol::Offset;

use super::fetcher::Fetcher;
use super::fetchers::Fetchers;
use super::mailbox::Mailbox;
use crate::log::{ReadError, Reader, Stored, TopicPartition};

/// An outage is waited out; only what is certain is an error.
pub(super) struct FetchingReader {
    mailbox: Arc<Mailbox>,
    fetcher: Arc<OnceLock<Arc<Fetcher>>>,
    attaching: AbortHandle,
}

impl FetchingReader {
    pub(super) fn open(fetchers: Arc<Fetchers>, at: TopicPartition, from: Offset) -> Self {
        let mailbox = Arc::new(Mailbox::from(from));
        let fetcher = Arc::new(OnceLock::new());
        let (filled, found) = (Arc::clone(&mailbox), Arc::clone(&fetcher));
        let attaching = tokio::spawn(async move {
            match fetchers.attach(&at, &filled).await {
                Ok(fetcher) => drop(found.set(fetcher)),
                Err(error) => filled.fail(error),
            }
        });
        Self {
            mailbox,
            fetcher,
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
    /// Others may be waiting for its place, so it is not left to the next turn of the fetching thread.
    fn drop(&mut self) {
        self.attaching.abort();
        self.mailbox.close();
        if let (Some(fetcher), Ok(runtime)) = (self.fetcher.get(), Handle::try_current()) {
            let fetcher = Arc::clone(fetcher);
            runtime.spawn_blocking(move || fetcher.look_after());
        }
    }
}
