//! Each public type and trait has a runnable example in its documentation.

use std::collections::BTreeSet;
use std::path::Path;

/// A public type or trait of the source.
struct Item {
    name: String,
    /// The file and line of its declaration.
    place: String,
    has_example: bool,
}

/// Collects the files below `folder` with their text.
fn files(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path.display().to_string(), text));
        }
    }
}

/// Returns the name of the public type or trait that `line` declares.
fn declared(line: &str) -> Option<&str> {
    let item = line.trim_start().strip_prefix("pub ")?;
    let (kind, rest) = item.split_once(' ')?;
    let name = rest.split(|c: char| !c.is_alphanumeric()).next()?;
    ["struct", "enum", "trait", "union"].contains(&kind).then_some(name)
}

/// Returns whether documentation has a code block that `cargo test` runs.
fn has_example<'a>(lines: impl Iterator<Item = &'a str>) -> bool {
    let mut inside = false;
    for line in lines.map(str::trim) {
        // A code fence that depends on a feature is written as a `cfg_attr` attribute.
        if line.contains("doc = \"```\"") {
            return true;
        }
        if let Some(language) = line.strip_prefix("///").and_then(|doc| doc.trim().strip_prefix("```")) {
            if !inside && language.is_empty() {
                return true;
            }
            inside = !inside;
        }
    }
    false
}

/// Returns the public types and traits that a file declares.
fn items(file: &str, text: &str) -> Vec<Item> {
    let lines: Vec<_> = text.lines().collect();
    let declarations = lines
        .iter()
        .enumerate()
        .filter_map(|(at, line)| Some((at, declared(line)?)));
    declarations
        .map(|(at, name)| Item {
            name: name.to_owned(),
            place: format!("{file}:{}", at + 1),
            has_example: {
                // An item's documentation and attributes are the lines between the last empty line
                // and the item.
                let start = lines[..at].iter().rposition(|line| line.trim().is_empty());
                has_example(lines[start.map_or(0, |empty| empty + 1)..at].iter().copied())
            },
        })
        .collect()
}

/// Returns the type and trait names that `pub use` items export.
pub fn exported(text: &str) -> BTreeSet<String> {
    let uses = text.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
    uses.flat_map(|path| path.split(|c: char| !(c.is_alphanumeric() || c == '_')))
        .filter(|name| name.starts_with(char::is_uppercase))
        .map(str::to_owned)
        .collect()
}

/// Returns the hidden lines of examples that define a name for shown lines after them.
fn hidden_definitions(text: &str) -> Vec<&str> {
    let definitions = [
        "let ", "struct ", "enum ", "impl ", "trait ", "fn ", "static ", "const ", "type ", "use ",
    ];
    let (mut found, mut hidden, mut inside) = (Vec::new(), Vec::new(), false);
    for line in text.lines().map(str::trim) {
        let doc = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"))
            .map(str::trim);
        if doc.is_some_and(|doc| doc.starts_with("```")) || line.contains("doc = \"```\"") {
            inside = !inside;
            hidden.clear();
        } else if let Some(doc) = doc.filter(|_| inside) {
            match doc.strip_prefix("# ").map(str::trim) {
                Some(code) if code.starts_with("fn main()") => {}
                Some(code) if definitions.iter().any(|start| code.starts_with(start)) => hidden.push(line),
                None if !doc.is_empty() && doc != "#" => found.append(&mut hidden),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn no_example_hides_a_definition_that_its_reader_needs() {
    let mut sources = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    let found: Vec<_> = sources
        .iter()
        .flat_map(|(file, text)| hidden_definitions(text).into_iter().map(move |line| (file, line)))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
    let hides = "/// ```\n/// # let file = open();\n/// read(file);\n/// # let last = 1;\n/// ```";
    assert_eq!(hidden_definitions(hides), ["/// # let file = open();"]);
}

#[test]
fn each_public_type_has_a_runnable_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    files(&root.join("src"), &mut sources);
    let mut names = BTreeSet::new();
    for module in ["src/lib.rs", "src/aio/mod.rs"] {
        names.extend(exported(&std::fs::read_to_string(root.join(module)).unwrap()));
    }
    let items: Vec<_> = sources
        .iter()
        .flat_map(|(file, text)| items(file, text))
        .filter(|item| names.contains(&item.name))
        .collect();
    for name in &names {
        assert!(
            items.iter().any(|item| item.name == *name),
            "{name} is declared nowhere"
        );
    }
    let without: Vec<_> = items
        .iter()
        .filter(|item| !item.has_example)
        .map(|item| format!("{} ({})", item.name, item.place))
        .collect();
    assert!(without.is_empty(), "without a runnable example: {without:#?}");
}

#[test]
fn only_a_block_that_runs_counts_as_an_example() {
    let text = "/// A thing.\n/// ```text\n/// no code\n/// ```\n///\npub struct A;\n\n/// ```\n/// run();\n/// ```\npub enum B {}\n";
    let found: Vec<_> = items("file", text)
        .into_iter()
        .map(|item| (item.name, item.has_example))
        .collect();
    assert_eq!(found, [("A".to_owned(), false), ("B".to_owned(), true)]);
}
