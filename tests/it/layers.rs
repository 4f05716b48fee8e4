//! The house of `src/`: each room imports only from the rooms above it in `lib.rs`, and no files import each other in a
//! circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The modules of `src/`, by their paths (`reader::cache`), and the modules that each imports from.
type Imports = BTreeMap<String, BTreeSet<String>>;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rooms in the order in which `lib.rs` declares them.
fn rooms() -> Vec<String> {
    let lib = std::fs::read_to_string(source().join("lib.rs")).unwrap();
    let modules = lib.lines().filter_map(|line| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    modules.map(str::to_owned).collect()
}

/// The files below a folder, with the paths of their modules.
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

/// The paths that code names from `crate::` on, without comments: `use crate::a::{b::C, d::E}` is `a::b::C` and `a::d::E`.
fn named(code: &str) -> Vec<String> {
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

fn imports() -> Imports {
    let mut sources = BTreeMap::new();
    files(&source(), "", &mut sources);
    let lib = sources.remove("lib").unwrap();
    // What `lib.rs` shows at the root, by name.
    let root: BTreeMap<_, _> = named(&lib.replace("pub use ", "crate::"))
        .into_iter()
        .filter_map(|path| Some((path.rsplit_once("::")?.1.to_owned(), path)))
        .collect();
    let module_of = |path: &str| {
        let mut module = path
            .split("::")
            .next()
            .and_then(|first| root.get(first))
            .map_or(path, String::as_str);
        // Each turn drops a segment.
        while !sources.contains_key(module) {
            module = module.rsplit_once("::")?.0;
        }
        Some(module.to_owned())
    };
    sources
        .iter()
        .map(|(module, code)| {
            let from = named(code).into_iter().map(|path| {
                module_of(&path)
                    .unwrap_or_else(|| panic!("{module} names crate::{path}, which is no room: name its room"))
            });
            (module.clone(), from.filter(|from| from != module).collect())
        })
        .collect()
}

#[test]
fn each_module_imports_only_from_the_modules_above_it() {
    let rooms = rooms();
    assert!(rooms.len() > 5, "{rooms:?}");
    let place = |module: &str| {
        let room = module.split("::").next().unwrap();
        let place = rooms.iter().position(|name| name == room);
        place.unwrap_or_else(|| panic!("{module} is in no room of lib.rs"))
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
    // Each turn takes away the files that import from none of the rest, or ends.
    while !left.is_empty() {
        let free: Vec<_> = left
            .iter()
            .filter(|(_, from)| from.iter().all(|from| !left.contains_key(from)))
            .map(|(module, _)| module.clone())
            .collect();
        assert!(!free.is_empty(), "a circle among {:#?}", left);
        left.retain(|module, _| !free.contains(module));
    }
}

#[test]
fn a_path_in_code_is_seen_and_one_in_a_comment_is_not() {
    let code = "use crate::a::{b::C, d};\n/// [`crate::e`]\nfn f() -> crate::g::H<crate::i> {}";
    assert_eq!(named(code), ["a::b::C", "a::d", "g::H", "i"]);
}
