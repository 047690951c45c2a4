//! `xp config`: check, show, describe.

use anyhow::Result;
use xp_domain_sdk::host::Registry;
use xp_sandbox::lanes::Served;

use crate::command_line::{Config, Sources};
use crate::configuration::{self, Loaded, Overrides, Problem, reference, show};
use crate::process::print;

pub(crate) fn run(asked: &Config, registry: &Registry) -> Result<()> {
    let page = match asked {
        Config::Check(sources) => check(sources, registry)?,
        Config::Show(sources) => show::show(&load(sources)?),
        Config::Reference => reference::page(),
    };
    print(&page)
}

fn check(sources: &Sources, registry: &Registry) -> Result<String> {
    let loaded = load(sources)?;
    let hosted: Vec<_> = registry.categories().collect();
    Served::find(&loaded.config.lanes, &hosted)?;
    if let Some(kafka) = &loaded.config.kafka {
        let settings = loaded.config.kafka_settings(kafka, "xp");
        settings.map_err(|problem| {
            Problem::of(&problem.key, loaded.place(&problem.key), problem.what)
        })?;
    }
    Ok("the configuration can be used\n".to_owned())
}

fn load(sources: &Sources) -> Result<Loaded, Problem> {
    configuration::load(sources, &Overrides::default(), configuration::environment())
}
