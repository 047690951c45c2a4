//! A fake user who is connected: says things, and waits to see things.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;
use xp_client::{Answer, Client, Handle, Item, Options, Payload};

/// How long anything may take before a test fails: generous, because a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// One user's connection to one entity. Its methods panic with all that was seen when nothing else happens: it is
/// for tests.
pub struct Visitor {
    client: Client,
    shown: Payload,
    seen: Vec<String>,
}

impl Visitor {
    pub(crate) async fn enter(options: Options) -> Self {
        let address = options.address.clone();
        let mut client = Client::connect(options).expect("the sandbox's own URL is one");
        let mut seen = Vec::new();
        loop {
            match timeout(PATIENCE, client.next()).await {
                Ok(Some(Item::Welcome { shown, .. })) => {
                    return Self {
                        client,
                        shown,
                        seen,
                    };
                }
                Ok(Some(item)) => seen.push(format!("{item:?}")),
                Ok(None) | Err(_) => panic!("{address} did not let the user in: {seen:#?}"),
            }
        }
    }

    /// What the entity showed first, or last when it started over.
    #[must_use]
    pub fn shown(&self) -> &Payload {
        &self.shown
    }

    /// Calls beside those here, such as binary ones.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.client.handle()
    }

    /// Sends a command and waits for its answer.
    pub async fn command<T: Serialize + ?Sized>(&self, command: &T) -> Answer {
        answered(self.client.command(command)).await
    }

    /// Asks a query and waits for its answer.
    pub async fn query<T: Serialize + ?Sized>(&self, query: &T) -> Answer {
        answered(self.client.query(query)).await
    }

    /// Sends a command that has no answer and may be dropped.
    pub fn ephemeral<T: Serialize + ?Sized>(&self, command: &T) {
        let sent = self.client.ephemeral(command);
        sent.unwrap_or_else(|error| panic!("not sent: {error}"));
    }

    /// Waits until an output is shown that `wanted` accepts, and returns it. Everything before it is passed over.
    pub async fn sees<T: DeserializeOwned>(&mut self, wanted: impl Fn(&T) -> bool) -> T {
        loop {
            let outputs = self.outputs().await;
            for output in outputs {
                if let Ok(output) = serde_json::from_value::<T>(output)
                    && wanted(&output)
                {
                    return output;
                }
            }
        }
    }

    /// The outputs of the next item that shows any.
    async fn outputs(&mut self) -> Vec<Value> {
        let item = self.next().await;
        self.seen.push(format!("{item:?}"));
        match item {
            Item::Event { payload, .. } => payload.read().unwrap_or_default(),
            Item::Ephemeral { payload } => payload.read().into_iter().collect(),
            Item::StartedOver { shown, .. } => {
                self.shown = shown.clone();
                shown.read().unwrap_or_default()
            }
            Item::Closed(end) => panic!(
                "the connection is over: {end}; seen so far: {:#?}",
                self.seen
            ),
            Item::Welcome { .. } | Item::Resumed { .. } | Item::Lost { .. } => Vec::new(),
        }
    }

    /// The next thing that happens.
    pub async fn next(&mut self) -> Item {
        match timeout(PATIENCE, self.client.next()).await {
            Ok(Some(item)) => item,
            Ok(None) => panic!("nothing follows the end; seen before: {:#?}", self.seen),
            Err(_) => panic!(
                "nothing happened for {PATIENCE:?}; seen before: {:#?}",
                self.seen
            ),
        }
    }

    /// Leaves for good: the session ends without a grace.
    pub async fn leave(self) {
        self.client.close().await;
    }
}

async fn answered(answer: impl Future<Output = Result<Answer, xp_client::Error>>) -> Answer {
    let answer = timeout(PATIENCE, answer).await;
    let answer = answer.unwrap_or_else(|_| panic!("no answer for {PATIENCE:?}"));
    answer.unwrap_or_else(|error| panic!("no answer: {error}"))
}
