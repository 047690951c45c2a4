//! The configuration: built-in values, then a file, then the environment, then flags; the later wins.

mod judged;
mod moved;
mod layers;
mod problem;
pub(crate) mod show;
pub(crate) mod warnings;
pub(crate) mod reference;

use std::path::{Path, PathBuf};

use figment::providers::Serialized;
use figment::{Figment, Metadata};
use xp_runtime::Config;
use xp_state_node::Limits;

use layers::{Flags, Variable};
pub(crate) use problem::Problem;

use crate::command_line::Sources;

/// The file that is read without being asked for.
const FILE: &str = "xp.toml";
/// The data directory unless told otherwise.
const DATA: &str = "./data";

/// Keys whose values are text as it stands, and nobody should read over a shoulder.
const SECRET: &[&str] = &["secret", "password", "key-password"];

/// A configuration, and where each of its values came from.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    layers: Figment,
}

impl Loaded {
    /// Which layer a value came from; `path` as in `edge.listen`.
    fn source(&self, path: &str) -> Option<&Metadata> {
        self.layers.find_metadata(path)
    }

    /// The same in words.
    pub(crate) fn place(&self, path: &str) -> &str {
        self.source(path)
            .map_or("built in", |source| source.name.as_ref())
    }

    /// The bounds of a lane: its own, and the state node's where it has none.
    fn lane_limits(&self, name: &str) -> Limits {
        let node = &self.config.state_node.limits;
        self.config.lanes[name].limits.over(node)
    }
}

/// What the command line adds on top.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) listen: Option<std::net::SocketAddr>,
    pub(crate) edge_name: Option<String>,
    pub(crate) state_node_name: Option<String>,
}

/// Reads all layers; `environment` is the process's.
pub(crate) fn load(
    sources: &Sources,
    overrides: &Overrides,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, Problem> {
    let asked = layers(sources, overrides, environment)?;
    moved::judge(&asked)?;
    let data = asked.extract_inner::<PathBuf>("data");
    let data = data.map_err(|error| Problem::from_figment(&error, "data"))?;
    // Beneath everything, and only now, because built-in values such as the secret's file depend on `data`.
    let mut built_in = Config::development(&data);
    if asked.find_value("lanes").is_ok() {
        // Who names lanes means these and no others.
        built_in.lanes.clear();
    }
    let built_in = Serialized::defaults(built_in);
    let layers = Figment::from(layers::BuiltIn(built_in)).merge(asked);
    lanes_limits(&layers)?;
    let config: Config = layers
        .extract()
        .map_err(|error| Problem::from_figment(&error, ""))?;
    let loaded = Loaded { config, layers };
    judged::judge(&loaded)?;
    Ok(loaded)
}

/// What lanes say of bounds is read in the place of the bounds, so that a problem has a key of its own.
fn lanes_limits(layers: &Figment) -> Result<(), Problem> {
    let lanes = layers.find_value("lanes").ok();
    let lanes = lanes.and_then(|lanes| lanes.into_dict());
    for name in lanes.unwrap_or_default().keys() {
        let path = ["lanes", name.as_str(), "limits"];
        let own = layers.focus(&path.join("."));
        let usual = Serialized::defaults(Limits::default());
        let read = Figment::from(usual).merge(own).extract::<Limits>();
        read.map_err(|mut error| {
            error.path.splice(0..0, path.map(str::to_owned));
            Problem::from_figment(&error, "")
        })?;
    }
    Ok(())
}

fn layers(
    sources: &Sources,
    overrides: &Overrides,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Figment, Problem> {
    let data = Serialized::default("data", DATA);
    let mut layers = Figment::from(layers::BuiltIn(data));
    if let Some(file) = file(sources)? {
        layers = layers.merge(layers::File::read(&file)?);
    }
    for (name, value) in environment {
        if let Some(variable) = Variable::of(name, value)? {
            layers = layers.merge(variable);
        }
    }
    Ok(layers.merge(Flags::of(sources, overrides)))
}

/// The process's variables that are text; others cannot be ours.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The file asked for must be there; the other one may be.
fn file(sources: &Sources) -> Result<Option<PathBuf>, Problem> {
    match &sources.config {
        Some(file) => Ok(Some(file.clone())),
        None => Ok(Some(PathBuf::from(FILE)).filter(|file| Path::exists(file))),
    }
}

#[cfg(test)]
mod tests;
