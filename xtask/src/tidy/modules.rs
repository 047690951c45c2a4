//! The modules of a crate in the order in which their parents list them.

use super::source::{Source, block_end, identifier};
use super::tree::{File, Tree};
use std::ops::Range;

pub(crate) struct Module<'a> {
    /// `["frame", "verb"]` for `crate::frame::verb`; empty for the root.
    pub(crate) path: Vec<String>,
    pub(crate) file: &'a File,
    pub(crate) source: Source,
    /// In the order of their `mod` lines.
    pub(crate) children: Vec<Module<'a>>,
}

/// The crates of the tree: libraries, programs, and programs in `src/bin`.
pub(crate) fn roots(tree: &Tree) -> Vec<Module<'_>> {
    let is_root = |path: &str| {
        let file = path.rsplit_once("src/").map(|(_, file)| file);
        file.is_some_and(|file| {
            matches!(file, "lib.rs" | "main.rs")
                || file
                    .strip_prefix("bin/")
                    .is_some_and(|name| !name.contains('/'))
        })
    };
    let roots = tree.rust_files().filter(|file| is_root(&file.path));
    roots.map(|file| read(tree, file, Vec::new())).collect()
}

fn read<'a>(tree: &'a Tree, file: &'a File, path: Vec<String>) -> Module<'a> {
    let source = Source::new(&file.path, &file.text);
    let folder = folder(&file.path, path.is_empty());
    let mut children = Vec::new();
    for name in listed(&source) {
        if let Some(file) = tree.file(&format!("{folder}/{name}.rs")) {
            let path = path.iter().cloned().chain([name]).collect();
            children.push(read(tree, file, path));
        }
    }
    Module {
        path,
        file,
        source,
        children,
    }
}

/// Where the children of a file lie: beside a root, else in the folder of its name.
fn folder(path: &str, is_root: bool) -> &str {
    match path.rsplit_once('/') {
        Some((folder, _)) if is_root => folder,
        _ => path.trim_end_matches(".rs"),
    }
}

/// Names of `mod name;`, without those for tests alone.
fn listed(source: &Source) -> Vec<String> {
    let modules = source.words("mod").filter_map(|at| {
        let name = identifier(&source.code, at + 3);
        let is_file = source.code[at + 3..].trim_start()[name.len()..]
            .trim_start()
            .starts_with(';');
        (is_file && !name.is_empty() && !is_for_tests(&source.code[..at])).then(|| name.to_owned())
    });
    modules.collect()
}

fn is_for_tests(before: &str) -> bool {
    let attributes = &before[before.rfind([';', '{', '}']).map_or(0, |at| at + 1)..];
    attributes.contains("cfg(test)") || attributes.contains("cfg(all(test")
}

impl Module<'_> {
    pub(crate) fn with_descendants(&self) -> Vec<&Self> {
        let below = self.children.iter().flat_map(Module::with_descendants);
        [self].into_iter().chain(below).collect()
    }

    pub(crate) fn position(&self, child: &str) -> Option<usize> {
        self.children
            .iter()
            .position(|module| module.path.last().is_some_and(|name| name == child))
    }

    /// The module at `path`, as far as it leads.
    pub(crate) fn descendant(&self, path: &[String]) -> Option<&Self> {
        match path {
            [] => Some(self),
            [first, rest @ ..] => self.children[self.position(first)?].descendant(rest),
        }
    }

    /// The path of what stands at an offset: this module's, and the blocks `mod name { … }` around it.
    pub(crate) fn path_at(&self, at: usize) -> Vec<String> {
        let inside = self
            .blocks()
            .into_iter()
            .filter(|(_, block)| block.contains(&at));
        self.path
            .iter()
            .cloned()
            .chain(inside.map(|(name, _)| name))
            .collect()
    }

    fn blocks(&self) -> Vec<(String, Range<usize>)> {
        let code = &self.source.code;
        let blocks = self.source.words("mod").filter_map(|at| {
            let name = identifier(code, at + 3);
            let open = at + 3 + code[at + 3..].find(['{', ';'])?;
            (code.as_bytes()[open] == b'{').then(|| (name.to_owned(), open..block_end(code, open)))
        });
        blocks.collect()
    }

    /// Whether an item of this name is defined in the file.
    pub(crate) fn defines(&self, name: &str) -> bool {
        const KINDS: [&str; 9] = [
            "struct",
            "enum",
            "trait",
            "type",
            "fn",
            "const",
            "static",
            "union",
            "macro_rules!",
        ];
        let code = &self.source.code;
        KINDS.iter().any(|kind| {
            code.match_indices(kind)
                .any(|(at, _)| identifier(code, at + kind.len()) == name)
        })
    }
}
