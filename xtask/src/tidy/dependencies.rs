//! Dependencies from outside, judged from `cargo metadata` by the lists in `deny.toml`: the same answer on a machine
//! without cargo-deny, so that the check is never silently absent. Also: what the layers bar must not come in through a
//! third crate.

use super::layers;
use super::licence;
use super::metadata::{Metadata, Package};
use super::policy::Policy;
use super::problem::Problem;
use super::tree::Tree;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const LOCK: &str = "Cargo.lock";

pub(crate) fn check(metadata: &Value, policy: &Policy, tree: &Tree) -> Vec<Problem> {
    let metadata = Metadata::new(metadata);
    if metadata.packages.is_empty() {
        let mend = "run it by hand and see what it says";
        return vec![Problem::new(
            LOCK,
            1,
            "`cargo metadata` lists no package",
            mend,
        )];
    }
    let each = metadata
        .packages
        .iter()
        .flat_map(|package| package.judge(policy));
    let found = each.chain(duplicates(&metadata.packages, policy));
    let problem =
        |(name, what, mend): Finding| Problem::new(LOCK, lock_line(tree, &name), what, mend);
    found.map(problem).chain(barred(&metadata)).collect()
}

/// Crate, what is wrong with it, how to mend it.
type Finding = (String, String, String);

impl Package<'_> {
    fn judge(&self, policy: &Policy) -> Vec<Finding> {
        let found = [
            self.licence_problem(policy),
            self.source_problem(policy),
            self.ban(policy),
        ];
        let named = |(what, mend): (String, &str)| {
            (
                self.name.to_owned(),
                format!("{} {} {what}", self.name, self.version),
                mend.to_owned(),
            )
        };
        found.into_iter().flatten().map(named).collect()
    }

    fn licence_problem(&self, policy: &Policy) -> Option<(String, &'static str)> {
        let mend = "use another crate, or add the licence to deny.toml with its reason";
        let Some(licence) = self.licence else {
            return Some(("names no licence".to_owned(), "use another crate"));
        };
        match licence::allows(licence, &policy.licences) {
            Some(true) => None,
            Some(false) => Some((
                format!("has the licence `{licence}`, which deny.toml does not allow"),
                mend,
            )),
            None => Some((
                format!("has the licence `{licence}`, which cannot be read as SPDX"),
                mend,
            )),
        }
    }

    fn source_problem(&self, policy: &Policy) -> Option<(String, &'static str)> {
        let source = self.source?;
        let registry = source.strip_prefix("registry+");
        let known = registry
            .is_some_and(|registry| policy.registries.iter().any(|known| known == registry));
        (!known).then(|| {
            (
                format!("comes from {source}"),
                "take a released version from the registry that deny.toml names",
            )
        })
    }

    fn ban(&self, policy: &Policy) -> Option<(String, &'static str)> {
        let is_banned = policy.banned.iter().any(|banned| banned == self.name);
        is_banned.then(|| {
            (
                "is banned in deny.toml".to_owned(),
                "see its reason there, and `cargo tree -i` for who brings it in",
            )
        })
    }
}

fn duplicates(packages: &[Package], policy: &Policy) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        versions
            .entry(package.name)
            .or_default()
            .insert(package.version);
    }
    versions.retain(|name, versions| {
        versions.len() > 1 && policy.single.iter().any(|single| single == name)
    });
    let mend = |name: &str| {
        format!("`cargo tree -d -i {name}` shows who asks for which; move them to one version")
    };
    let finding = |(name, versions): (&str, BTreeSet<&str>)| {
        let versions: Vec<&str> = versions.into_iter().collect();
        (
            name.to_owned(),
            format!(
                "{name} comes in {} versions: {}",
                versions.len(),
                versions.join(", ")
            ),
            mend(name),
        )
    };
    versions.into_iter().map(finding).collect()
}

/// What the layers bar, reached through other crates.
fn barred(metadata: &Metadata) -> Vec<Problem> {
    let own = metadata
        .packages
        .iter()
        .filter(|package| package.source.is_none());
    own.flat_map(|package| barred_of(metadata, package))
        .collect()
}

fn barred_of(metadata: &Metadata, package: &Package) -> Vec<Problem> {
    let barred = layers::BARRED
        .iter()
        .filter(|(who, whom, _)| *who == package.name && metadata.reaches(package.id, whom));
    let problem = |(who, whom, why): &(&str, &str, &str)| {
        let what = format!("`{who}` reaches `{whom}` through its dependencies: {why}");
        let mend = format!("`cargo tree -p {who} -i {whom} -e normal` shows the way; cut it");
        Problem::new(&short_manifest(package.manifest), 1, what, mend)
    };
    barred.map(problem).collect()
}

