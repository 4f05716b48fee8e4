//! The layers of `src/`: each module imports only from the modules above it in `lib.rs`, and no
//! files import each other in a cycle. Paths that begin with `crate::` or `super::` count, except
//! in unit tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// For each module of `src/` by its path (such as `reader::cache`), the modules that it imports
/// from.
type Imports = BTreeMap<String, BTreeSet<String>>;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Returns the top-level modules in the order in which `lib.rs` declares them.
fn layers() -> Vec<String> {
    let lib = std::fs::read_to_string(source().join("lib.rs")).unwrap();
    let modules = lib.lines().filter_map(|line| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    modules.map(str::to_owned).collect()
}

/// Collects the files below a folder, by the paths of their modules.
fn files(folder: &Path, module: &str, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let below = [module, stem].join("::");
        let below = below.trim_start_matches("::");
        if path.is_dir() {
            files(&path, below, found);
        } else {
            let module = if stem == "mod" { module } else { below };
            found.insert(module.to_owned(), std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// Returns the paths from the root that the code of a module names: for
/// `use crate::a::{b::C, d::E}`, `a::b::C` and `a::d::E`. Comments and unit tests do not count.
fn list_paths(module: &str, code: &str) -> Vec<String> {
    let parent = module
        .rsplit_once("::")
        .map_or("crate::".to_owned(), |(parent, _)| format!("crate::{parent}::"));
    let code = code.split("mod tests {").next().unwrap().replace("super::", &parent);
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join(" ");
    let mut paths = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "_:".contains(c)));
        let (path, rest) = rest.split_at(end.unwrap_or(rest.len()));
        match rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((items, _)) if path.ends_with("::") => {
                paths.extend(items.split(',').map(|item| format!("{path}{}", item.trim())));
            }
            _ => paths.push(path.to_owned()),
        }
    }
    paths
}

/// Reads the imports of all files but `lib.rs`.
fn imports() -> Imports {
    let mut sources = BTreeMap::new();
    files(&source(), "", &mut sources);
    let lib = sources.remove("lib").unwrap();
    // The full paths of what `lib.rs` exports at the root, by name.
    let root: BTreeMap<_, _> = list_paths("", &lib.replace("pub use ", "crate::"))
        .into_iter()
        .filter_map(|path| Some((path.rsplit_once("::")?.1.to_owned(), path)))
        .collect();
    let module_of = |path: &str| {
        let mut module = path
            .split("::")
            .next()
            .and_then(|first| root.get(first))
            .map_or(path, String::as_str);
        // Bound: each turn drops a segment.
        while !sources.contains_key(module) {
            module = module.rsplit_once("::")?.0;
        }
        Some(module.to_owned())
    };
    sources
        .iter()
        .map(|(module, code)| {
            let from = list_paths(module, code).into_iter().map(|path| {
                module_of(&path).unwrap_or_else(|| {
                    panic!("{module} names crate::{path}, which is no path of src/: write it in full")
                })
            });
            (module.clone(), from.filter(|from| from != module).collect())
        })
        .collect()
}

#[test]
fn each_module_imports_only_from_the_modules_above_it() {
    let layers = layers();
    assert!(layers.len() > 5, "{layers:?}");
    let place = |module: &str| {
        let layer = module.split("::").next().unwrap();
        let place = layers.iter().position(|name| name == layer);
        place.unwrap_or_else(|| panic!("{module} is not declared in lib.rs"))
    };
    for (module, from) in imports() {
        for from in from {
            assert!(
                place(&from) <= place(&module),
                "src/{module} imports from src/{from}, which is below it in lib.rs"
            );
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_cycle() {
    let mut left = imports();
    assert!(left.values().any(|from| !from.is_empty()));
    // Bound: each turn removes a file that imports from none of the rest, or fails.
    while !left.is_empty() {
        let free: Vec<_> = left
            .iter()
            .filter(|(_, from)| from.iter().all(|from| !left.contains_key(from)))
            .map(|(module, _)| module.clone())
            .collect();
        assert!(!free.is_empty(), "a cycle among {:#?}", left);
        left.retain(|module, _| !free.contains(module));
    }
}

#[test]
fn a_path_in_code_is_seen_and_one_in_a_comment_or_a_unit_test_is_not() {
    let code =
        "use crate::a::{b::C, d};\n/// [`crate::e`]\nfn f() -> super::g::H<crate::i> {}\nmod tests { use super::*; }";
    assert_eq!(list_paths("x::y", code), ["a::b::C", "a::d", "x::g::H", "i"]);
}
