//! The policy in `deny.toml`, as far as tidy checks it.

use anyhow::{Context, Result};
use toml::{Table, Value};

#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) targets: Vec<String>,
    pub(crate) licences: Vec<String>,
    pub(crate) registries: Vec<String>,
    /// Crates of which there may be one version.
    pub(crate) single: Vec<String>,
    pub(crate) banned: Vec<String>,
}

impl Policy {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse().context("deny.toml cannot be read")?;
        let (single, banned) = bans(&table)?;
        Ok(Self {
            targets: strings(&table, "graph", "targets")?,
            licences: strings(&table, "licenses", "allow")?,
            registries: strings(&table, "sources", "allow-registry")?,
            single,
            banned,
        })
    }
}

fn list<'a>(table: &'a Table, section: &str, key: &str) -> Result<&'a Vec<Value>> {
    let list = table
        .get(section)
        .and_then(|section| section.get(key))
        .and_then(Value::as_array);
    list.with_context(|| format!("deny.toml: [{section}] needs a list `{key}`"))
}

fn strings(table: &Table, section: &str, key: &str) -> Result<Vec<String>> {
    let string = |value: &Value| value.as_str().map(str::to_owned);
    let all: Option<Vec<String>> = list(table, section, key)?.iter().map(string).collect();
    all.with_context(|| format!("deny.toml: `{key}` of [{section}] holds strings only"))
}

/// Crates that may come once, and those that may not come at all.
fn bans(table: &Table) -> Result<(Vec<String>, Vec<String>)> {
    let (mut single, mut banned) = (Vec::new(), Vec::new());
    for entry in list(table, "bans", "deny")? {
        let name = entry
            .get("crate")
            .and_then(Value::as_str)
            .context("deny.toml: each entry of [bans] deny needs a `crate`")?;
        let once = entry
            .get("deny-multiple-versions")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        if once { &mut single } else { &mut banned }.push(name.to_owned());
    }
    Ok((single, banned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_missing_from_the_policy_is_an_error() {
        let error = Policy::parse("[graph]\ntargets = []\n[bans]\ndeny = []\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "deny.toml: [licenses] needs a list `allow`"
        );
    }

    #[test]
    fn the_policy_of_this_repository_can_be_read() {
        let policy = Policy::parse(include_str!("../../../deny.toml")).unwrap();
        assert!(policy.single.iter().any(|single| single == "tokio"));
        assert!(policy.licences.iter().any(|licence| licence == "MIT"));
    }
}
