//! `isobar package`: the folder of a stage, its Terraform files against the provider's schema, and its archive.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking, and says what it lacks

#[path = "package/aws.rs"]
mod aws;
#[path = "package/data.rs"]
mod data;
#[path = "package/gcp.rs"]
mod gcp;
#[path = "package/static_program.rs"]
mod static_program;
mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use isobar::driver::{Access, ResourceKind, RetryPolicy};
use isobar::manifest::{
    DeclaredResource, FunctionTrigger, Manifest, MessageTrigger, ObjectTrigger, ScheduleTrigger, Trigger, WriteTrigger,
};
use isobar::{Cloud, IntoApp};
use isobar_e2e::emulators::Terraform;
use support::terraform::{self, Schema};
use support::{Transcript, compare_folder, fake_cargo};

const SECRET: &str = "0123456789abcdefghijklmnopqrstuv";

fn of<A: IntoApp>(app: impl FnOnce(&Cloud) -> A) -> Manifest {
    let cloud = Cloud::declaration();
    app(&cloud).into_app().unwrap().start(&cloud).unwrap()
}

/// An app with each kind of resource and trigger.
fn shop() -> Manifest {
    let retry = RetryPolicy::default();
    Manifest::new("shop")
        .with_resources([
            DeclaredResource::new(ResourceKind::Table, "links", Access::ReadWrite),
            DeclaredResource::new(ResourceKind::Table, "prices", Access::Read),
            DeclaredResource::new(ResourceKind::Bucket, "pages", Access::ReadWrite),
            DeclaredResource::new(ResourceKind::Bucket, "reports", Access::Write),
            DeclaredResource::new(ResourceKind::Topic, "clicks", Access::ReadWrite),
            DeclaredResource::new(ResourceKind::Topic, "orders", Access::None),
            DeclaredResource::new(ResourceKind::Secret, "api-token", Access::Read),
            DeclaredResource::new(ResourceKind::Config, "settings", Access::Read),
        ])
        .with_triggers([
            Trigger::Http,
            Trigger::Message(MessageTrigger::new("clicks", retry)),
            Trigger::Message(MessageTrigger::new("clicks", retry).with_subscription("index")),
            Trigger::Message(MessageTrigger::new("orders", retry)),
            Trigger::Object(ObjectTrigger::new("pages", retry)),
            Trigger::Object(ObjectTrigger::new("pages", retry).with_name("thumbs")),
            Trigger::Write(WriteTrigger::new("links", retry)),
            Trigger::Schedule(ScheduleTrigger::new("sweep", "0 3 * * *")),
            Trigger::Function(FunctionTrigger::new("stats")),
        ])
}

/// A static program that prints the manifest next to it.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (source, built) = (folder.join("prints_manifest.rs"), folder.join("prints_manifest"));
        let read = "std::fs::read_to_string(std::env::current_exe().unwrap().with_extension(\"json\")).unwrap()";
        fs::write(&source, format!("fn main() {{ print!(\"{{}}\", {read}) }}")).unwrap();
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(["-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"]).arg(&built).arg(&source);
        assert!(rustc.status().unwrap().success());
        built
    })
}

/// A folder with the package `shop`, whose app has this manifest.
fn project(manifest: &Manifest) -> (tempfile::TempDir, Transcript) {
    let folder = tempfile::tempdir().unwrap();
    let json = manifest.to_json().unwrap();
    let cargo = fake_cargo(folder.path(), &json);
    fs::copy(program(), folder.path().join("app")).unwrap();
    fs::write(folder.path().join("app.json"), json).unwrap();
    let mut transcript = Transcript::of(folder.path());
    transcript.set("CARGO", cargo.to_str().unwrap());
    transcript.set("COLUMNS", "100");
    (folder, transcript)
}

/// The folder of the stage `dev` of this app.
fn packaged(manifest: &Manifest, target: &str) -> (tempfile::TempDir, PathBuf) {
    let (folder, mut transcript) = project(manifest);
    let out = folder.path().join("out");
    if target == "azure" {
        transcript.set("ISOBAR_TRIGGER_SECRET", SECRET);
    }
    assert_eq!(transcript.run(&["package", "--target", target, "-o", "out"]), 0, "{}", transcript.text());
    (folder, out)
}

