//! One binary with all providers does the same on all four hosts: Lambda, the Functions host, Cloud Run, and a laptop. It
//! selects the provider from its environment. The binary of `cron` runs twice on each, as two stages.
//!
//! Each runs on the services of that provider's trials: ministack; the double of the Functions host, the Cosmos emulator,
//! Azurite and the double of Service Bus; Google's emulators and fake-gcs-server; and none. Each trial starts its own.
#![allow(clippy::unwrap_used, clippy::panic)] // a trial fails by panicking

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use isobar::prelude::*;
use isobar_azure::HttpMode;
use isobar_conformance::Absent;
use isobar_conformance::memory::Memory;
use isobar_conformance::target::run_check;
use isobar_conformance::{Harness, TrialResult};
use isobar_e2e::backends::laptop::Laptop;
use isobar_e2e::backends::stages::{self, Stages};
use isobar_e2e::backends::{aws, azure, gcp};
use isobar_e2e::emulators::{Azurite, CosmosEmulator, CosmosProgram, Emulator, MINISTACK, Node, Python};
use isobar_e2e::{built, transcript};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// An app with all providers in it.
struct Binary {
    app: &'static str,
    path: PathBuf,
}

/// Runs the transcript with the binary on one host. Errors: a program that this machine lacks.
type Host = fn(&Binary) -> Result<Result<Completion, Failed>, Absent>;

const HOSTS: &[(&str, Host)] = &[
    ("lambda", on_lambda),
    ("functions", on_functions),
    ("cloud_run", on_cloud_run),
    ("laptop", on_a_laptop),
    ("manifest", manifest),
];