/// The last two parts of a manifest's path: `edge/Cargo.toml`.
fn short_manifest(path: &str) -> String {
    let parts: Vec<&str> = path.split(['/', '\\']).collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

fn lock_line(tree: &Tree, name: &str) -> usize {
    let entry = format!("name = \"{name}\"");
    let lines = tree.text(LOCK).into_iter().flat_map(str::lines);
    lines
        .zip(1..)
        .find(|(text, _)| *text == entry)
        .map_or(1, |(_, line)| line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DENY: &str = r#"
        [graph]
        targets = ["x86_64-unknown-linux-gnu"]
        [licenses]
        allow = ["MIT"]
        [bans]
        deny = [{ crate = "tokio", deny-multiple-versions = true }, { crate = "native-tls", reason = "rustls" }]
        [sources]
        allow-registry = ["https://registry.example/index"]
    "#;

    fn package(name: &str, version: &str) -> Value {
        let id = format!("{name} {version}");
        json!({ "id": id, "name": name, "version": version, "license": "MIT", "source": "registry+https://registry.example/index" })
    }

    fn found(packages: &[Value]) -> Vec<String> {
        judged(&json!({ "packages": packages }))
    }

    fn judged(metadata: &Value) -> Vec<String> {
        let tree = Tree::of(&[(LOCK, "[[package]]\nname = \"bad\"\n")]);
        let found = check(metadata, &Policy::parse(DENY).unwrap(), &tree);
        found
            .into_iter()
            .map(|problem| format!("{}:{} {}", problem.path, problem.line, problem.what))
            .collect()
    }

    fn with(mut package: Value, key: &str, value: Value) -> Value {
        package[key] = value;
        package
    }

    #[test]
    fn what_the_lists_allow_is_fine() {
        assert_eq!(
            found(&[
                package("good", "1.0.0"),
                package("twice", "1.0.0"),
                package("twice", "2.0.0")
            ]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_licence_that_is_not_allowed_or_missing_is_found() {
        let bad = with(package("bad", "1.0.0"), "license", json!("GPL-3.0-only"));
        assert_eq!(
            found(&[bad]),
            [
                "Cargo.lock:2 bad 1.0.0 has the licence `GPL-3.0-only`, which deny.toml does not allow"
            ]
        );
        let none = with(package("bad", "1.0.0"), "license", Value::Null);
        assert_eq!(found(&[none]), ["Cargo.lock:2 bad 1.0.0 names no licence"]);
    }

    #[test]
    fn another_source_is_found() {
        let git = with(
            package("bad", "1.0.0"),
            "source",
            json!("git+https://code.example/bad"),
        );
        assert_eq!(
            found(&[git]),
            ["Cargo.lock:2 bad 1.0.0 comes from git+https://code.example/bad"]
        );
    }

    #[test]
    fn a_banned_crate_and_a_second_version_of_a_heavy_one_are_found() {
        assert_eq!(
            found(&[package("native-tls", "0.2.0")]),
            ["Cargo.lock:1 native-tls 0.2.0 is banned in deny.toml"]
        );
        let two = found(&[package("tokio", "1.0.0"), package("tokio", "0.2.0")]);
        assert_eq!(
            two,
            ["Cargo.lock:1 tokio comes in 2 versions: 0.2.0, 1.0.0"]
        );
    }

    #[test]
    fn what_a_layer_bars_is_found_behind_another_crate_but_not_in_its_tests() {
        let sdk = json!({ "id": "sdk", "name": "xp-domain-sdk", "version": "0.1.0", "license": "MIT", "source": null, "manifest_path": "r/domain-sdk/Cargo.toml" });
        let metadata = |kind: Value| {
            json!({
                "packages": [sdk, package("between", "1.0.0"), package("tokio", "1.0.0")],
                "resolve": { "nodes": [
                    { "id": "sdk", "deps": [{ "pkg": "between 1.0.0", "dep_kinds": [{ "kind": kind }] }] },
                    { "id": "between 1.0.0", "deps": [{ "pkg": "tokio 1.0.0", "dep_kinds": [{ "kind": null }] }] },
                ] },
            })
        };
        let expected = "domain-sdk/Cargo.toml:1 `xp-domain-sdk` reaches `tokio` through its dependencies: domain-sdk knows no tokio and no Kafka";
        assert_eq!(judged(&metadata(Value::Null)), [expected]);
        assert_eq!(judged(&metadata(json!("dev"))), Vec::<String>::new());
    }

    #[test]
    fn metadata_without_packages_is_a_problem_and_not_a_pass() {
        assert_eq!(
            judged(&json!({})),
            ["Cargo.lock:1 `cargo metadata` lists no package"]
        );
    }
}