fn apps() -> [(&'static str, Manifest); 9] {
    [
        ("shop", shop()),
        ("chatbot", of(chatbot::app)),
        ("cron", of(cron::app)),
        ("hello", of(hello::app)),
        ("media", of(media::app)),
        ("notes", of(notes::app)),
        ("shortener", of(shortener::app)),
        ("todo", of(todo::app)),
        ("nothing", Manifest::new("nothing").with_triggers([Trigger::Http])),
    ]
}

#[test]
fn each_file_fits_the_schema_of_the_provider() {
    let schema = Schema::read("azurerm");
    for (name, manifest) in apps() {
        let (_folder, out) = packaged(&manifest, "azure");
        assert_eq!(terraform::problems(&out, &schema), [""; 0], "{name}");
    }
}

#[test]
fn all_texts_of_the_richest_app_are_known() {
    let (_folder, out) = packaged(&shop(), "azure");
    fs::write(out.join("app.zip.txt"), listing(&out.join("app.zip"))).unwrap();
    compare_folder(&out, "package/azure");
}

/// The names and the rights of the files in an archive.
fn listing(archive: &Path) -> String {
    let mut archive = zip::ZipArchive::new(fs::File::open(archive).unwrap()).unwrap();
    let mut lines = String::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index).unwrap();
        let (mode, name) = (file.unix_mode().unwrap(), file.name().unwrap().replace(SECRET, "SECRET"));
        lines += &format!("{mode:o} {name}\n");
    }
    lines
}

