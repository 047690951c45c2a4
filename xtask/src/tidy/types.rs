//! The size of types: how many methods see a type's fields, and how many fields there are.
//!
//! A type of very many methods hides nouns: whoever writes one of them cannot know what he may touch. Those that are too
//! large today are listed with what they have, and may only shrink.

use std::collections::BTreeMap;

use syn::{Fields, ImplItem, Item, Type};

use super::problem::Problem;
use super::section::Section;
use super::syntax::{is_for_tests, is_test_file, items};
use super::tree::{File, Tree};

const METHODS_MAX: usize = 40;
const FIELDS_MAX: usize = 12;

const MEND: &str = "find the nouns in it, and give each its own fields and methods";

/// A type's crate (its folder) and name, and how many methods and fields it has.
type Listed = (&'static str, &'static str, usize, usize);

/// What is too large today. `Scenario` is a language for tests, and its methods are its words: most are one line that
/// hands on to the world behind it, and to divide them would only make a chain of calls harder to write.
const LISTED: [Listed; 1] = [("domain-sdk", "Scenario", 69, 4)];

/// How many of each a type has, and where it is declared.
#[derive(Default)]
struct Size {
    methods: usize,
    fields: usize,
    path: String,
}

type Sizes = BTreeMap<(String, String), Size>;

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    check_against(tree, &LISTED)
}

fn check_against(tree: &Tree, listed: &[Listed]) -> Vec<Problem> {
    let mut sizes = Sizes::new();
    for file in tree.rust_files().filter(|file| !is_test_file(&file.path)) {
        measure(file, &mut sizes);
    }
    let unlisted = |((folder, name), size): (&(String, String), &Size)| {
        let known = listed
            .iter()
            .find(|(of, known, ..)| of == folder && known == name);
        judge(name, size, known)
    };
    let gone = listed.iter().filter(|(folder, name, ..)| {
        !sizes.contains_key(&((*folder).to_owned(), (*name).to_owned()))
    });
    let gone = gone.map(|(folder, name, ..)| {
        let what = format!("`{name}` of {folder} is listed, and there is no such type");
        Problem::new("xtask/src/tidy/types.rs", 1, what, "take it from the list")
    });
    sizes.iter().filter_map(unlisted).chain(gone).collect()
}

/// One type against what it may have.
fn judge(name: &str, size: &Size, listed: Option<&Listed>) -> Option<Problem> {
    let (methods, fields) = (size.methods, size.fields);
    let is_small = methods <= METHODS_MAX && fields <= FIELDS_MAX;
    let has = format!("`{name}` has {methods} methods and {fields} fields");
    let (what, mend) = match listed {
        None if is_small => return None,
        None => (
            format!("{has}, more than {METHODS_MAX} or {FIELDS_MAX}"),
            MEND.to_owned(),
        ),
        Some((.., m, f)) if (*m, *f) == (methods, fields) && !is_small => return None,
        Some((.., m, f)) if methods > *m || fields > *f => {
            (format!("{has}, and had {m} and {f}"), MEND.to_owned())
        }
        Some(_) => {
            let list = "its line in xtask/src/tidy/types.rs";
            let mend = match is_small {
                true => format!("take {list} away"),
                false => format!("write that into {list}, so that it does not grow again"),
            };
            (format!("{has}: it has shrunk"), mend)
        }
    };
    Some(Problem::new(&size.path, 1, what, mend))
}

fn measure(file: &File, sizes: &mut Sizes) {
    let Some((folder, _)) = file.path.split_once("/src/") else {
        return;
    };
    measure_items(&items(file), folder, &file.path, sizes);
}

fn measure_items(items: &[Item], folder: &str, path: &str, sizes: &mut Sizes) {
    for item in items {
        match item {
            Item::Struct(declared) => {
                let size = of(sizes, folder, declared.ident.to_string());
                path.clone_into(&mut size.path);
                if let Fields::Named(fields) = &declared.fields {
                    size.fields = fields.named.len();
                }
            }
            Item::Enum(declared) => {
                let size = of(sizes, folder, declared.ident.to_string());
                path.clone_into(&mut size.path);
            }
            Item::Macro(call) => {
                if let Some(section) = Section::of(call) {
                    let size = of(sizes, folder, section.name.to_string());
                    path.clone_into(&mut size.path);
                    size.fields = section.fields;
                }
            }
            // A trait's methods are the trait's.
            Item::Impl(block) if block.trait_.is_none() => {
                let is_method = |item: &&ImplItem| matches!(item, ImplItem::Fn(_));
                let methods = block.items.iter().filter(is_method).count();
                if let Some(name) = name(&block.self_ty) {
                    of(sizes, folder, name).methods += methods;
                }
            }
            Item::Mod(inner) if !is_for_tests(&inner.attrs) => {
                if let Some((_, items)) = &inner.content {
                    measure_items(items, folder, path, sizes);
                }
            }
            _ => {}
        }
    }
}

fn of<'s>(sizes: &'s mut Sizes, folder: &str, name: String) -> &'s mut Size {
    sizes.entry((folder.to_owned(), name)).or_default()
}

fn name(of: &Type) -> Option<String> {
    let Type::Path(path) = of else { return None };
    Some(path.path.segments.last()?.ident.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn methods(count: usize) -> String {
        let methods = (0..count).map(|n| format!("fn m{n}(&self) {{}}\n"));
        methods.collect()
    }

    fn found(listed: &[Listed], count: usize) -> Vec<String> {
        let one = format!("struct Hall {{ a: u8 }}\nimpl Hall {{\n{}}}\n", methods(2));
        // The other half stands in another file, and tests and traits do not count.
        let other = format!(
            "impl Hall {{ {} }}\nimpl Clone for Hall {{ {} }}\n#[cfg(test)]\nmod tests {{ impl Hall {{ {} }} }}",
            methods(count - 2),
            methods(9),
            methods(9),
        );
        let tree = Tree::of(&[("house/src/a.rs", &one), ("house/src/a/b.rs", &other)]);
        let found = check_against(&tree, listed);
        found.into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn a_type_has_no_more_methods_than_a_reader_can_keep_apart() {
        assert!(found(&[], METHODS_MAX).is_empty());
        let problems = found(&[], METHODS_MAX + 1);
        assert_eq!(
            problems,
            ["`Hall` has 41 methods and 1 fields, more than 40 or 12"]
        );
    }

    #[test]
    fn what_is_too_large_already_may_only_shrink() {
        let listed = [("house", "Hall", 45, 1)];
        assert!(found(&listed, 45).is_empty());
        assert_eq!(
            found(&listed, 46),
            ["`Hall` has 46 methods and 1 fields, and had 45 and 1"]
        );
        let shrunk = "`Hall` has 44 methods and 1 fields: it has shrunk";
        assert_eq!(found(&listed, 44), [shrunk]);
        assert_eq!(
            found(&[("house", "Attic", 45, 1)], 3).len(),
            1,
            "it is gone"
        );
    }
    #[test]
    fn a_section_of_the_configuration_is_a_type_like_others() {
        let fields = |count: usize| {
            let fields = (0..count).map(|n| format!("/// One.\nf{n}: Vec<u8> = Vec::new(),\n"));
            let fields: String = fields.collect();
            let text = format!("settings! {{ /// Some.\npub struct Some {{ {fields} }} }}");
            check_against(&Tree::of(&[("house/src/a.rs", &text)]), &[])
        };
        assert!(fields(FIELDS_MAX).is_empty());
        let problems = fields(FIELDS_MAX + 1);
        assert_eq!(
            problems[0].what,
            "`Some` has 0 methods and 13 fields, more than 40 or 12"
        );
    }
}
