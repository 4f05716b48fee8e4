//! The page that specifies the format names the vectors that test its rules, and its example is an
//! image.

use std::collections::BTreeSet;
use std::path::Path;

#[cfg(feature = "deflate")]
use qcow1::Image;

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A rule of the page: a section whose heading begins with an identifier, such as `T2: `.
struct Rule<'a> {
    id: &'a str,
    text: &'a str,
}

impl Rule<'_> {
    /// Returns the names in the paragraph that begins with `Vectors:`, or `None` if there is no
    /// such paragraph.
    fn vectors(&self) -> Option<Vec<&str>> {
        let (_, list) = self.text.split_once("\n\nVectors: ")?;
        let list = list.split("\n\n").next().unwrap_or_default();
        // Names are between backticks, so every second part is a name.
        Some(list.split('`').skip(1).step_by(2).collect())
    }
}

fn rules(page: &str) -> Vec<Rule<'_>> {
    // A rule ends at the next heading of any level.
    let sections = page.split("\n#").filter_map(|section| section.strip_prefix("## "));
    sections
        .filter_map(|text| Some((text.split_once(": ")?.0, text)))
        .filter(|(id, _)| id.len() <= 3 && id.starts_with(char::is_uppercase))
        .map(|(id, text)| Rule { id, text })
        .collect()
}

/// Returns the names of all vectors, without `.qcow`. The manifest has one image per line.
fn vectors() -> BTreeSet<String> {
    let manifest = file("tests/vectors/manifest.json");
    let images = manifest.lines().filter_map(|line| line.strip_prefix("{\"file\": \""));
    let vectors: BTreeSet<String> = images
        .filter_map(|image| Some(image.split_once(".qcow\"")?.0.to_owned()))
        .collect();
    assert!(!vectors.is_empty(), "no images in the manifest");
    vectors
}

/// Returns whether a name of the page names a vector. A `*` at its end stands for the rest of
/// several names.
fn names(name: &str, vector: &str) -> bool {
    match name.strip_suffix('*') {
        Some(start) => vector.starts_with(start),
        None => vector == name,
    }
}

#[test]
fn each_rule_has_its_own_identifier_and_a_list_of_vectors() {
    let page = file("docs/format.md");
    let rules = rules(&page);
    assert!(!rules.is_empty());
    let mut ids = BTreeSet::new();
    for rule in &rules {
        assert!(ids.insert(rule.id), "two rules are {}", rule.id);
        assert!(rule.vectors().is_some(), "{} has no list of vectors", rule.id);
    }
}

#[test]
fn each_name_in_the_page_is_a_vector() {
    let (page, vectors) = (file("docs/format.md"), vectors());
    for rule in rules(&page) {
        for name in rule.vectors().unwrap_or_default() {
            let is_found = vectors.iter().any(|vector| names(name, vector));
            assert!(is_found, "{} names {name}, which is no vector", rule.id);
        }
    }
}

#[test]
fn each_vector_tests_a_rule_of_the_page() {
    let page = file("docs/format.md");
    let rules = rules(&page);
    let named: BTreeSet<&str> = rules.iter().filter_map(Rule::vectors).flatten().collect();
    for vector in vectors() {
        let is_named = named.iter().any(|name| names(name, &vector));
        assert!(is_named, "no rule of docs/format.md names {vector}");
    }
}

/// Returns the file that the output of `od -A x -t x1` in the page shows. A `*` stands for
/// repetitions of the line before it.
#[cfg(feature = "deflate")]
fn worked_example(page: &str) -> Vec<u8> {
    let (_, dump) = page.split_once("```text\n000000 ").unwrap();
    let (dump, _) = dump.split_once("```").unwrap();
    let mut file = Vec::new();
    let mut line_before = Vec::new();
    for line in format!("000000 {dump}").lines().filter(|line| *line != "*") {
        let mut words = line.split(' ');
        let offset = usize::from_str_radix(words.next().unwrap(), 16).unwrap();
        while file.len() < offset {
            file.extend(&line_before);
        }
        assert_eq!(file.len(), offset);
        line_before = words.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        file.extend(&line_before);
    }
    file
}

#[cfg(feature = "deflate")]
#[test]
fn the_worked_example_has_the_bytes_that_the_page_finds_in_it() {
    let file = worked_example(&file("docs/format.md"));
    assert_eq!(file.len(), 16_406);
    let mut expected = vec![0; 3 << 20];
    expected[2_109_440..][..512].fill(0x51);
    expected[4096..][..4096].fill(0x5a);
    let mut memory = vec![0; 32_768];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let mut disk = vec![0xcc; 3 << 20];
    assert_eq!(image.size(), 3 << 20);
    image.read_at(0, &mut disk).unwrap();
    assert!(disk == expected);
}
