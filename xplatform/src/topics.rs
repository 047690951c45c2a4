//! `xp topics`: how Kafka's topics must be, how they are, and making those that are missing.

mod page;

use anyhow::{Context, Result, bail};
use xp_domain_sdk::host::Registry;
use xp_runtime::lanes::Served;
use xp_transport::kafka::Config;
use xp_transport::kafka::topics::{self, Topic};

use crate::command_line::{Sources, Topics};
use crate::configuration::{self, Overrides};
use crate::process::print;

/// Who asks, in the brokers' logs.
const CLIENT: &str = "xp-topics";

/// Prints what was found or made. What cannot work is an error, so that scripts notice.
pub(crate) async fn run(asked: Topics, registry: &Registry) -> Result<()> {
    let outcome = match &asked {
        Topics::Create(sources) => {
            let (config, wanted) = wanted(sources, registry)?;
            page::created(&topics::create(&config, &wanted).await?)
        }
        Topics::Check(sources) => {
            let (config, wanted) = wanted(sources, registry)?;
            page::checked(&topics::check(&config, &wanted).await?, wanted.len())
        }
        Topics::Describe(sources) => {
            let (config, wanted) = wanted(sources, registry)?;
            page::described(&topics::describe(&config, &wanted).await?)
        }
    };
    print(&outcome.text)?;
    match outcome.failure {
        Some(failure) => bail!(failure),
        None => Ok(()),
    }
}

fn wanted(sources: &Sources, registry: &Registry) -> Result<(Config, Vec<Topic>)> {
    let loaded = configuration::load(sources, &Overrides::default(), configuration::environment())?;
    let kafka = loaded.config.kafka.as_ref().context(
        "the configuration has no section [kafka], so the log is the embedded one, which makes its topics itself",
    )?;
    let hosted: Vec<_> = registry.categories().collect();
    let served = Served::find(&loaded.config.lanes, &hosted)?;
    let config = loaded.config.kafka_settings(kafka, CLIENT)?;
    Ok((config, served.kafka_topics(kafka)))
}
