//! Tests that the committed files are those of the recipe, and that the recipe is right.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::case::{Case, Expect, Whole, error_name};
use crate::cases;
use crate::common::{Layer, Oracle, Refusal, Rules, oracle};

/// Returns the folder of the suite. If requested, its files are written first.
pub fn folder() -> PathBuf {
    static WRITTEN: Once = Once::new();
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "vectors"].iter().collect();
    WRITTEN.call_once(|| {
        if std::env::var_os("WRITE_VECTORS").is_some() {
            write(&folder, &cases::all());
        }
    });
    folder
}

fn write(folder: &Path, cases: &[Case]) {
    let images = folder.join("images");
    // Files that the recipe no longer makes are removed.
    let _ = std::fs::remove_dir_all(&images);
    std::fs::create_dir_all(&images).unwrap();
    for (name, bytes) in files(cases) {
        std::fs::write(images.join(name), bytes).unwrap();
    }
    std::fs::write(folder.join("manifest.json"), manifest(cases)).unwrap();
}

/// The suite's version. Major: a member of the manifest changes its meaning. Minor: images are
/// added. Patch: a mistake is corrected.
const VERSION: &str = "2.0.0";

/// Returns the manifest, one image per line, so that a change of one image changes one line.
fn manifest(cases: &[Case]) -> String {
    let lines: Vec<String> = cases.iter().map(Case::json).collect();
    format!(
        "{{\"version\": \"{VERSION}\", \"images\": [\n{}\n]}}\n",
        lines.join(",\n")
    )
}

/// Returns all files in the suite's folder of images.
fn files(cases: &[Case]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for case in cases {
        let images = std::iter::once((case.name.as_str(), &case.image));
        let backing = case.backing.iter().map(|backing| (backing.name, &backing.bytes));
        for (name, bytes) in images.chain(backing) {
            let before = files.insert(name.to_owned(), bytes.clone());
            assert!(before.is_none_or(|before| before == *bytes), "two files named {name}");
        }
    }
    files
}

#[test]
fn committed_images_match_the_recipe() {
    let cases = cases::all();
    let (files, manifest) = (files(&cases), manifest(&cases));
    let images = folder().join("images");
    let found: BTreeSet<String> = std::fs::read_dir(&images)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let named: BTreeSet<String> = files.keys().cloned().collect();
    assert_eq!(found, named, "write the vectors anew");
    for (name, bytes) in &files {
        let same = std::fs::read(images.join(name)).unwrap() == *bytes;
        assert!(same, "{name} is another; write the vectors anew");
    }
    let committed = std::fs::read_to_string(folder().join("manifest.json")).unwrap();
    for (committed, made) in committed.lines().zip(manifest.lines()) {
        assert_eq!(committed, made, "write the vectors anew");
    }
    assert!(committed == manifest, "write the vectors anew");
}

/// Returns `true` if Python's jsonschema accepts a manifest by the suite's schema.
fn is_valid(manifest: &str) -> bool {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, manifest.as_bytes()).unwrap();
    let schema = folder().join("manifest.schema.json");
    let program =
        "import json, jsonschema, sys; jsonschema.validate(*[json.load(open(path)) for path in sys.argv[1:]])";
    let run = std::process::Command::new("/usr/bin/python3")
        .args(["-c", program])
        .args([file.path(), &schema])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&run.stderr);
    // Fails if the library is missing.
    assert!(
        run.status.success() || stderr.contains("jsonschema.exceptions.ValidationError"),
        "{stderr}"
    );
    run.status.success()
}

#[test]
#[ignore = "needs python3-jsonschema"]
fn the_manifest_matches_its_schema_and_changed_manifests_do_not() {
    let manifest = std::fs::read_to_string(folder().join("manifest.json")).unwrap();
    assert!(is_valid(&manifest));
    for (from, to) in [
        ("\"version\": \"", "\"version\": \"v"),
        ("\"format\":\"raw\"", "\"format\":\"qcow2\""),
        ("\"error\":\"corrupt\"", "\"error\":\"bad\""),
        ("\"error\":\"corrupt\"", "\"error\":\"out-of-range\""),
        ("\"sha256\":\"", "\"sha256\":\"x"),
        ("\"strict\"", "\"Strict\""),
        ("\"offset\":", "\"at\":"),
    ] {
        let other = manifest.replacen(from, to, 1);
        assert!(other != manifest, "{from} is not there");
        assert!(!is_valid(&other), "{to} is taken");
    }
}

#[test]
fn the_suite_is_as_large_and_as_small_as_it_says() {
    let cases = cases::all();
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let line = format!("Version {VERSION} of the suite, {} images.", cases.len());
    assert!(
        readme.contains(&line),
        "run peers.py --publish: the README does not contain {line:?}"
    );
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "two images of one name");
    let bytes: usize = files(&cases).values().map(Vec::len).sum();
    // Most bytes are gaps before tables and clusters of 64 KiB, which a repository compresses.
    assert!(bytes < 5 << 20, "{bytes} bytes");
}

#[test]
fn expected_results_are_what_the_oracle_reads() {
    for case in cases::all() {
        for (salvage, expect) in [(false, &case.strict), (true, &case.salvage)] {
            check(&case, salvage, expect);
        }
    }
}

/// The recipe states what the guest sees; the oracle reads it from the image. Both must agree.
fn check(case: &Case, salvage: bool, expect: &Expect) {
    let name = &case.name;
    let layers = layers(case, salvage);
    match &expect.whole {
        Whole::Bytes(bytes) => {
            let layers = layers.as_ref().unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
            assert_eq!(size(layers), bytes.len() as u64, "{name}, salvage {salvage}");
            match oracle::read(layers, 0, bytes.len()) {
                Ok(found) => assert!(found == *bytes, "{name}, salvage {salvage}"),
                Err(refusal) => panic!("{name}, salvage {salvage}: {refusal:?}"),
            }
        }
        Whole::Size(expected) => {
            let layers = layers.as_ref().unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
            assert_eq!(size(layers), *expected, "{name}, salvage {salvage}");
        }
        Whole::Refused(expected) => {
            let found = layers
                .as_ref()
                .map_err(|refusal| *refusal)
                .and_then(|layers| oracle::read(layers, 0, size(layers) as usize).map(drop));
            let found = found.map_err(error_name);
            assert_eq!(found, Err(error_name(*expected)), "{name}, salvage {salvage}");
        }
    }
    for read in &expect.reads {
        let layers = layers.as_ref().unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        let found = oracle::read(layers, read.offset, read.len);
        assert!(found == read.right, "{name}, salvage {salvage}, at {}", read.offset);
    }
}

fn size(layers: &[Layer<'_>]) -> u64 {
    match &layers[0] {
        Layer::Qcow(image) => image.size,
        Layer::Raw(bytes) => bytes.len() as u64,
    }
}

fn layers(case: &Case, salvage: bool) -> Result<Vec<Layer<'_>>, Refusal> {
    let rules = Rules { salvage };
    let open = |file| {
        let mut image = Oracle::open(file, rules)?;
        image.key = case.key.map(cases::key);
        Ok(Layer::Qcow(image))
    };
    let mut layers = vec![open(&case.image)?];
    for backing in &case.backing {
        layers.push(if backing.is_qcow {
            open(&backing.bytes)?
        } else {
            Layer::Raw(&backing.bytes)
        });
    }
    Ok(layers)
}
