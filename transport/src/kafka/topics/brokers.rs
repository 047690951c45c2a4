//! Asking the brokers about topics, and having them make some.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataTopic;
use tokio::runtime::Handle;

use super::problem::in_all_topics_of;
use super::wanted;
use super::{Created, Description, Found, Shape, Topic};
use crate::kafka::config::Config;
use crate::kafka::error::ConnectError;
use crate::kafka::prefix::Prefix;
use crate::kafka::probe::{Probe, probe_blocking, without_values};
use crate::kafka::settings::{batch_bytes_max, client};

/// How soon a topic that was made is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(30);

/// An admin client of its own, on a thread that may block.
pub(super) struct Brokers {
    admin: AdminClient<DefaultClientContext>,
    cluster: Probe,
    runtime: Handle,
    timeout: Duration,
}

impl Brokers {
    /// Runs `ask` with a connection, which ends with it.
    pub(super) async fn with<T: Send + 'static>(
        config: &Config,
        ask: impl FnOnce(&Self) -> Result<T, ConnectError> + Send + 'static,
    ) -> Result<T, ConnectError> {
        let (config, runtime) = (config.clone(), Handle::current());
        let work = move || ask(&Self::connect(&config, runtime)?);
        tokio::task::spawn_blocking(work)
            .await
            .expect("asking brokers does not panic, and its thread outlives the runtime's end")
    }

    fn connect(config: &Config, runtime: Handle) -> Result<Self, ConnectError> {
        let cluster = probe_blocking(config)?;
        let admin = client(config)
            .set("statistics.interval.ms", "0")
            .create()
            .map_err(|error| ConnectError::Client {
                reason: without_values(&error),
            })?;
        Ok(Self {
            admin,
            cluster,
            runtime,
            timeout: config.connect_timeout,
        })
    }

    pub(super) fn describe(&self, names: &[String]) -> Result<Description, ConnectError> {
        let topic = |name: &String| self.topic(name).map(|found| (name.clone(), found));
        Ok(Description {
            cluster: self.cluster.clone(),
            announced: self.announced(),
            topics: names.iter().map(topic).collect::<Result<_, _>>()?,
        })
    }

    fn topic(&self, name: &str) -> Result<Found, ConnectError> {
        let failed = |reason: String| ConnectError::Failed {
            what: format!("describe {name}"),
            reason,
        };
        let metadata = self.admin.inner().fetch_metadata(Some(name), self.timeout);
        let metadata = metadata.map_err(|error| failed(error.to_string()))?;
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
            return Ok(Found::Missing);
        };
        match topic.error().map(Code::from) {
            None => {}
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => return Ok(Found::Missing),
            Some(Code::TopicAuthorizationFailed) => return Ok(Found::Forbidden),
            // There, but a leader is being elected: what counts is there all the same.
            Some(Code::LeaderNotAvailable) if !topic.partitions().is_empty() => {}
            Some(code) => return Err(failed(code.to_string())),
        }
        Ok(Found::There(Shape {
            settings: self.settings(name).map_err(failed)?,
            ..shape(topic)
        }))
    }

    fn settings(&self, topic: &str) -> Result<Option<BTreeMap<String, String>>, String> {
        match self.configuration(ResourceSpecifier::Topic(topic)) {
            // The client library drops the error of a resource; every topic has settings, so none means refused.
            Ok(settings) => Ok(Some(settings).filter(|settings| !settings.is_empty())),
            Err(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => Ok(None),
            Err(code) => Err(code.to_string()),
        }
    }

    /// What a broker says of its version; nothing when it does not, or not to this user.
    fn announced(&self) -> Option<String> {
        let (broker, _) = self.cluster.brokers.first()?;
        let settings = self
            .configuration(ResourceSpecifier::Broker(*broker))
            .ok()?;
        settings.get("inter.broker.protocol.version").cloned()
    }

    fn configuration(&self, of: ResourceSpecifier<'_>) -> Result<BTreeMap<String, String>, Code> {
        let asked = self.admin.describe_configs([&of], &self.options());
        let answer = self.wait(asked)?.pop().unwrap_or(Err(Code::NoEnt))?;
        let entries = answer.entries.into_iter();
        Ok(entries
            .filter_map(|entry| Some((entry.name, entry.value?)))
            .collect())
    }

    pub(super) fn create(
        &self,
        config: &Config,
        missing: &[Topic],
    ) -> Result<Vec<Created>, ConnectError> {
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let values: Vec<_> = missing
            .iter()
            .map(|topic| wanted::initial(topic, batch_bytes_max(config)))
            .collect();
        let new: Vec<_> = missing
            .iter()
            .zip(&values)
            .map(|(topic, values)| new_topic(topic, values))
            .collect();
        let answers = self.wait(self.admin.create_topics(&new, &self.options()));
        let answers = answers.map_err(|code| ConnectError::Failed {
            what: "make topics".to_owned(),
            reason: code.to_string(),
        })?;
        let created: Vec<_> = answers
            .into_iter()
            .filter_map(|answer| self.created(answer, missing, &config.topic_prefix))
            .collect();
        self.wait_for(&created);
        Ok(created)
    }

    fn created(
        &self,
        answer: Result<String, (String, Code)>,
        asked: &[Topic],
        prefix: &Prefix,
    ) -> Option<Created> {
        match answer {
            Ok(topic) => Some(Created::Made(topic)),
            // Somebody else was faster: whoever looks again finds how it is.
            Err((topic, Code::TopicAlreadyExists)) => Some(Created::Kept(topic, Vec::new())),
            Err((name, code)) => {
                let topic = asked.iter().find(|topic| topic.name == name)?;
                let brokers = self.cluster.brokers.len();
                Some(Created::Refused {
                    reason: refusal(topic, code, brokers, prefix),
                    topic: name,
                })
            }
        }
    }

    /// A topic is made by the controller, and the other brokers hear of it a little later.
    #[expect(
        clippy::disallowed_methods,
        reason = "a shell: waits for brokers with a deadline"
    )]
    fn wait_for(&self, created: &[Created]) {
        let deadline = Instant::now() + self.timeout;
        let is_there = |created: &Created| match created {
            Created::Made(topic) => matches!(self.topic(topic), Ok(Found::There(_))),
            _ => true,
        };
        while !created.iter().all(is_there) && Instant::now() < deadline {
            self.runtime.block_on(tokio::time::sleep(LOOK_AGAIN));
        }
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(self.timeout))
            .operation_timeout(Some(self.timeout))
    }

    fn wait<T>(&self, asked: impl Future<Output = KafkaResult<T>>) -> Result<T, Code> {
        let answer = self.runtime.block_on(asked);
        answer.map_err(|error| error.rdkafka_error_code().unwrap_or(Code::Fail))
    }
}

