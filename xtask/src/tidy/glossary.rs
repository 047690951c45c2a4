//! The glossary of `ARCHITECTURE.md`: each of its words is in the code, and each name that several public types have is
//! listed with every one of them. Whether the meanings are right, only a reader can say.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenTree;
use syn::{Item, Visibility};

use super::problem::Problem;
use super::section::Section;
use super::syntax::walk;
use super::tree::{File, Tree};

const PAGE: &str = "ARCHITECTURE.md";
/// One meaning each: the first cell holds words, with commas between them.
const WORDS: &str = "## Words";
/// Several meanings: the first cell holds a type's name, the second a link to each file that has such a type.
const NAMES: &str = "### Names that several types have";

/// Folders of no library: nothing outside of them can name what is public in them.
const NO_LIBRARIES: [&str; 4] = ["bench/", "sandbox/domains/", "simulator/", "xtask/"];

/// From the name of a public type to the files that have one of that name.
type Named = BTreeMap<String, BTreeSet<String>>;

/// A row of a table: its line, counted from 1, and its first two cells.
type Row<'t> = (usize, &'t str, &'t str);

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let Some(page) = tree.text(PAGE) else {
        return vec![Problem::new(PAGE, 1, "it is missing", "write it")];
    };
    let mut found = unknown_words(tree, &rows(page, WORDS));
    found.extend(ambiguous_names(&public_types(tree), &rows(page, NAMES)));
    found
}

/// The rows below a heading, up to the next one. The first two lines of a table are its head.
fn rows<'t>(page: &'t str, heading: &str) -> Vec<Row<'t>> {
    let lines = page.lines().enumerate();
    let below = lines.skip_while(|(_, line)| *line != heading).skip(1);
    let section = below.take_while(|(_, line)| !line.starts_with('#'));
    let table = section.filter(|(_, line)| line.starts_with('|')).skip(2);
    let row = |(index, line): (usize, &'t str)| {
        let mut cells = line.trim_matches('|').splitn(2, '|').map(str::trim);
        Some((index + 1, cells.next()?, cells.next()?))
    };
    table.filter_map(row).collect()
}

