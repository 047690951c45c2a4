//! `xp config`: check, show, describe.

use anyhow::Result;
use xp_domain_sdk::host::Registry;
use xp_runtime::lanes::Served;

use crate::command_line::{Config, Sources};
use crate::configuration::{self, Loaded, Overrides, Problem, reference, show, warnings};
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
    let warnings = warnings::warnings(&loaded.config).into_iter();
    let warnings: String = warnings.map(|what| format!("warning: {what}\n")).collect();
    Ok(format!("{warnings}the configuration can be used\n"))
}

fn load(sources: &Sources) -> Result<Loaded, Problem> {
    configuration::load(sources, &Overrides::default(), configuration::environment())
}
