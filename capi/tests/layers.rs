//! No files of the library import each other in a cycle.

use std::collections::{BTreeMap, BTreeSet};

use crate::programs::capi;

#[test]
fn no_files_import_each_other_in_a_cycle() {
    let mut left = imports();
    assert!(left["lib"].len() > 2, "{left:#?}");
    // Bound: each turn removes a file that imports from none of the rest, or fails.
    while !left.is_empty() {
        let (free, rest) = left
            .clone()
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(_, from)| from.iter().all(|from| !left.contains_key(from)));
        assert!(!free.is_empty(), "a cycle among {left:#?}");
        left = rest;
    }
}

/// Returns the modules whose paths each file names, by its module. Comments do not count.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let files = std::fs::read_dir(capi().join("src")).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let code = std::fs::read_to_string(&path).unwrap();
        let code: Vec<_> = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        let from = code.join("\n").split("crate::").skip(1).map(module).collect();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), from)
    });
    files.collect()
}

/// Returns the first segment of a path.
fn module(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
