//! `isobar map`, `isobar check` and `isobar doctor`, on the manifests of this repository's apps and on wrong ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod support;

use std::fs;
use std::path::Path;

use isobar::driver::key_value::Put;
use isobar::driver::{Access, Location, Provider, ResourceKind, RetryPolicy};
use isobar::local::{LocalConfig, LocalProvider};
use isobar::manifest::{
    DeclaredResource, Manifest, MessageTrigger, ObjectTrigger, ScheduleTrigger, Trigger, WriteTrigger,
};
use isobar::{Cloud, IntoApp};
use serde_json::Value;
use support::Transcript;

/// The commands in an empty folder with the manifest `app.json`.
fn with(manifest: &Manifest) -> (tempfile::TempDir, Transcript) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app.json"), manifest.to_json().unwrap()).unwrap();
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
fn each_missing_secret_of_a_stage_is_named_with_the_command_that_sets_it() {
    let manifest = of(|cloud: &Cloud| {
        let _secrets = ["bot-token", "webhook-secret"].map(|name| cloud.secret(name));
        isobar::App::new("shop")
    });
    let (_folder, mut transcript) = with(&manifest);
    let code = transcript.run(&["check", "--manifest", "app.json", "-t", "local", "--stage", "prod"]);
    assert_eq!(code, 1, "{}", transcript.text());
    for name in ["bot-token", "webhook-secret"] {
        let named = transcript.text().contains(&format!("secret `{name}`"));
        let command = format!("isobar secrets set {name} --stage prod`");
        assert!(named && transcript.text().contains(&command), "{}", transcript.text());
    }
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
        let document: Value =
            serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {}", transcript.text()));
        let found = document["findings"].as_array().unwrap();
        let is_it = |it: &&Value| it["target"] == target && it["row"] == row && it["level"] == level;
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
fn secrets_that_others_can_read_and_an_old_entry_of_the_inspector_are_found() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, mut transcript) = with(&Manifest::new("shop"));
    transcript.set("PATH", tools(folder.path()));
    let data = folder.path().join(".isobar");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("inspector.json"), r#"{"port": 1, "token": "hunter2"}"#).unwrap();
    let secrets = data.join("secrets.json");
    fs::write(&secrets, r#"{"token": "hunter2"}"#).unwrap();
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(transcript.run(&["doctor", "--json"]), 1);
    for found in ["chmod 600 .isobar/secrets.json", "rm .isobar/inspector.json"] {
        assert!(transcript.text().contains(found), "{}", transcript.text());
    }
    assert!(!transcript.text().contains("hunter2"));
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(transcript.run(&["doctor"]), 0);
}

/// Writes items of the table `big`, by partition and length of the value, as an app could that allows more than the portable
/// limits. The provider has the folder until it is dropped.
fn write(data: &Path, items: &[(&str, usize)]) -> LocalProvider {
    let provider = LocalProvider::new(LocalConfig::new(data));
    let table = provider.key_value(&Location::new(ResourceKind::Table, "big")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (partition, length) in items {
        runtime.block_on(table.put(Put::new(*partition, "1".repeat(*length)))).unwrap();
    }
    provider
}

/// A folder with the programs that local development needs, as far as the command calls them: gcloud alone takes seconds.
#[cfg(unix)]
fn tools(folder: &Path) -> String {
    let tools = folder.join("tools");
    fs::create_dir_all(&tools).unwrap();
    for tool in ["rustc", "cargo", "cc"] {
        support::script(&tools.join(tool), "echo version 99.0");
    }
    tools.to_str().unwrap().to_owned()
}

/// The exit code of `isobar doctor`, and what it prints about the data file.
#[cfg(unix)]
fn doctor(folder: &Path) -> (i32, String) {
    let mut transcript = Transcript::of(folder);
    transcript.set("PATH", tools(folder));
    let code = transcript.run(&["doctor", "--json"]);
    let json = transcript.text().split_once('\n').unwrap().1.split("\nexit code").next().unwrap();
    let document: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {}", transcript.text()));
    let is_file =
        |part: &&Value| part["purpose"] == "local data" && part["name"].as_str().unwrap().starts_with(".isobar");
    let part = document["parts"].as_array().unwrap().iter().find(is_file).unwrap().clone();
    let text = |name: &str| part[name].as_str().unwrap_or("-").to_owned();
    (code, format!("{}: {}; {}", text("state"), text("found"), text("action")))
}

#[cfg(unix)]
#[test]
fn a_data_file_that_is_not_whole_is_named_with_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join(".isobar");
    let file = data.join("isobar.redb");
    let open = write(&data, &[("a", 100_000), ("b", 100_000), ("c", 100_000)]);
    let in_use = doctor(folder.path());
    assert_eq!(in_use, (0, "good: not checked: an app has it open; stop the app, then isobar doctor".to_owned()));
    drop(open);
    assert_eq!(doctor(folder.path()), (0, "good: the data file is whole; -".to_owned()));

    let whole = fs::read(&file).unwrap();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut content = whole.clone();
        change(&mut content);
        content
    };
    let damaged = changed(&|content| (1..40).for_each(|page| content[page * 4_096 + 100] ^= 0xA5));
    let cut = changed(&|content| content.truncate(whole.len() / 2));
    // The versions of both headers of redb's format.
    let newer = changed(&|content| [64, 192].iter().for_each(|at| content[*at] = 9));
    for (content, why) in [(damaged, ""), (cut, ""), (newer, "format version"), (b"hello".to_vec(), "")] {
        fs::write(&file, &content).unwrap();
        let (code, text) = doctor(folder.path());
        assert_eq!(code, 1, "{text}");
        assert!(text.starts_with("wrong: the data file is damaged, not isobar's or of a newer isobar"), "{text}");
        assert!(text.contains(why) && text.contains("; restore it, update isobar, or move the whole folder"), "{text}");
        assert!(fs::read(&file).unwrap() == content, "it changed the file");
    }
    // A file that cannot be opened.
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let (code, text) = doctor(folder.path());
    assert!(code == 1 && text.contains("check its permissions"), "{text}");
}

#[test]
fn stored_data_beyond_the_limits_of_a_platform_are_named() {
    let (folder, mut transcript) = with(&Manifest::new("shop"));
    let data = folder.path().join(".isobar");
    let keys: Vec<String> = (1..=7).map(|number| format!("item-{number}")).collect();
    let long = "k".repeat(500);
    let items: Vec<_> = keys.iter().map(|key| (key.as_str(), 410_000)).chain([(long.as_str(), 1)]).collect();
    let open = write(&data, &items);
    transcript.set("COLUMNS", "100");
    assert_eq!(transcript.run(&["check", "--manifest", "app.json"]), 0);
    drop(open);
    assert_eq!(transcript.run(&["check", "--manifest", "app.json"]), 0);
    assert_eq!(transcript.run(&["check", "--manifest", "app.json", "--target", "local"]), 0);
    fs::write(data.join("isobar.redb"), "no data").unwrap();
    assert_eq!(transcript.run(&["check", "--manifest", "app.json"]), 0);
    transcript.compare("check_stored");
}
