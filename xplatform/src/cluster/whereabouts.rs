//! `xp where`: in which partition an entity lives, who owns that, and who mirrors it.

use anyhow::{Context, Result};
use serde::Serialize;
use xp_cluster::Members;
use xp_domain_sdk::host::Registry;
use xp_protocol::{Address, LanePartition};
use xp_runtime::Config;
use xp_runtime::lanes::Served;
use xp_transport::Log;

use super::claimed::claims;
use super::following::Following;
use super::picture::{PartitionRow, Picture, listed};
use super::{LISTEN, LOOK, close, connect, shaped};
use crate::command_line::Where;
use crate::configuration::{self, Overrides};
use crate::process::print;

/// Where one entity lives.
#[derive(Debug, Serialize)]
struct Whereabouts {
    address: Address,
    #[serde(flatten)]
    row: PartitionRow,
}

/// Prints the partition and its members; an unhosted category is an error.
pub(crate) async fn run(asked: Where, registry: &Registry) -> Result<()> {
    let (shape, address) = (asked.shape, asked.address);
    let overrides = Overrides::default();
    let loaded = configuration::load(&shape.sources, &overrides, configuration::environment())?;
    let config = loaded.config;
    if config.kafka.is_none() {
        let row = PartitionRow::alone(&embedded(&config, registry, &address)?, &config);
        return print(&shaped(shape.json, &Whereabouts { address, row }, page)?);
    }
    let (log, generation, patience) = connect(&config).await?;
    let found = async {
        let mut following = Following::enter(&log, generation, patience).await?;
        let silent = !following.hear(LISTEN).await?;
        find(&log, &following.members, silent, address).await
    };
    let found = found.await;
    close(log).await?;
    print(&shaped(shape.json, &found?, page)?)
}

/// On the embedded log one process owns everything.
fn embedded(config: &Config, registry: &Registry, address: &Address) -> Result<LanePartition> {
    let hosted: Vec<_> = registry.categories().collect();
    let served = Served::find(&config.lanes, &hosted)?.for_edge(registry);
    let lane = served.by_category.get(address.category());
    let lane = lane.with_context(|| {
        let category = address.category();
        format!(
            "this binary hosts no {category:?}; it hosts {}",
            listed(&hosted)
        )
    })?;
    Ok(LanePartition {
        lane: lane.name.as_str().into(),
        partition: address.partition(lane.partitions),
    })
}

async fn find(
    log: &dyn Log,
    members: &Members,
    silent: bool,
    address: Address,
) -> Result<Whereabouts> {
    let partition = partition(members, &address)?;
    let claims = claims(log, std::iter::once(partition.clone()), LOOK).await;
    let picture = Picture::of(members, silent).beside(members, &claims);
    let mut rows = picture.partitions.into_iter();
    let row = rows.find(|row| row.partition == partition.to_string());
    let row = row.context("the cluster has no such partition yet")?;
    Ok(Whereabouts { address, row })
}

fn partition(members: &Members, address: &Address) -> Result<LanePartition> {
    let definitions = members.definitions();
    let definitions =
        definitions.context("the cluster has no lanes yet: no state node has joined it")?;
    let serves =
        |categories: &[Box<str>]| categories.iter().any(|one| **one == *address.category());
    let mut lanes = definitions.lanes.iter();
    let lane = lanes.find(|(_, lane)| serves(&lane.categories));
    let (name, lane) = lane.with_context(|| {
        let all = definitions.lanes.values().flat_map(|lane| &lane.categories);
        let all: Vec<_> = all.map(|category| &**category).collect();
        let category = address.category();
        format!(
            "no lane serves {category:?}; the cluster serves {}",
            listed(&all)
        )
    })?;
    Ok(LanePartition {
        lane: name.as_ref().into(),
        partition: address.partition(lane.partitions),
    })
}

fn page(found: &Whereabouts) -> String {
    let row = &found.row;
    let mirrors: Vec<_> = row.mirrors.iter().map(super::page::mirror).collect();
    let mirrors: Vec<_> = mirrors.iter().map(String::as_str).collect();
    format!(
        "{} lives in {}\nowner    {}\nin fact  {}\nmirrors  {}\n",
        found.address,
        row.partition,
        row.owner.as_deref().unwrap_or("nobody"),
        row.owner_in_fact,
        listed(&mirrors),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_embedded_log_the_one_process_owns_it() {
        let config = Config::development(std::path::Path::new("data"));
        let address: Address = "board/7".parse().unwrap();
        let partition = LanePartition {
            lane: "main".into(),
            partition: address.partition(config.lanes["main"].partitions),
        };
        let row = PartitionRow::alone(&partition, &config);
        let text = page(&Whereabouts { address, row });
        assert!(
            text.starts_with(&format!("board/7 lives in {partition}\n")),
            "{text}"
        );
        assert!(
            text.contains("\nowner    state-1\nin fact  state-1 "),
            "{text}"
        );
        assert!(text.ends_with("mirrors  none\n"), "{text}");
    }
}
