//! Layers between crates, as `cargo metadata` knows them: a crate depends only on layers below its own, and reaches
//! nothing that it is barred from.

use super::problem::Problem;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// From the bottom: a crate may depend on those of lower rows, never on its own row or a higher one.
const LAYERS: [&[&str]; 11] = [
    // Starts processes, and counts what code takes; they know nothing of the platform.
    &["xp-background", "xp-guards"],
    // Nor do these, which start brokers for tests, and do the tasks of the repository.
    &["xp-local-kafka", "xtask"],
    // How a setting is written; knows nothing of what is set.
    &["xp-settings"],
    &["xp-protocol"],
    &["xp-domain-sdk", "xp-transport", "xp-client"],
    &["xp-cluster"],
    &["xp-state-node", "xp-edge"],
    &["xp-runtime", "xp-simulator"],
    &["xp-sandbox"],
    &["xplatform"],
    &["xp-domains", "xp-bench"],
];

/// What only some may depend on, and why.
const RESERVED: [(&str, &[&str], &str); 2] = [
    // The benchmark measures the bare client library beside the platform.
    (
        "rdkafka",
        &["xp-transport", "xp-bench"],
        "only transport imports Kafka",
    ),
    (
        "bincode",
        &["xp-protocol", "xp-domain-sdk", "xp-state-node"],
        "only protocol defines platform bytes; domain-sdk has the domains' binary words, state-node its snapshots",
    ),
];

/// What some may never depend on, although the layers would allow it, and why.
const BARRED: [(&str, &str, &str); 3] = [
    (
        "xp-edge",
        "xp-domain-sdk",
        "the edge never decodes a domain payload",
    ),
    (
        "xp-domain-sdk",
        "tokio",
        "domain-sdk knows no tokio and no Kafka",
    ),
    (
        "xp-domain-sdk",
        "rdkafka",
        "domain-sdk knows no tokio and no Kafka",
    ),
];

const MEND_LAYER: &str =
    "move what is needed down into a layer below both, or turn the dependency round";

/// Judges the output of `cargo metadata`.
pub(crate) fn check(metadata: &Value) -> Vec<Problem> {
    if array(metadata, "packages").next().is_none() {
        let mend = "run it by hand and see what it says";
        let what = "`cargo metadata` lists no package";
        return vec![Problem::new("Cargo.toml", 1, what, mend)];
    }
    let own = array(metadata, "packages").filter(|package| package["source"].is_null());
    own.flat_map(|package| check_package(metadata, package))
        .collect()
}

fn check_package(metadata: &Value, package: &Value) -> Vec<Problem> {
    let name = text(package, "name");
    let root = format!("{}/", text(metadata, "workspace_root"));
    let manifest = text(package, "manifest_path");
    let manifest = manifest.strip_prefix(&root).unwrap_or(manifest);
    let mut found = Vec::new();
    if layer(name).is_none() {
        let mend = "give it its row in LAYERS of xtask/src/tidy/layers.rs";
        found.push((format!("the crate `{name}` has no layer"), mend.to_owned()));
    } else {
        let direct = array(package, "dependencies");
        found.extend(direct.flat_map(|dependency| judge(name, text(dependency, "name"))));
        found.extend(reached(metadata, package));
    }
    let problem = |(what, mend)| Problem::new(manifest, 1, what, mend);
    found.into_iter().map(problem).collect()
}

/// What is wrong, and how to mend it.
type Finding = (String, String);

/// A dependency of whatever kind and platform, under the name that its package has.
fn judge(package: &str, dependency: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(theirs) = layer(dependency)
        && layer(package).is_none_or(|ours| theirs >= ours)
    {
        let what = format!("`{package}` depends on `{dependency}`, which is not below it");
        found.push((what, MEND_LAYER.to_owned()));
    }
    for (name, allowed, why) in RESERVED {
        if name == dependency && !allowed.contains(&package) {
            let what = format!("`{package}` depends on `{name}`: {why}");
            let mend = "ask one of the crates that may for what you need";
            found.push((what, mend.to_owned()));
        }
    }
    for (who, whom, why) in BARRED {
        if (who, whom) == (package, dependency) {
            let what = format!("`{package}` depends on `{dependency}`: {why}");
            found.push((what, "leave the dependency out, in tests too".to_owned()));
        }
    }
    found
}

/// What the layers bar, reached through other crates when the package is built for use.
fn reached(metadata: &Value, package: &Value) -> Vec<Finding> {
    let name = text(package, "name");
    let reached = used_by(metadata, text(package, "id"));
    let named: BTreeSet<&str> = array(metadata, "packages")
        .filter(|package| reached.contains(text(package, "id")))
        .map(|package| text(package, "name"))
        .collect();
    let barred = BARRED.iter();
    let barred = barred.filter(|(who, whom, _)| *who == name && named.contains(whom));
    let finding = |(who, whom, why): &(&str, &str, &str)| {
        let what = format!("`{who}` reaches `{whom}` through its dependencies: {why}");
        let mend = format!("`cargo tree -p {who} -i {whom} -e normal` shows the way; cut it");
        (what, mend)
    };
    barred.map(finding).collect()
}