fn in_archive(archive: &Path, name: &str) -> String {
    let mut archive = zip::ZipArchive::new(fs::File::open(archive).unwrap()).unwrap();
    let mut text = String::new();
    archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_same_app_gives_the_same_bytes() {
    let (_first, one) = packaged(&shop(), "azure");
    let (_second, two) = packaged(&shop(), "azure");
    let content = |folder: &Path| {
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
            .into_iter()
            .map(|path| (path.file_name().unwrap().to_owned(), fs::read(&path).unwrap()))
            .collect::<Vec<_>>()
    };
    assert!(content(&one) == content(&two), "the files differ");
}

#[test]
fn the_trigger_secret_is_made_once_and_is_in_the_archive_only() {
    let (folder, mut transcript) = project(&shop());
    let out = folder.path().join("out");
    let mut package = || {
        assert_eq!(transcript.run(&["package", "--target", "azure", "-o", "out"]), 0, "{}", transcript.text());
        let secret = fs::read_to_string(out.join("trigger-secret")).unwrap();
        (secret.trim().to_owned(), fs::read(out.join("app.zip")).unwrap(), transcript.text().to_owned())
    };
    let (secret, archive, _) = package();
    assert_eq!((secret.len(), &package().1), (32, &archive));
    for name in ["trigger-secret", "app.zip"] {
        assert_eq!(fs::metadata(out.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        let ignored = fs::read_to_string(out.join(".gitignore")).unwrap();
        assert!(ignored.lines().any(|line| line == name || line == "*.zip"), "{name}");
    }
    let start = in_archive(&out.join("app.zip"), "start");
    assert!(start.contains(&format!("export ISOBAR_TRIGGER_SECRET={secret}\n")));
    in_archive(&out.join("app.zip"), &format!("http-{secret}/function.json"));
    for entry in fs::read_dir(&out).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("trigger-secret") && !path.ends_with("app.zip") {
            assert!(!fs::read_to_string(&path).unwrap().contains(&secret), "{}", path.display());
        }
    }
    fs::remove_file(out.join("trigger-secret")).unwrap();
    let (new, new_archive, printed) = package();
    assert!(new != secret && new_archive != archive && !printed.contains(&secret));
}

#[test]
fn the_script_of_the_archive_starts_the_program_with_the_secret() {
    let (_folder, out) = packaged(&shop(), "azure");
    let folder = tempfile::tempdir().unwrap();
    let mut archive = zip::ZipArchive::new(fs::File::open(out.join("app.zip")).unwrap()).unwrap();
    archive.extract(folder.path()).unwrap();
    let (start, app) = (folder.path().join("start"), folder.path().join("app"));
    assert!(in_archive(&out.join("app.zip"), "host.json").contains(r#""defaultExecutablePath": "start""#));
    support::script(&app, "echo $ISOBAR_TRIGGER_SECRET $# $$");
    let mut child = Command::new(start).arg("x").current_dir("/").stdout(Stdio::piped()).spawn().unwrap();
    let (id, mut printed) = (child.id(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    child.wait().unwrap();
    // The program has the process of the script, so signals and the exit code are its own.
    assert_eq!(printed, format!("{SECRET} 0 {id}\n"));
}

#[test]
fn what_azure_does_not_have_is_a_failure_with_the_next_step() {
    let (folder, mut transcript) = project(&shop());
    assert_eq!(transcript.run(&["package", "--target", "azure", "-o", "out", "--split"]), 1);
    transcript.set("ISOBAR_TABLE_PRICES", "cosmos://prices");
    assert_eq!(transcript.run(&["package", "--target", "azure", "-o", "out"]), 1);
    transcript.set("ISOBAR_TABLE_PRICES", "cosmos://prices?account=other");
    transcript.set("ISOBAR_BUCKET_PAGES", "az://pages?account=other");
    assert_eq!(transcript.run(&["package", "--target", "azure", "-o", "out"]), 1);
    assert!(!folder.path().join("out").exists());
    transcript.hide(folder.path().to_str().unwrap(), "FOLDER");
    transcript.compare("package_azure_failures");
}

#[test]
fn a_resource_of_another_account_is_not_made_and_its_rights_are_named() {
    let (folder, mut transcript) = project(&shop());
    transcript.set("ISOBAR_TABLE_PRICES", "cosmos://prices-prod?account=other");
    assert_eq!(transcript.run(&["package", "--target", "azure", "-o", "out"]), 0, "{}", transcript.text());
    let out = folder.path().join("out");
    let text = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert!(!text("tables.tf").contains("prices"));
    assert!(text("function.tf").contains("\"cosmos://prices-prod?account=other\""));
    let right = "#   Cosmos DB Built-in Data Reader, on the Cosmos DB container prices-prod. For the app: table `prices`, to read\n";
    assert!(text("roles.tf").contains(right), "{}", text("roles.tf"));
    assert_eq!(terraform::problems(&out, &Schema::read("azurerm")), [""; 0]);
}

#[test]
fn the_check_finds_what_a_provider_would_refuse() {
    let (_folder, out) = packaged(&shop(), "azure");
    let schema = Schema::read("azurerm");
    for (file, from, to, expected) in [
        (
            "tables.tf",
            "partition_key_version = 2",
            "partition_key_version = \"two\"",
            "partition_key_version is no number",
        ),
        (
            "tables.tf",
            "partition_key_paths   = [\"/p\"]",
            "partition_key_paths = \"/p\"",
            "partition_key_paths is no list",
        ),
        ("tables.tf", "default_ttl", "default_tll", "there is no argument default_tll"),
        ("tables.tf", "  geo_location {", "  geo_locations {", "there is no block geo_locations"),
        ("tables.tf", "    failover_priority = 0\n", "", "geo_location: failover_priority is missing"),
        ("storage.tf", "  account_tier                    = \"Standard\"\n", "", "account_tier is missing"),
        (
            "storage.tf",
            "azurerm_storage_account.app.id",
            "azurerm_storage_account.own.id",
            "nothing declares azurerm_storage_account.own",
        ),
        (
            "function.tf",
            "azurerm_service_plan.app.id",
            "azurerm_service_plan.app.identifier",
            "has no attribute identifier",
        ),
        (
            "main.tf",
            "\"azurerm_resource_group\" \"app\"",
            "\"azurerm_resource_groups\" \"app\"",
            "the schema has no such resource",
        ),
        ("main.tf", "var.subscription_id", "var.subscription", "nothing declares var.subscription"),
        ("alarms.tf", "content {", "contents {", "there is no block action"),
        (
            "roles.tf",
            "principal_type       = \"ServicePrincipal\"",
            "principal_type = true",
            "principal_type is no string",
        ),
    ] {
        let path = out.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let problems = terraform::problems(&out, &schema);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:?}");
        fs::write(&path, text).unwrap();
    }
}

#[test]
fn the_files_have_the_form_of_terraform() {
    let Some(terraform) = support::found(Terraform::ready()) else { return };
    for target in ["aws", "azure", "gcp"] {
        for (name, manifest) in apps() {
            let (_folder, out) = packaged(&manifest, target);
            let mut fmt = Command::new("terraform");
            fmt.args(["fmt", "-check", "-diff", "-recursive"]).current_dir(&out).envs(terraform.variables());
            let output = fmt.output().unwrap();
            let printed =
                String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name} on {target}: {printed}");
        }
    }
}

#[test]
fn the_references_of_all_clouds_lead_to_something() {
    for (name, manifest) in apps() {
        let (_folder, out) = packaged(&manifest, "aws");
        assert_eq!(terraform::problems(&out, &Schema::none()), [""; 0], "{name}");
    }
}

/// The provider's own check, where the mirror of plug-ins has azurerm.
#[test]
fn the_provider_accepts_the_files() {
    let Some(terraform) = support::found(Terraform::ready()) else { return };
    if !terraform.has_plugin("hashicorp/azurerm") {
        eprintln!("ignored: ISOBAR_TF_PLUGINS names no mirror with azurerm");
        return;
    }
    for (name, manifest) in apps() {
        let (_folder, out) = packaged(&manifest, "azure");
        for args in [&["init", "-backend=false", "-input=false"][..], &["validate"]] {
            let mut command = Command::new("terraform");
            command.args(args).arg("-no-color").current_dir(&out).envs(terraform.variables());
            let output = command.output().unwrap();
            let printed =
                String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: terraform {}: {printed}", args[0]);
        }
    }
}
