//! The guards: tests in modules `guards`, of all packages.

use crate::cargo;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One guard.
pub(crate) struct Guard {
    /// The folder of its package.
    pub(crate) package: String,
    /// The program that it is a test of.
    pub(crate) program: PathBuf,
    /// Its name there, with the modules that it is in.
    pub(crate) test: String,
}

impl Guard {
    /// As baselines name it: `edge: a_connection_with_one_frame_is_flushed`.
    pub(crate) fn name(&self) -> String {
        format!("{}: {}", self.package, self.short())
    }

    /// The name of the file that callgrind writes.
    pub(crate) fn profile(&self) -> String {
        let package = self.package.replace('/', "-");
        format!("{package}-{}.callgrind", self.short())
    }

    /// Without its modules.
    fn short(&self) -> &str {
        self.test.rsplit("::").next().unwrap_or(&self.test)
    }
}

/// All guards. Builds the tests, if that has not been done.
pub(crate) fn guards(root: &Path) -> Result<Vec<Guard>> {
    let words = ["test", "--workspace", "--no-run", "--message-format=json"];
    let mut build = cargo::command(root, &words);
    let built = build.stderr(Stdio::inherit()).output();
    let built = built.context("cargo cannot be started")?;
    if !built.status.success() {
        bail!("`cargo test --workspace --no-run` does not work; see above");
    }
    let root = std::fs::canonicalize(root).context("the repository is lost")?;
    let mut guards = Vec::new();
    for line in String::from_utf8_lossy(&built.stdout).lines() {
        if let Some((package, program)) = program(&root, line) {
            guards.extend(of_program(&package, &program)?);
        }
    }
    name_each_once(&guards)?;
    Ok(guards)
}

fn name_each_once(guards: &[Guard]) -> Result<()> {
    let mut names = BTreeSet::new();
    match guards.iter().find(|guard| !names.insert(guard.name())) {
        Some(guard) => bail!("two guards are named `{}`: rename one", guard.name()),
        None => Ok(()),
    }
}

/// The program of tests, and the folder of its package, that a line of cargo is about.
fn program(root: &Path, line: &str) -> Option<(String, PathBuf)> {
    let said: Value = serde_json::from_str(line).ok()?;
    let is_test = said["profile"]["test"].as_bool()?;
    let manifest = Path::new(said["manifest_path"].as_str()?);
    let package = manifest.parent()?.strip_prefix(root).ok()?;
    let program = said["executable"].as_str()?;
    is_test.then(|| (package.display().to_string(), program.into()))
}

fn of_program(package: &str, program: &Path) -> Result<Vec<Guard>> {
    let mut list = Command::new(program);
    let list = list.args(["guards::", "--list", "--format", "terse"]);
    let listed = list.output();
    let listed = listed.with_context(|| format!("cannot start {}", program.display()))?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let tests = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    let guard = |test: &str| Guard {
        package: package.to_owned(),
        program: program.to_owned(),
        test: test.to_owned(),
    };
    Ok(tests.filter(|test| is_guard(test)).map(guard).collect())
}

fn is_guard(test: &str) -> bool {
    let mut modules = test.rsplit("::").skip(1);
    modules.next() == Some("guards")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_tests_are_found_in_what_cargo_says() {
        let said = |executable: &str, is_test| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/r/client/rust/Cargo.toml","profile":{{"test":{is_test}}},"executable":{executable}}}"#
            )
        };
        let found = program(Path::new("/r"), &said(r#""/r/target/x""#, true));
        assert_eq!(found, Some(("client/rust".into(), "/r/target/x".into())));
        assert_eq!(program(Path::new("/r"), &said("null", true)), None);
        assert_eq!(program(Path::new("/r"), &said(r#""/r/x""#, false)), None);
        assert_eq!(program(Path::new("/s"), &said(r#""/r/x""#, true)), None);
        assert_eq!(program(Path::new("/r"), "warning: nothing"), None);
    }

    #[test]
    fn two_guards_of_one_name_are_told() {
        let guard = |package: &str, test: &str| Guard {
            package: package.to_owned(),
            program: PathBuf::new(),
            test: test.to_owned(),
        };
        let one = || guard("client/rust", "guards::one");
        assert_eq!(one().profile(), "client-rust-one.callgrind");
        assert!(name_each_once(&[one(), guard("edge", "guards::one")]).is_ok());
        let said = name_each_once(&[one(), guard("client/rust", "a::guards::one")]);
        let said = said.unwrap_err().to_string();
        assert_eq!(said, "two guards are named `client/rust: one`: rename one");
    }

    #[test]
    fn only_tests_directly_in_a_module_of_the_name_are_guards() {
        assert!(is_guard("fanout::tests::guards::one"));
        assert!(is_guard("guards::one"));
        assert!(!is_guard("guards::list::tests::one"));
        assert!(!is_guard("life_guards::one"));
        assert!(!is_guard("guards"));
    }
}