fn shape(topic: &MetadataTopic) -> Shape {
    let count = |numbers: &[i32]| u16::try_from(numbers.len()).unwrap_or(u16::MAX);
    let partitions = topic.partitions();
    let least = |of: fn(&rdkafka::metadata::MetadataPartition) -> &[i32]| {
        partitions.iter().map(|p| count(of(p))).min().unwrap_or(0)
    };
    Shape {
        partitions: u32::try_from(partitions.len()).unwrap_or(u32::MAX),
        replication: least(|partition| partition.replicas()),
        in_sync: least(|partition| partition.isr()),
        settings: None,
    }
}

fn new_topic<'a>(topic: &'a Topic, values: &'a [(&'static str, String)]) -> NewTopic<'a> {
    let replication = TopicReplication::Fixed(i32::from(topic.replication));
    let partitions = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
    let new = NewTopic::new(&topic.name, partitions, replication);
    values
        .iter()
        .fold(new, |new, (key, value)| new.set(key, value))
}

fn refusal(topic: &Topic, code: Code, brokers: usize, prefix: &Prefix) -> String {
    match code {
        Code::InvalidReplicationFactor => format!(
            "it needs {} brokers, and there are {brokers}: start more, or ask for fewer with kafka.replication",
            topic.replication
        ),
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => {
            let which = match prefix.is_empty() {
                true => "on this topic".to_owned(),
                false => format!("on --topic {}", in_all_topics_of(prefix)),
            };
            format!("this user may not make it: allow the operation Create (and DescribeConfigs) on the cluster or {which}, or let an administrator run `xp topics create`")
        }
        Code::InvalidTopic => "the brokers do not take its name: they may have a topic that is called the same but for '.' and '_', which they cannot tell apart in their metrics; choose another kafka.topic-prefix, or another name for the lane".to_owned(),
        Code::PolicyViolation => "a policy of the brokers (create.topic.policy.class.name) forbids it: let an administrator make it".to_owned(),
        Code::InvalidConfig => "the brokers do not take one of its settings: is min.insync.replicas above the replication?".to_owned(),
        other => other.to_string(),
    }
}
