//! The data of a stage: what deletes them is refused, unless the command names the stage.

use std::fs;
use std::process::Command;

use isobar::driver::{Access, ResourceKind};
use isobar::manifest::{DeclaredResource, Manifest, Trigger};
use isobar_conformance::Absent;
use isobar_e2e::emulators::{Emulator, MINISTACK, Python, Terraform};

use crate::project;
use crate::support::found;

const SERVICES: [&str; 11] = [
    "apigatewayv2",
    "cloudwatch",
    "cloudwatchlogs",
    "dynamodb",
    "iam",
    "lambda",
    "s3",
    "scheduler",
    "sns",
    "sqs",
    "sts",
];

#[test]
#[ignore = "it needs Terraform: cargo test -p isobar-cli -- --include-ignored"]
fn data_are_deleted_only_with_the_name_of_the_stage() {
    let ready = || Ok::<_, Absent>((Python::ready()?, Terraform::ready()?));
    let Some((python, terraform)) = found(ready()) else { return };
    let emulator = Emulator::start(&python, MINISTACK, &[]).unwrap();

    let without = Manifest::new("shop").with_triggers([Trigger::Http]);
    let with = without.clone().with_resources([
        DeclaredResource::new(ResourceKind::Table, "links", Access::ReadWrite),
        DeclaredResource::new(ResourceKind::Bucket, "pages", Access::ReadWrite),
    ]);
    let (folder, mut isobar) = project(&with);
    for (name, path) in terraform.variables() {
        isobar.set(name, path.to_str().unwrap());
    }
    let stage = ["--target", "aws", "-o", "out"];
    let mut run = |args: &[&str], code: i32| {
        assert_eq!(isobar.run(&[args, &stage].concat()), code, "{}", isobar.text());
    };
    run(&["package"], 0);
    // As for an account, but by a file of the user that leads to the emulator.
    let endpoints: String = SERVICES.iter().map(|service| format!("{service} = \"{}\"\n", emulator.url())).collect();
    let provider = format!(
        "provider \"aws\" {{\naccess_key = \"test\"\nsecret_key = \"test\"\nskip_credentials_validation = true\n\
         skip_metadata_api_check = true\ns3_use_path_style = true\nendpoints {{\n{endpoints}}}\n}}\n"
    );
    fs::write(folder.path().join("out/override.tf"), provider).unwrap();
    run(&["deploy", "--yes"], 0);
    let object = format!("{}/shop-dev-pages-000000000000/a", emulator.url());
    assert!(Command::new("curl").args(["-sSf", "-X", "PUT", "-d", "x", &object]).status().unwrap().success());

    fs::write(folder.path().join("app.json"), without.to_json().unwrap()).unwrap();
    run(&["deploy", "--yes"], 1);
    run(&["deploy", "--yes", "--destroy-data", "shop-prod"], 1);
    let read = || Command::new("curl").args(["-sSf", &object]).output().unwrap();
    assert_eq!(read().stdout, b"x");
    run(&["deploy", "--yes", "--destroy-data", "shop-dev"], 0);
    assert!(!read().status.success());
    run(&["destroy", "--yes"], 0);

    let text = isobar.text();
    assert!(text.contains("data would be deleted with aws_dynamodb_table.links, aws_s3_bucket.pages"), "{text}");
    assert!(text.contains("`shop-prod` is not the name of this stage"), "{text}");
    assert!(!folder.path().join("out/tables.tf").exists());
}
