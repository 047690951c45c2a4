//! The stops of a record in `ARCHITECTURE.md`, from `inbound` to a socket: each named function is where the page says it
//! is, and each that a row mentions besides is somewhere. Whether a row says what happens there, only a reader can tell.

use std::collections::{BTreeMap, BTreeSet};

use syn::{ImplItem, Item, TraitItem, Type};

use super::problem::Problem;
use super::tree::Tree;

const PAGE: &str = "ARCHITECTURE.md";
const HEADING: &str = "## A record's way from `inbound` to a socket";
/// More files than a reader keeps in mind.
const STOPS_MAX: usize = 15;

/// From a file to the functions in it: `name`, or `Type::name` for a method.
type Functions = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let page = tree.text(PAGE).unwrap_or_default();
    let rows = rows(page);
    if rows.is_empty() || rows.len() > STOPS_MAX {
        let what = format!(
            "there are {} stops below `{HEADING}`, not 1 to {STOPS_MAX}",
            rows.len()
        );
        let mend = "give a table with the file and the function of each stop";
        return vec![Problem::new(PAGE, 1, what, mend)];
    }
    let functions = functions(tree);
    let all: BTreeSet<&String> = functions.values().flatten().collect();
    let misplaced = rows.iter().filter_map(|(line, row)| {
        let Some((function, file)) = stop(row) else {
            let what = "the row names no function and its file";
            let mend =
                "write: | 1 | `Type::function` in [`file.rs`](path/file.rs) | what happens there |";
            return Some(Problem::new(PAGE, *line, what, mend));
        };
        let is_there = functions
            .get(file)
            .is_some_and(|known| known.contains(function));
        let what = format!("there is no `{function}` in {file}");
        let mend = "name the function and the file where a reader finds it";
        (!is_there).then(|| Problem::new(PAGE, *line, what, mend))
    });
    let unknown = rows.iter().flat_map(|(line, row)| {
        let methods = quoted(row).filter(|name| name.contains("::"));
        let unknown = methods.filter(|name| !all.contains(&(*name).to_owned()));
        unknown.map(|name| {
            let what = format!("nothing in the code is called `{name}`");
            Problem::new(PAGE, *line, what, "name what the code has")
        })
    });
    misplaced.chain(unknown).collect()
}

/// The rows of the table below the heading, and their lines, counted from 1.
fn rows(page: &str) -> Vec<(usize, &str)> {
    let lines = page.lines().enumerate();
    let below = lines.skip_while(|(_, line)| *line != HEADING).skip(1);
    let section = below.take_while(|(_, line)| !line.starts_with('#'));
    let table = section.filter(|(_, line)| line.starts_with('|')).skip(2);
    table.map(|(index, line)| (index + 1, line)).collect()
}

/// The function of a row, and the file that its link leads to.
fn stop(row: &str) -> Option<(&str, &str)> {
    let cell = row.split('|').nth(2)?;
    let function = quoted(cell).next()?;
    let (_, link) = cell.split_once("](")?;
    Some((function, link.split_once(')')?.0))
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn functions(tree: &Tree) -> Functions {
    let mut found = Functions::new();
    for file in tree.rust_files() {
        // What the compiler refuses has no functions.
        if let Ok(parsed) = syn::parse_file(&file.text) {
            let names = parsed.items.iter().flat_map(declared);
            found.insert(file.path.clone(), names.collect());
        }
    }
    found
}

fn declared(item: &Item) -> Vec<String> {
    match item {
        Item::Fn(function) => vec![function.sig.ident.to_string()],
        Item::Impl(block) => {
            let Type::Path(of) = &*block.self_ty else {
                return Vec::new();
            };
            let of = of.path.segments.last().map(|of| of.ident.to_string());
            let names = block.items.iter().filter_map(|item| match item {
                ImplItem::Fn(method) => Some(&method.sig.ident),
                _ => None,
            });
            names
                .map(|name| format!("{}::{name}", of.as_deref().unwrap_or_default()))
                .collect()
        }
        Item::Trait(declared) => {
            let names = declared.items.iter().filter_map(|item| match item {
                TraitItem::Fn(method) => Some(&method.sig.ident),
                _ => None,
            });
            names
                .map(|name| format!("{}::{name}", declared.ident))
                .collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "fn record() {}\nstruct Shell;\nimpl<'a> Shell { fn hear() {} }\ntrait Entity { fn decide(); }";

    fn problems(rows: &[&str]) -> Vec<String> {
        let page = format!(
            "{HEADING}\n\n| | stop | what |\n| --- | --- | --- |\n{}\n",
            rows.join("\n")
        );
        let tree = Tree::of(&[
            (PAGE, &page),
            ("node/src/shell.rs", CODE),
            ("edge/src/a.rs", "fn b() {}"),
        ]);
        check(&tree)
            .into_iter()
            .map(|problem| problem.what)
            .collect()
    }

    #[test]
    fn a_stop_is_where_the_page_says_it_is() {
        let there = [
            "| 1 | `Shell::hear` in [`shell.rs`](node/src/shell.rs) | then `Entity::decide` |",
            "| 2 | `record` in [`shell.rs`](node/src/shell.rs) | a `Batch` goes |",
        ];
        assert!(problems(&there).is_empty());
        let renamed = ["| 1 | `Shell::listen` in [`shell.rs`](node/src/shell.rs) | |"];
        let what = [
            "there is no `Shell::listen` in node/src/shell.rs",
            "nothing in the code is called `Shell::listen`",
        ];
        assert_eq!(problems(&renamed), what);
        let elsewhere = ["| 1 | `Shell::hear` in [`a.rs`](edge/src/a.rs) | |"];
        assert_eq!(
            problems(&elsewhere),
            ["there is no `Shell::hear` in edge/src/a.rs"]
        );
        assert_eq!(
            problems(&["| 1 | somewhere | |"]),
            ["the row names no function and its file"]
        );
    }

    #[test]
    fn what_a_row_mentions_is_in_the_code() {
        let mentions = ["| 1 | `record` in [`shell.rs`](node/src/shell.rs) | by `Shell::gone` |"];
        assert_eq!(
            problems(&mentions),
            ["nothing in the code is called `Shell::gone`"]
        );
    }

    #[test]
    fn a_reader_keeps_no_more_than_fifteen_files_in_mind() {
        let row = "| 1 | `record` in [`shell.rs`](node/src/shell.rs) | |";
        assert!(problems(&[row; STOPS_MAX]).is_empty());
        assert_eq!(problems(&[row; STOPS_MAX + 1]).len(), 1);
        assert_eq!(problems(&[]).len(), 1, "the table is gone");
    }
}