fn unknown_words(tree: &Tree, rows: &[Row<'_>]) -> Vec<Problem> {
    if rows.is_empty() {
        let what = format!("there is no table below `{WORDS}`");
        return vec![Problem::new(PAGE, 1, what, "list what words mean there")];
    }
    let mut identifiers = BTreeSet::new();
    for file in tree.rust_files() {
        walk(file, &mut |_, trees| {
            let words = trees.iter().filter_map(|tree| match tree {
                TokenTree::Ident(word) => Some(folded(&word.to_string())),
                _ => None,
            });
            identifiers.extend(words);
        });
    }
    let words = rows
        .iter()
        .flat_map(|(line, words, _)| words.split(", ").map(|word| (*line, word)));
    let unknown = words.filter(|(_, word)| !identifiers.contains(&identifier(word)));
    let problem = |(line, word)| {
        let what = format!("nothing in the code is called {word}");
        Problem::new(
            PAGE,
            line,
            what,
            "use the word that the code uses, or take the row away",
        )
    };
    unknown.map(problem).collect()
}

/// A word of the glossary as it would be in code: `inbound::Message` is a `Message`, and a dial attempt a `DialAttempt`.
fn identifier(word: &str) -> String {
    let word = word.trim_matches('`');
    folded(word.rsplit("::").next().unwrap_or(word))
}

/// `DialAttempt`, `dial_attempt` and `dial attempt` are one.
fn folded(word: &str) -> String {
    let letters = word.chars().filter(|letter| !matches!(letter, '_' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

fn ambiguous_names(types: &Named, rows: &[Row<'_>]) -> Vec<Problem> {
    let listed: BTreeMap<&str, (usize, BTreeSet<String>)> = rows
        .iter()
        .map(|(line, name, meanings)| (name.trim_matches('`'), (*line, linked(meanings))))
        .collect();
    let several = types.iter().filter(|(_, files)| files.len() > 1);
    let unlisted = several.filter(|(name, _)| !listed.contains_key(name.as_str()));
    let unlisted = unlisted.map(|(name, files)| {
        let files = files.iter().cloned().collect::<Vec<_>>().join(", ");
        let what = format!("several public types are called `{name}`: {files}");
        let mend = format!("give each its own name, or list their meanings below `{NAMES}`");
        Problem::new(PAGE, 1, what, mend)
    });
    let none = BTreeSet::new();
    let wrong = listed.iter().filter_map(|(name, (line, linked))| {
        let files = types.get(*name).unwrap_or(&none);
        if files.len() > 1 && files == linked {
            return None;
        }
        let differ = files.symmetric_difference(linked).cloned();
        let differ = differ.collect::<Vec<_>>().join(", ");
        let what = format!("the row of `{name}` is wrong about {differ}");
        let mend = "link every file that has a public type of this name, and no other; a name of one type needs no row";
        Some(Problem::new(PAGE, *line, what, mend))
    });
    unlisted.chain(wrong).collect()
}

/// The files that links lead to.
fn linked(text: &str) -> BTreeSet<String> {
    let behind = text.split("](").skip(1);
    let targets = behind.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
    targets.collect()
}

fn public_types(tree: &Tree) -> Named {
    let mut found = Named::new();
    for file in tree.rust_files().filter(|file| is_of_library(&file.path)) {
        // What the compiler refuses has no types.
        if let Ok(parsed) = syn::parse_file(&file.text) {
            collect(&parsed.items, file, &mut found);
        }
    }
    found
}

fn is_of_library(path: &str) -> bool {
    let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
    path.contains("/src/")
        && !is_test
        && !NO_LIBRARIES.iter().any(|folder| path.starts_with(folder))
}

fn collect(items: &[Item], file: &File, found: &mut Named) {
    for item in items {
        let section = match item {
            Item::Macro(call) => Section::of(call),
            _ => None,
        };
        let (visibility, name) = match item {
            Item::Macro(_) => match &section {
                Some(section) => (&section.visibility, &section.name),
                None => continue,
            },
            Item::Struct(item) => (&item.vis, &item.ident),
            Item::Enum(item) => (&item.vis, &item.ident),
            Item::Trait(item) => (&item.vis, &item.ident),
            Item::Type(item) => (&item.vis, &item.ident),
            Item::Mod(item) if matches!(item.vis, Visibility::Public(_)) => {
                if let Some((_, items)) = &item.content {
                    collect(items, file, found);
                }
                continue;
            }
            _ => continue,
        };
        if matches!(visibility, Visibility::Public(_)) {
            let files = found.entry(name.to_string()).or_default();
            files.insert(file.path.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALL: &str = "pub struct Door;\nstruct Window;\npub struct DialAttempt;\n";
    const YARD: &str = "pub enum Door { Open }\npub struct Window;\n";

    fn found(names: &str) -> Vec<String> {
        found_with("| dial attempt, `hall::Door` | one of many |\n", names)
    }

    fn found_with(words: &str, names: &str) -> Vec<String> {
        let head = "| word | meaning |\n| --- | --- |\n";
        let page =
            format!("# House\n\n{WORDS}\n\n{head}{words}\n{NAMES}\n\n{head}{names}\n## Else\n");
        let tree = Tree::of(&[
            (PAGE, &page),
            ("house/src/hall.rs", HALL),
            ("garden/src/yard.rs", YARD),
            ("garden/src/yard/tests.rs", "pub struct DialAttempt;"),
            ("bench/src/load.rs", "pub struct DialAttempt;"),
        ]);
        let found = check(&tree);
        found.into_iter().map(|problem| problem.what).collect()
    }

    const BOTH: &str = "| `Door` | [wood](house/src/hall.rs), [iron](garden/src/yard.rs) |\n";

    #[test]
    fn a_name_of_several_public_types_is_listed_with_all_of_them() {
        assert!(found(BOTH).is_empty());
        let unlisted =
            "several public types are called `Door`: garden/src/yard.rs, house/src/hall.rs";
        assert_eq!(found(""), [unlisted]);
        let one = "| `Door` | [wood](house/src/hall.rs) |\n";
        assert_eq!(
            found(one),
            ["the row of `Door` is wrong about garden/src/yard.rs"]
        );
    }

    #[test]
    fn a_row_of_a_name_that_one_type_has_is_taken_away() {
        let stale =
            format!("{BOTH}| `Window` | [glass](garden/src/yard.rs) |\n| `Roof` | tiles |\n");
        let wrong = [
            "the row of `Roof` is wrong about ",
            "the row of `Window` is wrong about ",
        ];
        assert_eq!(found(&stale), wrong);
    }

    #[test]
    fn a_word_that_the_code_does_not_use_is_no_word_of_the_glossary() {
        let words = "| dial attempt, roof | one of many |\n";
        assert_eq!(
            found_with(words, BOTH),
            ["nothing in the code is called roof"]
        );
        let none = format!("there is no table below `{WORDS}`");
        assert_eq!(found_with("", BOTH), [none]);
    }

    #[test]
    fn a_section_of_the_configuration_is_a_type_like_others() {
        let gate = "settings! {\n/// One.\npub struct Gate {\nopen: bool = false,\n}\n}\n";
        let tree = Tree::of(&[("house/src/hall.rs", gate)]);
        assert!(public_types(&tree).contains_key("Gate"));
    }
}
