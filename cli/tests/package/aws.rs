//! The folder of a stage on AWS, by tools of others: Terraform with AWS's provider, ministack, parliament, and a reader of archives.

use std::collections::{BTreeMap, BTreeSet};

use isobar_e2e::emulators::{Emulator, MINISTACK, Python, Terraform};
use serde_json::{Value, json};

use super::*;

const TARGET: [&str; 5] = ["package", "--target", "aws", "-o", "out"];

fn repackaged(folder: &tempfile::TempDir, transcript: &mut Transcript, args: &[&str]) -> PathBuf {
    assert_eq!(transcript.run(&[&TARGET, args].concat()), 0, "{}", transcript.text());
    folder.path().join("out")
}

#[test]
fn all_texts_of_the_richest_app_are_known() {
    let (folder, mut transcript) = project(&shop());
    let out = repackaged(&folder, &mut transcript, &[]);
    compare_folder(&out, "package/aws");
    // Of a split stage, the files that differ in kind.
    repackaged(&folder, &mut transcript, &["--split"]);
    for entry in fs::read_dir(&out).unwrap() {
        let entry = entry.unwrap();
        if !["functions.tf", "roles.tf", "variables.tf", "outputs.tf"].iter().any(|name| entry.file_name() == *name) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    compare_folder(&out, "package/aws-split");
}

#[test]
fn the_same_app_gives_the_same_bytes() {
    let [one, two] = [packaged(&shop(), "aws"), packaged(&shop(), "aws")];
    for entry in fs::read_dir(&one.1).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(fs::read(one.1.join(&name)).unwrap() == fs::read(two.1.join(&name)).unwrap(), "{name:?} differs");
    }
}

#[test]
fn the_archive_has_the_program_only() {
    let (folder, out) = packaged(&shop(), "aws");
    let mut archive = zip::ZipArchive::new(fs::File::open(out.join("app.zip")).unwrap()).unwrap();
    assert_eq!(archive.len(), 1);
    let mut file = archive.by_index(0).unwrap();
    assert_eq!((file.name().unwrap().into_owned(), file.unix_mode()), ("bootstrap".to_owned(), Some(0o100_755)));
    assert_eq!(file.last_modified().unwrap().to_string(), "1980-01-01 00:00:00");
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    assert!(content == fs::read(folder.path().join("app")).unwrap());
}

