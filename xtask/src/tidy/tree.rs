//! The repository as a list of text files, so that every check is a function a test can feed.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Output and not source, at the root of the repository: as in `.gitignore`, and git itself.
const OUTPUT_AT_ROOT: [&str; 3] = [".git", "target", "data"];

/// Output wherever it lies.
const OUTPUT: [&str; 2] = ["__pycache__", "node_modules"];

#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the repository, with `/` on every platform.
    pub(crate) path: String,
    pub(crate) text: String,
}

#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: Vec<File>,
}

impl Tree {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.add_folder(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn add_folder(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let entries =
            fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_output(prefix, &name) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                self.add_folder(&entry.path(), &format!("{path}/"))?;
            } else {
                self.add_file(&entry.path(), path)?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, file: &Path, path: String) -> Result<()> {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        // What is no text (golden bytes, images) is not read.
        if let Ok(text) = String::from_utf8(bytes) {
            self.files.push(File { path, text });
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        });
        Self {
            files: files.collect(),
        }
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    pub(crate) fn rust_files(&self) -> impl Iterator<Item = &File> {
        self.files().filter(|file| file.path.ends_with(".rs"))
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files().find(|file| file.path == path)
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.file(path).map(|file| file.text.as_str())
    }
}

fn is_output(prefix: &str, name: &str) -> bool {
    let at_root = prefix.is_empty() && OUTPUT_AT_ROOT.contains(&name);
    at_root || OUTPUT.contains(&name) || name.ends_with(".log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_ignores_is_not_read() {
        assert!(
            is_output("", "target") && is_output("", "data") && is_output("docs/", "__pycache__")
        );
        assert!(!is_output("protocol/tests/", "data") && !is_output("", "docs"));
    }
}
