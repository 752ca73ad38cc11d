//! Writes the files generated from the event types; with `--release` also freezes the schemas as released.
//!
//! `cargo run -p banyan-events --example generate [-- --release]`; `cargo xtask generate` does the first for everything.

use std::{env, error::Error, fs, path::Path};

use banyan_events::{compat, generate};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = generate::files();
    if env::args().skip(1).any(|argument| argument == "--release") {
        fs::create_dir_all(root.join(compat::RELEASED))?;
        let broken = compat::check_released(&root)?;
        if !broken.is_empty() {
            let broken: Vec<String> = broken.iter().map(ToString::to_string).collect();
            return Err(broken.join("\n").into());
        }
        files.extend(compat::release_files());
    }
    for (path, content) in files {
        let path = root.join(path);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        if fs::read_to_string(&path).ok().as_ref() != Some(&content) {
            fs::write(&path, content)?;
            println!("wrote {}", path.display());
        }
    }
    Ok(())
}
