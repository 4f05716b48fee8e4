//! Prints the names of the inputs that a target refuses, of a target's name and a folder of inputs.

use std::path::PathBuf;

use qcow1_fuzz::TARGETS;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let name = arguments.next().expect("a target");
    let folder = PathBuf::from(arguments.next().expect("a folder"));
    let (_, target) = TARGETS
        .into_iter()
        .find(|(target, _)| name == *target)
        .expect("a target's name");
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if !target(&std::fs::read(&path)?) {
            println!("{}", path.file_name().unwrap_or_default().display());
        }
    }
    Ok(())
}
