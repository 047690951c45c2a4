//! The fetching instances of each role and class. An instance has one position per partition, so a second reader of a partition
//! needs a second instance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::error::KafkaResult;
use tokio::sync::Notify;

use super::fetcher::Fetcher;
use super::instance::Shared;
use super::mailbox::Mailbox;
use super::metadata_client::MetadataClient;
use super::role::{Class, Role};
use crate::log::{ReadError, TopicPartition};

/// Instances per role and class. Readers of a partition beyond it wait for another one of the same partition to end: resumes
/// and gap reads are short, and each process follows a partition once.
const PER_ROLE_MAX: usize = 4;

/// One after the other, as many as readers of one partition needed at once.
type Instances = Vec<Arc<Fetcher>>;

pub(super) struct Fetchers {
    shared: Arc<Shared>,
    metadata_client: Arc<MetadataClient>,
    by_role: Mutex<BTreeMap<(Class, Role), Instances>>,
    /// An instance has let a partition go.
    freed: Arc<Notify>,
}

impl Fetchers {
    pub(super) fn new(shared: Arc<Shared>, metadata_client: Arc<MetadataClient>) -> Self {
        Self {
            shared,
            metadata_client,
            by_role: Mutex::default(),
            freed: Arc::default(),
        }
    }

    /// Has `at` fetched into `mailbox` from where that begins.
    pub(super) async fn attach(
        self: &Arc<Self>,
        at: &TopicPartition,
        mailbox: &Arc<Mailbox>,
    ) -> Result<Arc<Fetcher>, ReadError> {
        self.metadata_client.find(at).await?;
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(fetcher) = self.try_attach(at, mailbox).await? {
                return Ok(fetcher);
            }
            freed.await;
        }
    }

    /// Nothing when every instance fetches this partition for somebody else.
    async fn try_attach(
        self: &Arc<Self>,
        at: &TopicPartition,
        mailbox: &Arc<Mailbox>,
    ) -> Result<Option<Arc<Fetcher>>, ReadError> {
        let (this, at, mailbox) = (Arc::clone(self), at.clone(), Arc::clone(mailbox));
        let broken = at.clone();
        let attached = tokio::task::spawn_blocking(move || this.place(&at, &mailbox)).await;
        let attached = attached.expect("attaching does not panic");
        attached.map_err(|error| ReadError::Broken {
            at: broken,
            reason: error.to_string(),
        })
    }

    fn place(
        &self,
        at: &TopicPartition,
        mailbox: &Arc<Mailbox>,
    ) -> KafkaResult<Option<Arc<Fetcher>>> {
        let (class, role) = self.shared.served_by(&at.topic);
        let mut by_role = self.by_role.lock().unwrap_or_else(PoisonError::into_inner);
        let fetchers = by_role.entry((class, role)).or_default();
        for fetcher in fetchers.iter() {
            if fetcher.attach(at, mailbox)? {
                return Ok(Some(Arc::clone(fetcher)));
            }
        }
        if fetchers.len() == PER_ROLE_MAX {
            return Ok(None);
        }
        let name = format!("{class}{} consumer {}", role.name(), fetchers.len() + 1);
        let fetcher = Fetcher::start(&name, &self.shared, Arc::clone(&self.freed))?;
        let fetcher = Arc::new(fetcher);
        fetchers.push(Arc::clone(&fetcher));
        Ok(fetcher.attach(at, mailbox)?.then_some(fetcher))
    }
}