#[test]
fn bad_input_is_a_failure_and_writes_nothing() {
    let (folder, mut transcript) = project(&shop());
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("text", b"#!/bin/sh");
    let mut other = fs::read(program()).unwrap();
    // The machine in the head of the file: 183 is aarch64.
    other[18..20].copy_from_slice(&183_u16.to_le_bytes());
    write("arm64", &other);
    fs::copy(std::env::current_exe().unwrap(), folder.path().join("dynamic")).unwrap();
    for file in ["missing", "text", "arm64", "dynamic"] {
        assert_eq!(transcript.run(&[&TARGET[..], &["--binary", file]].concat()), 1, "{}", transcript.text());
    }
    transcript.set("ISOBAR_BUCKET_PAGES", "s3://pages-prod");
    assert_eq!(transcript.run(&TARGET), 1, "{}", transcript.text());
    assert!(!folder.path().join("out").exists());
    for (name, content) in [
        ("out/notes.txt", "mine"),
        ("out/isobar.json", r#"{"version": 1, "target": "gcp", "stage": "prod"}"#),
        ("out/isobar.json", r#"{"version": 2, "target": "aws", "stage": "dev"}"#),
        ("out/isobar.json", "{}"),
    ] {
        write(name, content.as_bytes());
        assert_eq!(transcript.run(&TARGET), 1, "{}", transcript.text());
    }
    assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 2);
    let schedule = Trigger::Schedule(ScheduleTrigger::new("sweep", "0 3 1 * 1"));
    write("app.json", Manifest::new("shop").with_triggers([schedule]).to_json().unwrap().as_bytes());
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    assert_eq!(transcript.run(&TARGET), 1, "{}", transcript.text());
    assert!(!folder.path().join("out").exists());
    transcript.compare("package_aws_failures");
}

#[test]
fn the_name_of_a_bucket_is_not_too_long() {
    let name = "a-bucket-with-the-longest-logical-name-x";
    let (folder, mut transcript) = project(&Manifest::new("shop").with_resources([DeclaredResource::new(
        ResourceKind::Bucket,
        name,
        Access::Read,
    )]));
    let out = repackaged(&folder, &mut transcript, &["--stage", "stage-of-14-xx"]);
    let text = fs::read_to_string(out.join("buckets.tf")).unwrap();
    // 20 of the prefix, 23 of the name, 6 of its hash, 12 of the account, and two signs.
    let (_, rest) = text.split_once("\"${local.prefix}").unwrap();
    let (short, rest) = rest.split_once("-${local.account}\"").unwrap();
    let hash = short.strip_prefix(&format!("{}-", &name[..23])).unwrap();
    assert!(hash.len() == 6 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{short}");
    assert!(rest.starts_with('\n'), "{text}");
}

/// Runs Terraform in a folder. All folders of this test have the plug-ins of the first one.
fn terraform(
    terraform: &Terraform,
    folder: &Path,
    args: &[&str],
    variables: &[(&str, &str)],
) -> Result<String, String> {
    static PLUGINS: OnceLock<PathBuf> = OnceLock::new();
    let run = |data: &Path, args: &[&str]| {
        let mut command = Command::new("terraform");
        command.args(args).arg("-no-color").current_dir(folder);
        command.env("TF_DATA_DIR", data).env("CHECKPOINT_DISABLE", "1").env("TF_IN_AUTOMATION", "1");
        let output = command.envs(terraform.variables()).envs(variables.iter().copied()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        match output.status.success() {
            true => Ok(text(output.stdout)),
            false => Err(text(output.stdout) + &text(output.stderr)),
        }
    };
    let lock = folder.join(".terraform.lock.hcl");
    let plugins = PLUGINS.get_or_init(|| {
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("terraform-aws");
        run(&data, &["init", "-backend=false", "-input=false"]).unwrap();
        fs::copy(&lock, data.join("lock")).unwrap();
        data
    });
    fs::copy(plugins.join("lock"), &lock).unwrap();
    run(plugins, args)
}

#[test]
#[ignore = "it needs Terraform, and takes a minute: cargo test -p isobar-cli -- --include-ignored"]
fn the_provider_accepts_the_files_and_finds_mistakes() {
    let Some(program) = support::found(Terraform::ready()) else { return };
    for (name, manifest) in apps() {
        let (folder, mut transcript) = project(&manifest);
        for args in [&[][..], &["--split"]] {
            let out = repackaged(&folder, &mut transcript, args);
            let validated = terraform(&program, &out, &["validate"], &[]);
            assert!(validated.is_ok(), "{name} {args:?}: {validated:?}");
        }
    }
    let (_folder, out) = packaged(&shop(), "aws");
    let mistakes = [
        ("queues.tf", "batch_size ", "batchsize ", "An argument named \"batchsize\" is not expected here"),
        ("functions.tf", "provided.al2023", "provided.al2024", "expected runtime to be one of"),
        (
            "roles.tf",
            "aws_sns_topic.clicks.arn",
            "aws_sns_topic.klicks.arn",
            "\"aws_sns_topic\" \"klicks\" has not been",
        ),
        ("tables.tf", "KEYS_ONLY", "KEYS", "expected stream_view_type to be one of"),
    ];
    // One at a time: what depends on a wrong resource is not checked.
    for (file, from, to, expected) in mistakes {
        let text = fs::read_to_string(out.join(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(out.join(file), text.replacen(from, to, 1)).unwrap();
        let found = terraform(&program, &out, &["validate"], &[]).unwrap_err();
        let found = found.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert!(found.contains(expected), "{expected}: {found}");
        fs::write(out.join(file), text).unwrap();
    }
}

/// What Terraform made, by kind and name.
struct State(BTreeMap<(String, String), Value>);

impl State {
    /// Applies the files of a folder to ministack.
    fn apply(program: &Terraform, emulator: &Emulator, out: &Path) -> Self {
        let url = emulator.url();
        let mut variables = vec![("AWS_ENDPOINT_URL", url.as_str())];
        variables.extend([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
        terraform(program, out, &["apply", "-auto-approve", "-input=false"], &variables)
            .unwrap_or_else(|it| panic!("{it}"));
        let state: Value = serde_json::from_str(&terraform(program, out, &["show", "-json"], &[]).unwrap()).unwrap();
        let name = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        let rows = state["values"]["root_module"]["resources"].as_array().unwrap().iter();
        Self(
            rows.map(|row| ((name(row, "type"), row["address"].as_str().unwrap().to_owned()), row["values"].clone()))
                .collect(),
        )
    }

    fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |((it, _), _)| it == kind).map(|(_, values)| values)
    }

    /// The one whose attribute has this value.
    fn with<'a>(&'a self, kind: &'a str, attribute: &str, value: &Value) -> &'a Value {
        self.of(kind).find(|it| it[attribute] == *value).unwrap_or_else(|| panic!("no {kind} has {attribute} {value}"))
    }

    fn policies<'a>(&'a self, kind: &'a str, attribute: &'a str) -> impl Iterator<Item = Value> + 'a {
        let texts = self.of(kind).filter_map(move |it| it[attribute].as_str().filter(|text| !text.is_empty()));
        texts.map(|text| serde_json::from_str(text).unwrap())
    }
}

fn statements(policy: &Value) -> &[Value] {
    policy["Statement"].as_array().unwrap()
}

const ACCOUNT: &str = "000000000000";

#[test]
#[ignore = "it needs Terraform, and takes minutes: cargo test -p isobar-cli -- --include-ignored"]
fn what_terraform_makes_is_as_narrow_as_it_can_be() {
    let Some((program, python)) = support::found(Terraform::ready()).zip(support::found(Python::ready())) else {
        return;
    };
    for args in [&[][..], &["--split"]] {
        let emulator = Emulator::start(&python, MINISTACK, &[]).unwrap();
        let (folder, mut transcript) = project(&shop());
        let out = repackaged(&folder, &mut transcript, args);
        let state = State::apply(&program, &emulator, &out);
        assert_narrow(&state);
        assert_triggers(&state);
        for policy in state.policies("aws_iam_role_policy", "policy") {
            assert_eq!(parliament(&python, &policy), "", "{policy}");
        }
    }
    let wrong = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ReadObject", "Resource": "*"}]});
    assert!(parliament(&python, &wrong).contains("Unknown action s3:ReadObject"));
}

/// What parliament finds in a policy.
fn parliament(python: &Python, policy: &Value) -> String {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        let table = statement["Resource"].as_str().and_then(|it| Some(it.split_once("/stream/")?.0.to_owned()));
        if let Some(table) = table {
            // It cannot read the time in the name of a stream. Lambda checks ListStreams for one stream; it knows all only.
            statement["Resource"] = format!("{table}/stream/label").into();
            statement["Action"].as_array_mut().unwrap().retain(|it| it != "dynamodb:ListStreams");
        }
    }
    let mut command = Command::new(python.interpreter().with_file_name("parliament"));
    // It prints that its own way to find its files is old.
    command.env("PYTHONWARNINGS", "ignore");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(policy.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.success(), found.is_empty(), "{found}");
    found
}

fn assert_narrow(state: &State) {
    for kind in ["aws_iam_role", "aws_lambda_function", "aws_sqs_queue", "aws_sns_topic", "aws_s3_bucket"] {
        let attribute =
            ["bucket", "function_name", "name"].into_iter().find(|it| state.of(kind).all(|row| row[*it].is_string()));
        let names: Vec<_> = state.of(kind).map(|it| it[attribute.unwrap()].as_str().unwrap()).collect();
        assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("shop-dev")), "{names:?}");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
    let arns: BTreeSet<&str> =
        state.0.values().flat_map(|it| [&it["arn"], &it["stream_arn"]]).filter_map(Value::as_str).collect();
    let parameter = format!("arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/shop-dev-");
    for policy in state.policies("aws_iam_role_policy", "policy") {
        for statement in statements(&policy) {
            let resource = statement["Resource"].as_str().unwrap();
            let whole = resource.strip_suffix("/*").or(resource.strip_suffix(":*")).unwrap_or(resource);
            assert!(arns.contains(whole) || whole.starts_with(&parameter) && !whole.contains('*'), "{statement}");
            assert!(statement["Action"].as_array().unwrap().iter().all(|it| !it.as_str().unwrap().contains('*')));
        }
    }
    // Others act on behalf of one source in this account.
    let of_resources =
        state.policies("aws_sqs_queue", "policy").chain(state.policies("aws_sns_topic_policy", "policy"));
    let of_resources: Vec<_> = of_resources.collect();
    assert!(of_resources.len() >= 8, "{of_resources:?}");
    for statement in of_resources.iter().flat_map(statements_of) {
        let source = statement["Condition"]["ArnEquals"]["aws:SourceArn"].as_str().unwrap();
        assert!(arns.contains(source) && arns.contains(statement["Resource"].as_str().unwrap()), "{statement}");
        let service = statement["Principal"]["Service"].as_str().unwrap();
        assert_eq!(service, format!("{}.amazonaws.com", source.split(':').nth(2).unwrap()));
        // The ARN of a bucket has no account.
        let account = &statement["Condition"]["StringEquals"]["aws:SourceAccount"];
        assert!(source.contains(ACCOUNT) || account == ACCOUNT, "{statement}");
    }
    for policy in state.policies("aws_iam_role", "assume_role_policy") {
        for statement in statements(&policy) {
            let service = statement["Principal"]["Service"].as_str().unwrap();
            let is_of_account = statement["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT;
            assert!(
                service == "lambda.amazonaws.com" || service == "scheduler.amazonaws.com" && is_of_account,
                "{policy}"
            );
        }
    }
    let callers: Vec<_> = state.of("aws_lambda_permission").collect();
    assert!(matches!(callers[..], [api] if api["principal"] == "apigateway.amazonaws.com"), "{callers:?}");
    assert!(callers[0]["source_arn"].as_str().unwrap().ends_with("/*/*"));
    for bucket in state.of("aws_s3_bucket") {
        let block = state.with("aws_s3_bucket_public_access_block", "bucket", &bucket["bucket"]);
        for attribute in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"] {
            assert_eq!(block[attribute], true, "{bucket}");
        }
    }
    assert!(["aws_s3_bucket_policy", "aws_s3_bucket_acl"].iter().all(|kind| state.of(kind).next().is_none()));
}

fn statements_of(policy: &Value) -> impl Iterator<Item = &Value> {
    statements(policy).iter()
}

fn assert_triggers(state: &State) {
    let (mut of_queues, mut of_streams) = (0, 0);
    for mapping in state.of("aws_lambda_event_source_mapping") {
        assert_eq!(mapping["function_response_types"], json!(["ReportBatchItemFailures"]), "{mapping}");
        let source = mapping["event_source_arn"].as_str().unwrap();
        if !source.contains(":sqs:") {
            of_streams += 1;
            state.with("aws_dynamodb_table", "stream_arn", &mapping["event_source_arn"]);
            continue;
        }
        of_queues += 1;
        let (queue, function) = (
            state.with("aws_sqs_queue", "arn", &mapping["event_source_arn"]),
            state.with("aws_lambda_function", "arn", &mapping["function_arn"]),
        );
        let seconds = |it: &Value| it.as_u64().unwrap();
        assert!(seconds(&queue["visibility_timeout_seconds"]) >= 6 * seconds(&function["timeout"]), "{source}");
        let dead: Value = serde_json::from_str(queue["redrive_policy"].as_str().unwrap()).unwrap();
        let dead = state.with("aws_sqs_queue", "arn", &dead["deadLetterTargetArn"]);
        assert_eq!(dead["fifo_queue"], queue["fifo_queue"], "{source}");
        let alarm = format!("{}: dead letters", dead["name"].as_str().unwrap());
        state.with("aws_cloudwatch_metric_alarm", "alarm_name", &json!(alarm));
    }
    // Three subscriptions, each with a FIFO queue; two handlers of objects; one of writes.
    assert_eq!((of_queues, of_streams), (9, 1));
    for schedule in state.of("aws_scheduler_schedule") {
        let target = &schedule["target"][0];
        let input: Value = serde_json::from_str(target["input"].as_str().unwrap()).unwrap();
        assert_eq!(input, json!({"isobar": "schedule", "schedule": "sweep", "due": "<aws.scheduler.scheduled-time>"}));
        assert!(target["input"].as_str().unwrap().contains("<aws.scheduler.scheduled-time>"));
        let role = state.with("aws_iam_role", "arn", &target["role_arn"]);
        let policy = state.with("aws_iam_role_policy", "role", &role["name"])["policy"].as_str().unwrap();
        let policy: Value = serde_json::from_str(policy).unwrap();
        assert_eq!(statements(&policy)[0]["Resource"], target["arn"]);
    }
}
