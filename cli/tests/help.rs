//! Help, exit codes, the manual and completions, and failures that all commands share.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod support;

use std::fs;
use std::process::Command;

use support::Transcript;

const COMMANDS: [&str; 14] = [
    "new",
    "dev",
    "manifest",
    "invoke",
    "publish",
    "put-object",
    "tick",
    "written",
    "dead-letters",
    "secrets",
    "map",
    "check",
    "doctor",
    "completions",
];

#[test]
fn each_command_has_a_help_that_fits_and_a_page_of_the_manual() {
    let folder = tempfile::tempdir().unwrap();
    let mut transcript = Transcript::of(folder.path());
    transcript.set("COLUMNS", "80");
    assert_eq!(transcript.run(&["--help"]), 0);
    for command in COMMANDS {
        assert_eq!(transcript.run(&[command, "--help"]), 0);
        let mut page = Transcript::of(folder.path());
        assert_eq!(page.run(&["man", command]), 0);
        assert!(page.text().contains(&format!(".TH isobar-{command} 1")), "{}", page.text());
    }
    let wide = transcript.text().lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None);
    transcript.compare("help");
    let mut page = Transcript::of(folder.path());
    assert!(page.run(&["man"]) == 0 && page.text().contains("Exit codes:"), "{}", page.text());
    assert_eq!(page.run(&["man", "nothing"]), 1);
}

#[test]
fn completions_are_scripts_of_their_shells() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Command::new(env!("CARGO_BIN_EXE_isobar")).args(["completions", shell]).output().unwrap();
        assert!(script.status.success() && script.stdout.len() > 100, "{shell}");
        let file = folder.path().join(shell);
        fs::write(&file, script.stdout).unwrap();
        // A shell that is not installed cannot check it.
        let checked = Command::new(shell).arg("-n").arg(&file).output();
        if let (true, Ok(checked)) = (["bash", "zsh", "fish"].contains(&shell), checked) {
            assert!(checked.status.success(), "{shell}: {}", String::from_utf8_lossy(&checked.stderr));
        }
    }
}

#[test]
fn a_failure_is_a_line_with_the_next_step_and_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let newer = r#"{"version": 2, "app": "shop", "resources": [], "triggers": []}"#;
    fs::write(folder.path().join("newer.json"), newer).unwrap();
    fs::write(folder.path().join("broken.json"), "{").unwrap();
    let mut transcript = Transcript::of(folder.path());
    transcript.run(&["check", "--manifest", "newer.json"]);
    transcript.run(&["map", "--manifest", "broken.json"]);
    transcript.run(&["manifest"]);
    transcript.run(&["dev"]);
    transcript.run(&["deploi"]);
    transcript.run(&["map", "--color", "blue"]);
    transcript.set("CARGO", "/nonexistent/cargo");
    transcript.run(&["manifest"]);

    let cargo = support::fake_cargo(&folder.path().canonicalize().unwrap(), newer);
    transcript.set("CARGO", cargo.display().to_string());
    transcript.run(&["manifest"]);
    transcript.run(&["manifest", "--package", "shops"]);
    let app = folder.path().join("app");
    support::script(&app, &format!("cat <<'END'\n{}\nEND", newer.replace('2', "1")));
    // Without a terminal no value is prompted for.
    transcript.run(&["secrets", "set", "api-token"]);
    support::script(&app, "echo 'error: app `Shop` has a wrong name' >&2; exit 1");
    transcript.run(&["check"]);
    support::script(&app, "echo hello");
    transcript.run(&["check"]);

    let metadata = fs::read_to_string(&cargo).unwrap();
    let build = "*) echo 'error[E0425]: cannot find value `x`' >&2; exit 101 ;;\nesac";
    support::script(&cargo, &format!("{}{build}", metadata.split("*)").next().unwrap()));
    for command in [&["manifest"][..], &["check"], &["map", "--package", "shop"]] {
        assert_eq!(transcript.run(command), 1);
    }
    transcript.compare("failures");
}
