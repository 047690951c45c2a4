//! Questions to the tools, and what to do about what they find.

use crate::tidy::Tree;
use crate::tools::{DENY, LYCHEE, MACHETE, TAPLO, TYPOS, Tool};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

const SPELL: &str = "correct the words, or add them with their reason to typos.toml";

const FORMAT: &str = "`cargo xtask format` does it";

const LINK: &str = "a link is relative to the page that it stands in, and its fragment is a heading of the other page";

const UNUSED: &str = "take the dependency away, or name it with its reason in [package.metadata.cargo-machete] of that Cargo.toml";

const REFUSED: &str = "use another crate or version, or allow it with its reason in deny.toml";

/// Spelling of everything that git keeps.
pub(crate) fn spelling(root: &Path) -> Result<()> {
    let arguments = ["--format", "brief"].map(str::to_owned);
    passes(root, &TYPOS, &arguments, SPELL)
}

/// The form of all TOML files.
pub(crate) fn toml(root: &Path) -> Result<()> {
    let check = ["format", "--check", "--diff"].map(str::to_owned);
    passes(root, &TAPLO, &with_files(root, &check, ".toml")?, FORMAT)
}

/// Gives all TOML files that form.
pub(crate) fn format_toml(root: &Path) -> Result<()> {
    let format = ["format".to_owned()];
    let mend = "mend what it says of the file";
    passes(root, &TAPLO, &with_files(root, &format, ".toml")?, mend)
}

/// Links of all pages to files and headings; those into the web are not followed.
pub(crate) fn links(root: &Path) -> Result<()> {
    let root_dir = std::fs::canonicalize(root).context("the repository is lost")?;
    let ask = [
        "--offline",
        "--no-progress",
        "--include-fragments=full",
        "--root-dir",
        root_dir
            .to_str()
            .context("the repository's path is no text")?,
    ]
    .map(str::to_owned);
    passes(root, &LYCHEE, &with_files(root, &ask, ".md")?, LINK)
}

/// Dependencies that no source names.
pub(crate) fn unused_dependencies(root: &Path) -> Result<()> {
    passes(root, &MACHETE, &[], UNUSED)
}

/// Licences, bans, versions and sources of what comes in.
pub(crate) fn dependencies(root: &Path) -> Result<()> {
    let arguments = ["check", "bans", "licenses", "sources"].map(str::to_owned);
    passes(root, &DENY, &arguments, REFUSED)
}

/// Whether the advisories could be fetched. They lie in a git repository, which not every network reaches.
pub(crate) fn fetch_advisories(root: &Path) -> Result<bool> {
    let mut fetch = Command::new(DENY.prepare(root)?);
    fetch.current_dir(root).args(["fetch", "db"]);
    let fetched = fetch.stdout(Stdio::null()).stderr(Stdio::null()).status();
    Ok(fetched.is_ok_and(|status| status.success()))
}

/// What is said of the advisories that were fetched.
pub(crate) fn advisories(root: &Path) -> Result<()> {
    let arguments = ["check", "--disable-fetch", "advisories"].map(str::to_owned);
    passes(root, &DENY, &arguments, REFUSED)
}

fn with_files(root: &Path, arguments: &[String], ending: &str) -> Result<Vec<String>> {
    let tree = Tree::read(root)?;
    let paths = tree.files().map(|file| file.path.clone());
    let files = paths.filter(|path| path.ends_with(ending));
    Ok(arguments.iter().cloned().chain(files).collect())
}

fn passes(root: &Path, tool: &Tool, arguments: &[String], mend: &str) -> Result<()> {
    let program = tool.prepare(root)?;
    let mut command = Command::new(&program);
    let status = command.args(arguments).current_dir(root).status();
    let status = status.with_context(|| format!("cannot start {}", program.display()))?;
    if !status.success() {
        bail!(
            "{} ended with {status}; of what it names above: {mend}",
            program.display()
        );
    }
    Ok(())
}
