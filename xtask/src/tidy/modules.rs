//! The modules of a crate in the order in which their parents list them.

use super::syntax::{is_for_tests, items};
use super::tree::{File, Tree};
use proc_macro2::Ident;
use syn::Item;

pub(crate) struct Module<'a> {
    /// `["frame", "verb"]` for `crate::frame::verb`; empty for the root.
    pub(crate) path: Vec<String>,
    pub(crate) file: &'a File,
    pub(crate) items: Vec<Item>,
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
    let items = items(file);
    let folder = folder(&file.path, path.is_empty());
    let mut children = Vec::new();
    for name in listed(&items) {
        if let Some(file) = tree.file(&format!("{folder}/{name}.rs")) {
            let path = path.iter().cloned().chain([name]).collect();
            children.push(read(tree, file, path));
        }
    }
    Module {
        path,
        file,
        items,
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
fn listed(items: &[Item]) -> impl Iterator<Item = String> + '_ {
    items.iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_none() && !is_for_tests(&module.attrs) => {
            Some(module.ident.to_string())
        }
        _ => None,
    })
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

    /// Whether an item of this name is defined in the file.
    pub(crate) fn defines(&self, name: &str) -> bool {
        let mut defined = self.items.iter().filter_map(ident);
        defined.any(|ident| ident == name)
    }
}

fn ident(item: &Item) -> Option<&Ident> {
    match item {
        Item::Struct(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Const(item) => Some(&item.ident),
        Item::Static(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        Item::Macro(item) => item.ident.as_ref(),
        _ => None,
    }
}
