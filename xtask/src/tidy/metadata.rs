//! The output of `cargo metadata`, as far as tidy asks.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct Metadata<'a> {
    pub(crate) packages: Vec<Package<'a>>,
    /// Who uses whom when it is built for use, by id; what only tests and build scripts use is not in it.
    uses: BTreeMap<&'a str, Vec<&'a str>>,
}

pub(crate) struct Package<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) licence: Option<&'a str>,
    /// None for those of this repository.
    pub(crate) source: Option<&'a str>,
    pub(crate) manifest: &'a str,
}

impl<'a> Metadata<'a> {
    pub(crate) fn new(value: &'a Value) -> Self {
        let nodes = value
            .get("resolve")
            .into_iter()
            .flat_map(|resolve| array(resolve, "nodes"));
        Self {
            packages: array(value, "packages").map(Package::new).collect(),
            uses: nodes
                .map(|node| (text(node, "id").unwrap_or_default(), used_by(node)))
                .collect(),
        }
    }

    /// Whether a package of this name is used, however many crates lie between.
    pub(crate) fn reaches(&self, from: &str, name: &str) -> bool {
        let named = |id: &str| {
            self.packages
                .iter()
                .any(|package| package.id == id && package.name == name)
        };
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(id) = open.pop() {
            let next = self.uses.get(id).into_iter().flatten();
            open.extend(next.filter(|id| reached.insert(**id)));
        }
        reached.into_iter().any(named)
    }
}

impl<'a> Package<'a> {
    fn new(value: &'a Value) -> Self {
        Self {
            id: text(value, "id").unwrap_or_default(),
            name: text(value, "name").unwrap_or_default(),
            version: text(value, "version").unwrap_or_default(),
            licence: text(value, "license"),
            source: text(value, "source"),
            manifest: text(value, "manifest_path").unwrap_or_default(),
        }
    }
}

fn used_by(node: &Value) -> Vec<&str> {
    let is_normal = |kind: &Value| kind.get("kind").is_some_and(Value::is_null);
    let used = array(node, "deps").filter(|one| array(one, "dep_kinds").any(is_normal));
    used.filter_map(|one| text(one, "pkg")).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn array<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
