//! Layers between crates, read from the `Cargo.toml` files: a crate depends only on layers below its own.

use super::problem::Problem;
use super::tree::{File, Tree};

/// From the bottom: a crate may depend on those of lower rows, never on its own row or a higher one.
const LAYERS: [&[&str]; 10] = [
    // Starts processes; knows nothing of the platform.
    &["xp-background"],
    // Nor do these, which start brokers for tests, and do the tasks of the repository.
    &["xp-local-kafka", "xtask"],
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
pub(crate) const BARRED: [(&str, &str, &str); 3] = [
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

/// One line of a dependency section.
struct Dependency {
    name: String,
    line: usize,
}

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let manifests = tree
        .files()
        .filter(|file| file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml"));
    manifests.flat_map(check_manifest).collect()
}

fn check_manifest(file: &File) -> Vec<Problem> {
    let Some(package) = package_name(&file.text) else {
        return Vec::new();
    };
    let problem = |line, (what, mend): (String, &str)| Problem::new(&file.path, line, what, mend);
    if layer(package).is_none() {
        let what = format!("the crate `{package}` has no layer");
        return vec![problem(
            1,
            (
                what,
                "give it its row in LAYERS of xtask/src/tidy/layers.rs",
            ),
        )];
    }
    let judged = dependencies(&file.text)
        .into_iter()
        .map(|one| (one.line, judge(package, &one.name)));
    judged
        .flat_map(|(line, verdicts)| {
            verdicts
                .into_iter()
                .map(move |verdict| problem(line, verdict))
        })
        .collect()
}

fn judge(package: &str, dependency: &str) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    if let Some(theirs) = layer(dependency)
        && layer(package).is_none_or(|ours| theirs >= ours)
    {
        found.push((
            format!("`{package}` depends on `{dependency}`, which is not below it"),
            MEND_LAYER,
        ));
    }
    for (name, allowed, why) in RESERVED {
        if name == dependency && !allowed.contains(&package) {
            let what = format!("`{package}` depends on `{name}`: {why}");
            found.push((what, "ask one of the crates that may for what you need"));
        }
    }
    for (_, _, why) in BARRED
        .iter()
        .filter(|(who, whom, _)| (*who, *whom) == (package, dependency))
    {
        let what = format!("`{package}` depends on `{dependency}`: {why}");
        found.push((what, "leave the dependency out, in tests too"));
    }
    found
}

fn layer(package: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&package))
}

pub(crate) fn package_name(manifest: &str) -> Option<&str> {
    let package = manifest
        .lines()
        .skip_while(|line| line.trim() != "[package]")
        .skip(1);
    let mut section = package.take_while(|line| !line.starts_with('['));
    section.find_map(|line| {
        quoted(
            line.trim()
                .strip_prefix("name")?
                .trim_start()
                .strip_prefix('=')?,
        )
    })
}

fn quoted(text: &str) -> Option<&str> {
    text.split('"').nth(1)
}

/// Every dependency of a manifest, of whatever kind and platform, under the name its package has.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut section = "";
    for (at, text) in manifest.lines().enumerate() {
        let text = text.trim();
        if let Some(header) = text.strip_prefix('[') {
            section = header.trim_end_matches(']');
        }
        let name = if text.starts_with('[') {
            own_section(section)
        } else {
            entry(section, text)
        };
        found.extend(name.map(|name| Dependency {
            name: name.to_owned(),
            line: at + 1,
        }));
    }
    found
}

fn is_dependency_section(section: &str) -> bool {
    let last = section.rsplit('.').next().unwrap_or(section);
    matches!(
        last,
        "dependencies" | "dev-dependencies" | "build-dependencies"
    ) && !section.starts_with("workspace.")
}

/// `[dependencies.name]`
fn own_section(section: &str) -> Option<&str> {
    let (before, name) = section.rsplit_once('.')?;
    is_dependency_section(before).then_some(name)
}