/// The timeout of a trial.
const TIMEOUT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let binaries = ["shortener", "notes", "cron"].map(|app| {
        // A list needs no build.
        let path = match arguments.list {
            true => PathBuf::new(),
            false => built::one_binary(app, &["aws", "azure", "gcp", "local"]).unwrap(),
        };
        Arc::new(Binary { app, path })
    });
    let trials = binaries.iter().flat_map(|binary| {
        HOSTS.iter().map(|(name, host)| {
            let binary = Arc::clone(binary);
            Trial::ignorable_test(format!("one-binary::{}_{name}", binary.app), move || match host(&binary) {
                Ok(ended) => ended,
                Err(absent) if absent.is_required() => {
                    Err(format!("{} is required: {}", absent.need, absent.reason).into())
                }
                Err(absent) => Ok(Completion::ignored_with(absent.reason)),
            })
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn on_lambda(binary: &Binary) -> Result<Result<Completion, Failed>, Absent> {
    let python = Python::ready()?;
    let ministack = Emulator::start(&python, MINISTACK, &[]).unwrap();
    let lambda = aws::deployed::Deployed {
        endpoint: ministack.url(),
        python: python.interpreter().to_owned(),
        bootstrap: binary.path.clone(),
        environment: BTreeMap::new(),
        isobar: None,
    };
    Ok(run_check(TIMEOUT, does_the_same(lambda, binary.app)))
}

/// Tables in Cosmos DB, topics in Service Bus.
fn on_functions(binary: &Binary) -> Result<Result<Completion, Failed>, Absent> {
    let node = Node::ready()?;
    let cosmos = CosmosEmulator::start(&CosmosProgram::ready()?).unwrap();
    let azurite = Azurite::start(&node).unwrap();
    let functions = azure::deployed::Deployed {
        services: azure::Services::storage(&azurite).with_cosmos(&cosmos.endpoint),
        executable: binary.path.clone(),
        http: HttpMode::Proxying,
        environment: BTreeMap::new(),
    };
    Ok(run_check(TIMEOUT, does_the_same(functions, binary.app)))
}

fn on_cloud_run(binary: &Binary) -> Result<Result<Completion, Failed>, Absent> {
    let (services, _guard) = gcp::Services::start()?;
    let cloud_run =
        gcp::deployed::Deployed { services, executable: Some(binary.path.clone()), environment: BTreeMap::new() };
    Ok(run_check(TIMEOUT, does_the_same(cloud_run, binary.app)))
}

fn on_a_laptop(binary: &Binary) -> Result<Result<Completion, Failed>, Absent> {
    Ok(run_check(TIMEOUT, does_the_same(Laptop(binary.path.clone()), binary.app)))
}

/// The transcript of the app is the same as in memory; that of `cron` is of two stages.
async fn does_the_same(host: impl Harness + Stages, app: &str) -> TrialResult {
    if app == "cron" {
        let of = |stage| format!(r#"{stage}: {{"path":"/{stage}","token":"Bearer hunter2-of-{stage}"}}"#);
        let found = stages::transcript(&host, cron::app).await?;
        assert_eq!(found, ["blue", "green"].map(of), "{}", host.name());
        return Ok(());
    }
    let (expected, found) = if app == "notes" {
        (transcript::notes(&Memory, notes::app).await?, transcript::notes(&host, notes::app).await?)
    } else {
        (transcript::shortener(&Memory, shortener::app).await?, transcript::shortener(&host, shortener::app).await?)
    };
    transcript::assert_same(&expected, &found, host.name());
    Ok(())
}

/// An app of every kind of trigger.
fn every_trigger(cloud: &Cloud) -> App {
    let (orders, scans) = (cloud.topic::<u32>("orders"), cloud.bucket("scans"));
    App::new("shop")
        .http(Router::new())
        .on_message(&orders, async |_, _| {})
        .on_message(orders.subscription("index"), async |_, _| {})
        .on_object(&scans, async |_, _| {})
        .on_object(scans.events("thumbs").with_prefix("in/").with_suffix(".jpg").created(), async |_, _| {})
        .on_object(scans.events("audit").deleted(), async |_, _| {})
        .on_write(&cloud.table::<u32>("stock"), async |_, _| {})
        .on_schedule("sweep", every(Duration::from_secs(3_600)), async |_, _| {})
        .on_invoke("stats", async |(), _| Ok::<_, Error>(()))
}

/// A validator of JSON Schema accepts the manifest that the binary prints, and that of an app of every kind of trigger, but
/// no trigger of these kinds without its fields.
fn manifest(binary: &Binary) -> Result<Result<Completion, Failed>, Absent> {
    const VALIDATE: &str = "import json, sys\nfrom jsonschema import Draft202012Validator as Validator\n\
        schema, printed, every = map(json.loads, sys.argv[1:])\nValidator.check_schema(schema)\n\
        [Validator(schema).validate(manifest) for manifest in (printed, every)]\n\
        broken = [{'kind': 'schedule', 'name': 'x' * n} for n in (2, 3)]\n\
        broken += [{'kind': it['kind']} for it in every['triggers'] if it['kind'] != 'http']\n\
        broken += [{**it, 'change': 'x', 'subscription': 'X', 'table': ''} for it in every['triggers'] if 'retry' in it]\n\
        broken = [{**every, 'triggers': [it]} for it in broken] + [{**printed, 'version': 2}]\n\
        assert not any(map(Validator(schema).is_valid, broken))";
    let python = Python::ready()?;
    let printed = Command::new(&binary.path).env("ISOBAR_MANIFEST", "1").output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let printed = String::from_utf8(printed.stdout).unwrap();
    let cloud = Cloud::memory();
    let every = every_trigger(&cloud).start(&cloud).unwrap().to_json().unwrap();
    let mut validate = Command::new(python.interpreter());
    let validated = validate.args(["-c", VALIDATE, isobar::manifest::SCHEMA, &printed, &every]).output().unwrap();
    assert!(validated.status.success(), "{printed}\n{}", String::from_utf8_lossy(&validated.stderr));
    Ok(Ok(Completion::Completed))
}
