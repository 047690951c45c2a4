//! The size of types: how many methods see a type's fields, and how many fields there are.
//!
//! A type of very many methods hides nouns: whoever writes one of them cannot know what he may touch. A trait's own
//! methods count as a type's do, so that none becomes the place for what a type may not have.

use std::collections::BTreeMap;

use syn::{Fields, ImplItem, Item, TraitItem, Type};

use super::problem::Problem;
use super::section::Section;
use super::syntax::{is_for_tests, is_test_file, items};
use super::tree::{File, Tree};

const METHODS_MAX: usize = 40;
const FIELDS_MAX: usize = 12;

const MEND: &str = "find the nouns in it, and give each its own fields and methods";

/// How many of each a type has, and where it is declared.
#[derive(Default)]
struct Size {
    methods: usize,
    fields: usize,
    path: String,
}

type Sizes = BTreeMap<(String, String), Size>;

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let mut sizes = Sizes::new();
    for file in tree.rust_files().filter(|file| !is_test_file(&file.path)) {
        measure(file, &mut sizes);
    }
    let judged = sizes.iter().map(|((_, name), size)| judge(name, size));
    judged.flatten().collect()
}

/// One type against what it may have.
fn judge(name: &str, size: &Size) -> Option<Problem> {
    let (methods, fields) = (size.methods, size.fields);
    let is_small = methods <= METHODS_MAX && fields <= FIELDS_MAX;
    let what = || {
        format!(
            "`{name}` has {methods} methods and {fields} fields, more than {METHODS_MAX} or {FIELDS_MAX}"
        )
    };
    (!is_small).then(|| Problem::new(&size.path, 1, what(), MEND))
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
            Item::Trait(declared) => {
                let is_method = |item: &&TraitItem| matches!(item, TraitItem::Fn(_));
                let size = of(sizes, folder, declared.ident.to_string());
                path.clone_into(&mut size.path);
                size.methods += declared.items.iter().filter(is_method).count();
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

    fn found(count: usize) -> Vec<String> {
        let one = format!("struct Hall {{ a: u8 }}\nimpl Hall {{\n{}}}\n", methods(2));
        // The other half stands in another file, and tests and traits do not count.
        let other = format!(
            "impl Hall {{ {} }}\nimpl Clone for Hall {{ {} }}\n#[cfg(test)]\nmod tests {{ impl Hall {{ {} }} }}",
            methods(count - 2),
            methods(9),
            methods(9),
        );
        problems(&[("house/src/a.rs", &one), ("house/src/a/b.rs", &other)])
    }

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let found = check(&Tree::of(files));
        found.into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn a_type_has_no_more_methods_than_a_reader_can_keep_apart() {
        assert!(found(METHODS_MAX).is_empty());
        let too_many = "`Hall` has 41 methods and 1 fields, more than 40 or 12";
        assert_eq!(found(METHODS_MAX + 1), [too_many]);
    }

    #[test]
    fn a_trait_is_no_place_for_what_a_type_may_not_have() {
        let found = |count| {
            let text = format!("trait Halls {{ {} }}", methods(count));
            problems(&[("house/src/a.rs", &text)])
        };
        assert!(found(METHODS_MAX).is_empty());
        let too_many = "`Halls` has 41 methods and 0 fields, more than 40 or 12";
        assert_eq!(found(METHODS_MAX + 1), [too_many]);
    }

    #[test]
    fn a_section_of_the_configuration_is_a_type_like_others() {
        let fields = |count: usize| {
            let fields = (0..count).map(|n| format!("/// One.\nf{n}: Vec<u8> = Vec::new(),\n"));
            let fields: String = fields.collect();
            let text = format!("settings! {{ /// Some.\npub struct Some {{ {fields} }} }}");
            problems(&[("house/src/a.rs", &text)])
        };
        assert!(fields(FIELDS_MAX).is_empty());
        let too_many = "`Some` has 0 methods and 13 fields, more than 40 or 12";
        assert_eq!(fields(FIELDS_MAX + 1), [too_many]);
    }
}
