//! Money is integers: no floating point type is named in the code that handles it.

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    paths
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn floats(source: &str) -> Vec<&str> {
    source
        .split(|char: char| !char.is_alphanumeric() && char != '_')
        .filter(|token| {
            let literal = token.trim_start_matches(|char: char| char.is_ascii_digit() || char == '_');
            literal == "f32" || literal == "f64"
        })
        .collect()
}

#[test]
fn no_source_that_handles_money_names_a_float() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = sources(&root.join("src"));
    assert!(ours.len() > 20, "the sources were not found");
    for path in ours
        .into_iter()
        .chain(sources(&root.join("../../crates/idempotency/src")))
    {
        let source = std::fs::read_to_string(&path).expect("it can be read");
        assert_eq!(floats(&source), Vec::<&str>::new(), "{}", path.display());
    }
}

#[test]
fn a_float_would_be_found() {
    assert_eq!(floats("let x: f64 = 1_f32;"), ["f64", "1_f32"]);
    assert_eq!(floats("buf32 f640 fee"), Vec::<&str>::new());
}
