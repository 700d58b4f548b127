//! Puts beside an app what the Functions host needs: host.json, and a folder for each function.
//!
//! ```sh
//! ISOBAR_MANIFEST=1 target/release/shortener | cargo run -p isobar-azure --example function_app -- FOLDER shortener
//! ```
//!
//! It is to see the same app settings as the app, `ISOBAR_TRIGGER_SECRET` among them. The files hold that secret.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a command speaks so

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use isobar_abstraction::{Environment, Error, Manifest, Result};
use isobar_azure::{AzureConfig, HttpMode, function_app};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, executable] = arguments.as_slice() else {
        eprintln!("usage: function_app FOLDER EXECUTABLE, with the app's manifest on standard input");
        return ExitCode::FAILURE;
    };
    match write(Path::new(folder), executable) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path, executable: &str) -> Result<()> {
    let mut told = Vec::new();
    std::io::stdin().read_to_end(&mut told).map_err(|error| unwritten("standard input", error))?;
    let manifest: Manifest = serde_json::from_slice(&told).map_err(|error| {
        Error::invalid("standard input is no manifest; ISOBAR_MANIFEST=1 prints one").with_source(error)
    })?;
    let environment = Environment::new(std::env::vars(), []);
    let app = function_app(&manifest, &AzureConfig::from_environment(&environment)?, executable, HttpMode::Proxying)?;
    for (path, text) in app.files() {
        let path = folder.join(path);
        let done = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, text));
        done.map_err(|error| unwritten(&path.display().to_string(), error))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn unwritten(what: &str, source: std::io::Error) -> Error {
    Error::config(format!("{what}: {source}")).with_source(source)
}
