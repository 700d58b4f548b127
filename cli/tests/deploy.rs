//! A stage on an emulator of AWS: deployed, used, changed and destroyed.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use isobar_conformance::Absent;
use isobar_conformance::memory::Memory;
use isobar_e2e::backends::aws::deployed::Deployed;
use isobar_e2e::emulators::{Emulator, MINISTACK, Python, Terraform};
use isobar_e2e::{built, transcript};
use serde_json::Value;
use support::project::{command, project, root, text};

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

fn machine() -> Option<Machine> {
    let needs = || {
        let (python, terraform) = (Python::ready()?, Terraform::ready()?);
        let emulator = Emulator::start(&python, MINISTACK, &[]).unwrap();
        Ok::<_, Absent>(Machine { python: python.interpreter().to_owned(), terraform, emulator })
    };
    support::found(needs())
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

/// `isobar` in the folder of an app, with a stage of the emulator that it installs itself.
struct User {
    folder: PathBuf,
    terraform: Terraform,
}

impl User {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(env!("CARGO_BIN_EXE_isobar"), &self.folder, args);
        command.args(["--target", "aws", "--emulator", "ministack"]).envs(self.terraform.variables());
        command
    }

    fn run(&self, args: &[&str]) -> String {
        let ran = self.command(args).output().unwrap();
        assert!(ran.status.success(), "isobar {args:?}\n{}{}", text(&ran.stdout), text(&ran.stderr));
        text(&ran.stdout).trim_end().to_owned()
    }
}

#[test]
#[ignore = "it builds a project, and needs Terraform: cargo test -p isobar-cli -- --include-ignored"]
fn a_stage_is_deployed_used_changed_interrupted_and_destroyed() {
    let needs = || Ok::<_, Absent>((Python::ready()?, Terraform::ready()?));
    let Some((_, terraform)) = support::found(needs()) else { return };
    let parent = tempfile::tempdir().unwrap();
    let parent = parent.path().canonicalize().unwrap();
    let folder = project(&parent, "trial-stage", &["--template", "api", "--isobar-path", root().to_str().unwrap()]);
    let user = User { folder, terraform };

    // An earlier run that failed has left its stage.
    let _ = user.command(&["destroy", "--yes"]).output();

    // Ctrl-C: what is done is stored, and the next command continues from there.
    let mut deploy = user.command(&["deploy", "--yes", "--profile", "dev"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(deploy.stderr.take().unwrap()).lines().map(Result::unwrap);
    // At that time no request is sent that would be lost with its answer, such as that of the table.
    let before: Vec<_> = lines.by_ref().take_while(|line| !line.contains("Created aws_dynamodb_table")).collect();
    let interrupted = Command::new("kill").args(["-INT", &deploy.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let rest: Vec<_> = lines.collect();
    assert_eq!(deploy.wait().unwrap().code(), Some(130), "{before:#?}\n{rest:#?}");
    let deployed: Value = serde_json::from_str(&user.run(&["deploy", "--yes", "--profile", "dev", "--json"])).unwrap();
    assert_eq!(deployed["stage"], "trial-stage-dev");

    let url = user.run(&["url"]);
    assert_eq!(url, deployed["outputs"]["url"]);
    let request = |args: &[&str]| text(&Command::new("curl").args(["-sS"]).args(args).output().unwrap().stdout);
    let book = r#"{"id": "emma", "title": "Emma", "year": 1815}"#;
    request(&[&format!("{url}/books"), "-H", "content-type: application/json", "-d", book]);
    let listed = request(&[&format!("{url}/books")]);
    assert!(listed.contains("Emma"), "{listed}");
    assert!(user.run(&["logs"]).contains("REPORT RequestId"));

    // A change of a handler is one change of the plan.
    let (file, old, new) = (user.folder.join("src/lib.rs"), "\"/books\"", "\"/shelf\"");
    let source = fs::read_to_string(&file).unwrap();
    assert!(source.contains(old));
    fs::write(&file, source.replace(old, new)).unwrap();
    let planned = user.run(&["deploy", "--plan", "--json", "--profile", "dev"]);
    let planned: Value = serde_json::from_str(&planned).unwrap();
    let changes = planned["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!((&changes[0]["action"], &changes[0]["resource"]), (&"change".into(), &"aws_lambda_function.app".into()));
    user.run(&["deploy", "--yes", "--profile", "dev"]);
    assert_eq!(request(&[&format!("{url}/shelf")]), listed);

    user.run(&["destroy", "--yes"]);
    let gone = user.command(&["url"]).output().unwrap();
    assert_eq!(gone.status.code(), Some(1));
    assert!(text(&gone.stderr).contains("there is no stage `dev`"), "{}", text(&gone.stderr));
}
