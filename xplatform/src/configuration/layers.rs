//! The layers of a configuration, each of which can say its name.

use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider, Source};

use super::problem::Problem;
use super::{Overrides, SECRET};
use crate::command_line::Sources;

/// What stands in front of every variable that configures the platform.
const PREFIX: &str = "XP__";

/// Values that hold unless something else is said.
pub(super) struct BuiltIn<P>(pub(super) P);

impl<P: Provider> Provider for BuiltIn<P> {
    fn metadata(&self) -> Metadata {
        Metadata::named("built in")
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        self.0.data()
    }
}

/// A TOML file that is there and can be read.
pub(super) struct File {
    path: PathBuf,
    values: Dict,
}

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, Problem> {
        let text = std::fs::read_to_string(path).map_err(|error| Problem::file(path, &error))?;
        let values = toml::from_str(&text).map_err(|error| Problem::toml(path, &text, &error))?;
        Ok(Self {
            path: path.to_owned(),
            values,
        })
    }
}

impl Provider for File {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.path.display().to_string()).source(Source::File(self.path.clone()))
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// One variable of the environment: `XP__EDGE__LISTEN` is `edge.listen`.
pub(super) struct Variable {
    name: String,
    path: Vec<String>,
    value: Value,
}

impl Variable {
    /// `None` for variables that are none of ours.
    pub(super) fn of(name: String, value: String) -> Result<Option<Self>, Problem> {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            return Ok(None);
        };
        let path: Vec<String> = rest.split("__").map(key).collect();
        if path.iter().any(String::is_empty) {
            return Err(Problem::variable(&name));
        }
        let is_secret = path
            .last()
            .is_some_and(|key| SECRET.contains(&key.as_str()));
        // A password of digits is no number.
        let value = if is_secret {
            Value::from(value)
        } else {
            parse(value)
        };
        Ok(Some(Self { name, path, value }))
    }
}

/// Lists, tables, numbers and booleans are read as TOML; everything else is text as it stands.
fn parse(text: String) -> Value {
    let read = toml::from_str::<Dict>(&format!("value = {text}"));
    let value = read.ok().and_then(|mut values| values.remove("value"));
    value.unwrap_or_else(|| Value::from(text))
}

/// Variables cannot hold `-`, and the keys of files have no `_`.
fn key(word: &str) -> String {
    word.to_lowercase().replace('_', "-")
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("${}", self.name))
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(nested(&self.path, self.value.clone())))
    }
}

fn nested(path: &[String], value: Value) -> Dict {
    let (first, rest) = path.split_first().expect("a path has at least one key");
    let value = if rest.is_empty() {
        value
    } else {
        Value::from(nested(rest, value))
    };
    Dict::from([(first.clone(), value)])
}

/// What the command line says.
pub(super) struct Flags(Vec<(&'static str, String)>);

impl Flags {
    pub(super) fn of(sources: &Sources, overrides: &Overrides) -> Self {
        let data = sources.data.as_ref();
        let said = [
            ("data", data.map(|data| data.display().to_string())),
            (
                "edge.listen",
                overrides.listen.map(|listen| listen.to_string()),
            ),
            ("edge.name", overrides.edge_name.clone()),
            ("state-node.name", overrides.state_node_name.clone()),
        ];
        let said = said
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        Self(said.collect())
    }
}

impl Provider for Flags {
    fn metadata(&self) -> Metadata {
        Metadata::named("the command line")
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let mut values = Dict::new();
        for (key, value) in &self.0 {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            values = merged(values, nested(&path, Value::from(value.clone())));
        }
        Ok(Profile::Default.collect(values))
    }
}

/// Tables of both, side by side.
fn merged(mut values: Dict, more: Dict) -> Dict {
    for (key, value) in more {
        let value = match (values.remove(&key), value) {
            (Some(Value::Dict(tag, former)), Value::Dict(_, later)) => {
                Value::Dict(tag, merged(former, later))
            }
            (_, later) => later,
        };
        values.insert(key, value);
    }
    values
}