/// `name = …`, `name.workspace = true` or, renamed, `other = { package = "name" }`.
fn entry<'a>(section: &'a str, text: &'a str) -> Option<&'a str> {
    let renamed = || quoted(text.split_once("package")?.1);
    if is_dependency_section(section) && !text.starts_with('#') {
        let key = text
            .split(['=', '.', ' '])
            .next()
            .filter(|key| !key.is_empty())?;
        return renamed().or(Some(key.trim_matches('"')));
    }
    own_section(section)
        .filter(|_| text.starts_with("package"))
        .and_then(|_| renamed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(package: &str, dependencies: &str) -> Vec<String> {
        let manifest = format!("[package]\nname = \"{package}\"\n{dependencies}");
        let tree = Tree::of(&[("x/Cargo.toml", &manifest)]);
        check(&tree)
            .into_iter()
            .map(|problem| format!("{}:{} {}", problem.path, problem.line, problem.what))
            .collect()
    }

    #[track_caller]
    fn finds(package: &str, dependencies: &str, expected: &str) {
        let found = found(package, dependencies);
        assert!(
            found.iter().any(|problem| problem == expected),
            "{found:#?}"
        );
    }

    #[test]
    fn layers_below_are_allowed() {
        let none: Vec<String> = Vec::new();
        assert_eq!(
            found(
                "xp-edge",
                "[dependencies]\nxp-protocol.workspace = true\n# rdkafka = \"1\"\ntokio = \"1\""
            ),
            none
        );
        assert_eq!(
            found(
                "xp-transport",
                "[dependencies]\nrdkafka = \"0.39\"\n[features]\nxp-edge = []"
            ),
            none
        );
    }

    #[test]
    fn an_edge_that_imports_the_state_node_is_found() {
        let expected = "x/Cargo.toml:4 `xp-edge` depends on `xp-state-node`, which is not below it";
        finds(
            "xp-edge",
            "[dependencies]\nxp-state-node.workspace = true",
            expected,
        );
        finds(
            "xp-edge",
            "[dev-dependencies]\nxp-state-node = { path = \"y\" }",
            expected,
        );
        finds(
            "xp-edge",
            "[target.'cfg(unix)'.dependencies]\nnode = { package = \"xp-state-node\" }",
            expected,
        );
    }

    #[test]
    fn a_dependency_with_a_section_of_its_own_is_found() {
        finds(
            "xp-protocol",
            "[dependencies.xp-client]\npath = \"y\"",
            "x/Cargo.toml:3 `xp-protocol` depends on `xp-client`, which is not below it",
        );
        finds(
            "xp-client",
            "[dependencies.bytes2]\npackage = \"bincode\"",
            "x/Cargo.toml:4 `xp-client` depends on `bincode`: only protocol defines platform bytes; domain-sdk has the domains' binary words, state-node its snapshots",
        );
    }

    #[test]
    fn reserved_and_barred_dependencies_are_found() {
        finds(
            "xp-edge",
            "[dependencies]\nxp-domain-sdk = \"1\"",
            "x/Cargo.toml:4 `xp-edge` depends on `xp-domain-sdk`: the edge never decodes a domain payload",
        );
        finds(
            "xp-domain-sdk",
            "[dependencies]\ntokio = \"1\"",
            "x/Cargo.toml:4 `xp-domain-sdk` depends on `tokio`: domain-sdk knows no tokio and no Kafka",
        );
        finds(
            "xp-state-node",
            "[dependencies]\nrdkafka = \"1\"",
            "x/Cargo.toml:4 `xp-state-node` depends on `rdkafka`: only transport imports Kafka",
        );
    }

    #[test]
    fn a_crate_without_a_layer_and_a_tool_that_imports_the_platform_are_found() {
        finds(
            "xp-common",
            "",
            "x/Cargo.toml:1 the crate `xp-common` has no layer",
        );
        finds(
            "xtask",
            "[dependencies]\nxp-protocol = \"1\"",
            "x/Cargo.toml:4 `xtask` depends on `xp-protocol`, which is not below it",
        );
    }
}
