//! The configuration: built-in values, then a file, then the environment, then flags; the later wins.

mod layers;
mod problem;
pub(crate) mod show;
pub(crate) mod reference;

use std::path::{Path, PathBuf};

use figment::{Figment, Metadata};
use xp_sandbox::Config;

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
    let data = asked.extract_inner::<PathBuf>("data");
    let data = data.map_err(|error| Problem::from_figment(&error, "data"))?;
    // Beneath everything, and only now, because built-in values such as the secret's file depend on `data`.
    let built_in = Config::development(&data);
    let built_in = figment::providers::Serialized::defaults(built_in);
    let layers = Figment::from(layers::BuiltIn(built_in)).merge(asked);
    let config: Config = layers
        .extract()
        .map_err(|error| Problem::from_figment(&error, ""))?;
    let loaded = Loaded { config, layers };
    window(&loaded)?;
    frames(&loaded)?;
    Ok(loaded)
}

/// R30: an edge that let clients run further ahead than answers are kept would lose answers.
fn window(loaded: &Loaded) -> Result<(), Problem> {
    const KEY: &str = "edge.limits.window";
    let window = loaded.config.edge.limits.window;
    let kept = loaded.config.state_node.answers_per_session;
    if (1..=kept).contains(&(window as usize)) {
        return Ok(());
    }
    let what = format!(
        "is {window}: choose 1 up to state-node.answers-per-session, which is {kept} ({})",
        loaded.place("state-node.answers-per-session")
    );
    Err(Problem::of(KEY, loaded.place(KEY), what))
}

/// What an edge takes in must fit into a record, or the whole partition would wait for an append that never passes.
fn frames(loaded: &Loaded) -> Result<(), Problem> {
    const KEY: &str = "edge.limits.frame-bytes-max";
    let (frame, record) = (
        loaded.config.edge.limits.frame_bytes_max,
        loaded.config.state_node.record_bytes_max,
    );
    if frame.0.saturating_add(ENVELOPE_BYTES) <= record.0 {
        return Ok(());
    }
    let what = format!(
        "is {frame}: a frame and its envelope must fit into state-node.record-bytes-max, which is {record} ({})",
        loaded.place("state-node.record-bytes-max")
    );
    Err(Problem::of(KEY, loaded.place(KEY), what))
}

/// More than address, trace and the rest of an envelope take.
const ENVELOPE_BYTES: usize = 4 << 10;

fn layers(
    sources: &Sources,
    overrides: &Overrides,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Figment, Problem> {
    let data = figment::providers::Serialized::default("data", DATA);
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
