//! `isobar map`, `isobar check` and `isobar doctor`, on the manifests of this repository's apps and on wrong ones.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

mod support;

use isobar::driver::{Access, ResourceKind, RetryPolicy};
use isobar::manifest::{
    DeclaredResource, Manifest, MessageTrigger, ObjectTrigger, ScheduleTrigger, Trigger, WriteTrigger,
};
use isobar::{Cloud, IntoApp};
use support::Transcript;

/// The commands in an empty folder with the manifest `app.json`.
fn with(manifest: &Manifest) -> (tempfile::TempDir, Transcript) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app.json"), manifest.to_json().unwrap()).unwrap();
    let transcript = Transcript::of(folder.path());
    (folder, transcript)
}

fn of<A: IntoApp>(app: impl FnOnce(&Cloud) -> A) -> Manifest {
    let cloud = Cloud::declaration();
    app(&cloud).into_app().unwrap().start(&cloud).unwrap()
}

/// An app that works on no cloud as it is.
fn planted() -> Manifest {
    let retry = RetryPolicy::default();
    let resource = |kind, name: &str| DeclaredResource::new(kind, name, Access::ReadWrite);
    let long = "a".repeat(40);
    Manifest::new("shop")
        .with_resources([
            resource(ResourceKind::Bucket, &long),
            resource(ResourceKind::Table, "links"),
            resource(ResourceKind::Topic, &long),
            resource(ResourceKind::Topic, "clicks"),
            resource(ResourceKind::Topic, "orders"),
        ])
        .with_triggers([
            Trigger::Message(MessageTrigger::new("clicks", retry)),
            Trigger::Message(MessageTrigger::new("clicks", retry).with_subscription("index")),
            Trigger::Message(MessageTrigger::new("orders", retry)),
            Trigger::Message(MessageTrigger::new(&long, retry).with_subscription("b".repeat(40))),
            Trigger::Object(ObjectTrigger::new(&long, retry)),
            Trigger::Write(WriteTrigger::new("links", retry)),
            Trigger::Schedule(ScheduleTrigger::new("noon", "0 12 L * *")),
        ])
}

#[test]
fn the_apps_of_this_repository_have_names_everywhere_and_no_error() {
    for (name, manifest) in [("shortener", of(shortener::app)), ("notes", of(notes::app)), ("cron", of(cron::app))] {
        let (_folder, mut transcript) = with(&manifest);
        transcript.set("COLUMNS", "80");
        assert_eq!(transcript.run(&["map", "--manifest", "app.json", "--stage", "dev"]), 0);
        assert_eq!(
            transcript.run(&[
                "check",
                "--manifest",
                "app.json",
                "--stage",
                "dev",
                "-t",
                "aws",
                "-t",
                "azure",
                "-t",
                "gcp"
            ]),
            0
        );
        transcript.compare(&format!("map_and_check_{name}"));
    }
}

#[test]
fn each_wrong_declaration_is_found_on_each_platform_with_its_row() {
    let (_folder, mut transcript) = with(&planted());
    transcript.set("ISOBAR_PREFIX", "a-long-production-ab");
    transcript.set("ISOBAR_TABLE_LINKS", "aztable://links");
    transcript.set("ISOBAR_TOPIC_CLICKS", "azqueue://clicks");
    transcript.set("ISOBAR_TOPIC_ORDERS", "sns://orders?queue=a-long-production-abclicks");
    assert_eq!(transcript.run(&["check", "--manifest", "app.json", "--json"]), 1);
    transcript.compare("check_planted");
    for (target, row, level) in [
        ("local", "FN-5", "error"),
        ("aws", "FN-5", "error"),
        ("aws", "PS-15", "error"),
        ("aws", "PS-9", "error"),
        ("azure", "FN-5", "error"),
        ("azure", "PS-15", "error"),
        ("azure", "KV-26", "error"),
        ("azure", "BL-14", "error"),
        ("azure", "PS-7", "note"),
        ("azure", "PS-9", "note"),
        ("gcp", "FN-5", "error"),
        ("gcp", "KV-20", "note"),
        ("gcp", "PS-3", "note"),
    ] {
        let text = transcript.text();
        let json = text.split_once('\n').unwrap().1.split("\nexit code").next().unwrap();
        let document: serde_json::Value = serde_json::from_str(json).unwrap();
        let found = document["findings"].as_array().unwrap();
        let is_it = |it: &&serde_json::Value| it["target"] == target && it["row"] == row && it["level"] == level;
        assert!(found.iter().any(|it| is_it(&it)), "{target} {row} {level}: {text}");
    }
}

#[test]
fn wrong_input_is_a_line_with_the_next_step() {
    let (_folder, mut transcript) = with(&Manifest::new("shop"));
    assert_eq!(transcript.run(&["check", "--manifest", "none.json"]), 1);
    assert_eq!(transcript.run(&["check"]), 1);
    assert_eq!(transcript.run(&["check", "--manifest", "app.json", "--stage", "Not A Stage"]), 1);
    assert_eq!(transcript.run(&["check", "--manifest", "app.json", "--stage", "a-very-long-one"]), 1);
    assert_eq!(transcript.run(&["check", "--manifest", "app.json", "--target", "cloud"]), 2);
    assert_eq!(transcript.run(&["map", "--services", "--stage", "dev"]), 2);
    transcript.compare("check_wrong_input");
}

#[test]
fn the_services_are_a_table_without_a_project() {
    let (_folder, mut transcript) = with(&Manifest::new("shop"));
    transcript.set("COLUMNS", "120");
    assert_eq!(transcript.run(&["map"]), 0);
    transcript.compare("map_services");
}

#[cfg(unix)]
#[test]
fn secrets_that_others_can_read_and_a_damaged_file_are_found() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, mut transcript) = with(&Manifest::new("shop"));
    let data = folder.path().join(".isobar");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("inspector.json"), r#"{"port": 1, "token": "hunter2"}"#).unwrap();
    let secrets = data.join("secrets.json");
    std::fs::write(&secrets, r#"{"token": "hunter2"}"#).unwrap();
    std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(transcript.run(&["doctor", "--json"]), 1);
    for found in ["chmod 600 .isobar/secrets.json", "rm .isobar/inspector.json"] {
        assert!(transcript.text().contains(found), "{}", transcript.text());
    }
    assert!(!transcript.text().contains("hunter2"));
    std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(transcript.run(&["doctor"]), 0);
}