/// The ids of everything that is built in, however many crates lie between; what only tests and build scripts use is not.
fn used_by<'m>(metadata: &'m Value, package: &'m str) -> BTreeSet<&'m str> {
    let nodes = array(&metadata["resolve"], "nodes");
    let nodes: BTreeMap<&str, &Value> = nodes.map(|node| (text(node, "id"), node)).collect();
    let is_built_in = |dependency: &&Value| {
        let mut kinds = array(dependency, "dep_kinds");
        kinds.any(|kind| kind["kind"].is_null())
    };
    let (mut reached, mut open) = (BTreeSet::new(), vec![package]);
    while let Some(id) = open.pop() {
        let dependencies = nodes
            .get(id)
            .into_iter()
            .flat_map(|node| array(node, "deps"));
        let next = dependencies
            .filter(is_built_in)
            .map(|next| text(next, "pkg"));
        open.extend(next.filter(|id| reached.insert(*id)));
    }
    reached
}

fn text<'m>(value: &'m Value, key: &str) -> &'m str {
    value[key].as_str().unwrap_or_default()
}

fn array<'m>(value: &'m Value, key: &str) -> impl Iterator<Item = &'m Value> + use<'m> {
    value[key].as_array().into_iter().flatten()
}

fn layer(package: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&package))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What cargo says of a crate that depends on these.
    fn package(name: &str, dependencies: &[&str]) -> Value {
        let dependencies: Vec<Value> = dependencies
            .iter()
            .map(|name| json!({ "name": name }))
            .collect();
        let source = (name == "tokio").then_some("registry");
        json!({ "name": name, "id": name, "source": source, "manifest_path": "/r/x/Cargo.toml", "dependencies": dependencies })
    }

    fn node(id: &str, dependency: &str, kind: &Value) -> Value {
        let dependency = json!({ "pkg": dependency, "dep_kinds": [{ "kind": kind }] });
        json!({ "id": id, "deps": [dependency] })
    }

    fn judged(packages: &[Value], nodes: &[Value]) -> Vec<String> {
        let resolve = json!({ "nodes": nodes });
        let metadata = json!({ "packages": packages, "resolve": resolve, "workspace_root": "/r" });
        let found = check(&metadata).into_iter();
        found
            .map(|problem| format!("{} {}", problem.path, problem.what))
            .collect()
    }

    fn found(name: &str, dependencies: &[&str]) -> Vec<String> {
        judged(&[package(name, dependencies)], &[])
    }

    #[test]
    fn layers_below_are_allowed() {
        assert!(found("xp-edge", &["xp-protocol", "tokio"]).is_empty());
        assert!(found("xp-transport", &["rdkafka"]).is_empty());
        assert!(found("xtask", &["xp-background"]).is_empty());
    }

    #[test]
    fn a_crate_that_is_not_below_is_found() {
        let expected = "x/Cargo.toml `xp-edge` depends on `xp-state-node`, which is not below it";
        assert_eq!(found("xp-edge", &["xp-state-node"]), [expected]);
        let expected = "x/Cargo.toml `xtask` depends on `xp-protocol`, which is not below it";
        assert_eq!(found("xtask", &["xp-protocol"]), [expected]);
    }

    #[test]
    fn reserved_and_barred_dependencies_are_found() {
        for (name, dependency, why) in [
            (
                "xp-edge",
                "xp-domain-sdk",
                "the edge never decodes a domain payload",
            ),
            (
                "xp-domain-sdk",
                "tokio",
                "domain-sdk knows no tokio and no Kafka",
            ),
            ("xp-state-node", "rdkafka", "only transport imports Kafka"),
        ] {
            let expected = format!("x/Cargo.toml `{name}` depends on `{dependency}`: {why}");
            assert_eq!(found(name, &[dependency]), [expected]);
        }
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        let expected = "x/Cargo.toml the crate `xp-common` has no layer";
        assert_eq!(found("xp-common", &[]), [expected]);
    }

    #[test]
    fn what_a_layer_bars_is_found_behind_another_crate_but_not_in_its_tests() {
        let packages = ["xp-domain-sdk", "xp-protocol", "tokio"].map(|name| package(name, &[]));
        let through = |kind: Value| {
            let first = node("xp-domain-sdk", "xp-protocol", &kind);
            let second = node("xp-protocol", "tokio", &Value::Null);
            judged(&packages, &[first, second])
        };
        let expected = "x/Cargo.toml `xp-domain-sdk` reaches `tokio` through its dependencies: domain-sdk knows no tokio and no Kafka";
        assert_eq!(through(Value::Null), [expected]);
        assert!(through(json!("dev")).is_empty());
    }

    #[test]
    fn metadata_without_packages_is_a_problem_and_not_a_pass() {
        assert_eq!(
            judged(&[], &[]),
            ["Cargo.toml `cargo metadata` lists no package"]
        );
    }
}
