//! A stage on an emulator of AWS: deployed, used, changed and destroyed.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use isobar_conformance::Absent;
use isobar_conformance::memory::Memory;
use isobar_e2e::backends::aws::deployed::Deployed;
use isobar_e2e::emulators::{Emulator, MINISTACK, Python, Terraform};
use isobar_e2e::{built, transcript};
use serde_json::Value;

/// What ministack returns differently after an apply, so that the next plan changes it again.
const CHANGES_AGAIN: [(&str, &str); 0] = [];

/// What boto3 finds in an account, by service, call and field of the answer.
const LEFT: &str = r#"
import boto3, json, sys
calls = [("dynamodb", "list_tables", "TableNames"), ("s3", "list_buckets", "Buckets"), ("sns", "list_topics", "Topics"),
    ("sqs", "list_queues", "QueueUrls"), ("lambda", "list_functions", "Functions"), ("iam", "list_roles", "Roles"),
    ("lambda", "list_event_source_mappings", "EventSourceMappings"), ("apigatewayv2", "get_apis", "Items"),
    ("scheduler", "list_schedules", "Schedules"), ("logs", "describe_log_groups", "logGroups"),
    ("cloudwatch", "describe_alarms", "MetricAlarms")]
client = lambda service: boto3.client(service, endpoint_url=sys.argv[1], region_name="us-east-1",
    aws_access_key_id="test", aws_secret_access_key="test")
found = {call: getattr(client(service), call)().get(field) or [] for service, call, field in calls}
print(json.dumps({call: len(rows) for call, rows in found.items()}))
"#;

struct Machine {
    python: PathBuf,
    terraform: Terraform,
    emulator: Emulator,
}

/// What a trial needs; `None`, with the reason on stderr, where this machine lacks it.
fn machine() -> Option<Machine> {
    let found = || {
        let (python, terraform) = (Python::ready()?, Terraform::ready()?);
        let emulator = Emulator::start(&python, MINISTACK, &[]).unwrap();
        Ok::<_, Absent>(Machine { python: python.interpreter().to_owned(), terraform, emulator })
    };
    match found() {
        Ok(machine) => Some(machine),
        Err(absent) if absent.is_required() => panic!("{} is required: {}", absent.need, absent.reason),
        Err(absent) => {
            eprintln!("ignored: {}", absent.reason);
            None
        }
    }
}

impl Machine {
    /// How much boto3 finds.
    fn left(&self) -> BTreeMap<String, usize> {
        let found = Command::new(&self.python).args(["-c", LEFT, &self.emulator.url()]).output().unwrap();
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        serde_json::from_slice(&found.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it builds an app, and needs Terraform: cargo test -p isobar-cli -- --include-ignored"]
async fn the_notes_do_the_same_on_what_terraform_made() {
    let Some(machine) = machine() else { return };
    let notes = Deployed {
        endpoint: machine.emulator.url(),
        python: machine.python.clone(),
        bootstrap: built::apps("aws").unwrap().join("notes"),
        environment: BTreeMap::new(),
        isobar: Some((env!("CARGO_BIN_EXE_isobar").into(), machine.terraform.clone())),
    };
    let before = machine.left();
    let expected = transcript::notes(&Memory, notes::app).await.unwrap();
    let found = transcript::notes(&notes, notes::app).await.unwrap();
    transcript::assert_same(&expected, &found, "what Terraform made");
    assert!(machine.left()["list_tables"] > before["list_tables"]);

    let options = ["--plan", "--json", "--dynamic", "--binary"];
    let planned: Value = serde_json::from_slice(&notes.isobar("deploy", "w1", &options).await.unwrap()).unwrap();
    let changes = planned["changes"].as_array().unwrap().iter();
    let unknown: Vec<_> =
        changes.filter(|row| !CHANGES_AGAIN.iter().any(|(known, _)| row["resource"] == *known)).collect();
    assert!(unknown.is_empty(), "a second plan is not empty: {unknown:?}");

    notes.isobar("destroy", "w1", &["--yes"]).await.unwrap();
    assert_eq!(machine.left(), before);
}
