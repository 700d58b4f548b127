//! Writes the files that the Functions host needs next to an app: host.json, and a folder for each function.
//!
//! ```sh
//! ISOBAR_MANIFEST=1 target/release/shortener | cargo run -p isobar-azure --example function_app -- FOLDER shortener
//! ```
//!
//! It needs the app's settings in its environment, with `ISOBAR_TRIGGER_SECRET`. The files contain that secret.

#![allow(clippy::print_stdout, clippy::print_stderr)] // the output of a command

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use isobar_abstraction::BoxError;
use isobar_abstraction::driver::Environment;
use isobar_abstraction::manifest::Manifest;
use isobar_azure::{AzureConfig, HttpMode, function_app};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, executable] = arguments.as_slice() else {
        return Err("usage: function_app FOLDER EXECUTABLE, with the app's manifest on standard input".into());
    };
    let manifest: Manifest = serde_json::from_reader(std::io::stdin())
        .map_err(|error| format!("standard input is not a manifest: {error}: run the app with ISOBAR_MANIFEST=1"))?;
    let environment = Environment::new(std::env::vars(), []);
    environment.set_app(&manifest.app);
    let config = AzureConfig::from_environment(&environment)?;
    for (path, text) in function_app(&manifest, &config, executable, HttpMode::Proxying)?.files() {
        let path = Path::new(folder).join(path);
        let written = fs::create_dir_all(path.parent().unwrap_or(&path)).and_then(|()| fs::write(&path, text));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}
