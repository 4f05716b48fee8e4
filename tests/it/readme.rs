//! The READMEs' figures are those that commands measured and wrote to files.

use std::collections::BTreeMap;
use std::path::Path;

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns a number with commas between its thousands.
fn group_digits(number: &str) -> String {
    let mut grouped = String::new();
    for (place, digit) in number.char_indices() {
        if place != 0 && (number.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[test]
fn sizes_in_the_examples_readme_are_the_budgets_of_the_footprint() {
    let budgets = file("examples/footprint/budgets.txt");
    let budgets: BTreeMap<_, _> = budgets
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, bytes)| (name, group_digits(bytes.trim())))
        .collect();
    let table: String = [
        ("code and constants: open and read", "code-READER"),
        ("code and constants: every public call", "code-API"),
        (
            "with the `core` of `rustup target add`: open and read",
            "ready-made-READER",
        ),
        (
            "with the `core` of `rustup target add`: every public call",
            "ready-made-API",
        ),
        ("`Image`, without its device: 32 bits / 64 bits", "image"),
        ("`Chain` of 3, without its devices: the same", "chain"),
        ("deepest stack below opening or reading", "stack-read"),
        ("deepest stack below any call", "stack"),
    ]
    .iter()
    .map(|(what, name)| {
        let of = |features| {
            let budget = |name: String| budgets.get(name.as_str()).cloned();
            budget(format!("{name}-{features}")).or_else(|| {
                let narrow = budget(format!("{name}-32-{features}"))?;
                Some(format!("{narrow} / {}", budget(format!("{name}-64-{features}"))?))
            })
        };
        let (plain, deflate) = (of("plain").expect("a budget"), of("deflate").expect("a budget"));
        // An object is the same with either decoder.
        let small = of("deflate-small").unwrap_or_else(|| deflate.clone());
        let aes = of("aes").unwrap_or_default();
        format!("| {what} | {plain} | {small} | {deflate} | {aes} |\n")
    })
    .collect();
    let readme = file("examples/README.md");
    assert!(
        readme.contains(&table),
        "the table in examples/README.md should be:\n{table}"
    );
    let unoptimized = format!("{} bytes of stack", budgets["stack-unoptimized-read"]);
    assert!(
        readme.contains(&unoptimized),
        "not in examples/README.md: {unoptimized}"
    );
}

/// Returns the rows of the table in a file whose heading begins with `heading`.
fn rows(path: &str, heading: &str) -> Vec<String> {
    let text = file(path);
    let (_, table) = text
        .split_once(heading)
        .unwrap_or_else(|| panic!("{path} has no table '{heading}'"));
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(str::to_owned).collect()
}

#[test]
fn sizes_and_speeds_in_the_readme_are_rows_of_the_published_tables() {
    for (heading, path) in [
        ("| | without `deflate` |", "examples/README.md"),
        ("| work | qcow1 |", "benches/peers/RESULTS.md"),
    ] {
        let published = rows(path, heading);
        let shown = rows("README.md", heading);
        assert!(!shown.is_empty(), "the README's table '{heading}' is empty");
        for row in shown {
            assert!(published.contains(&row), "not in {path}: {row}");
        }
    }
}
