//! The folder of a stage on Google Cloud, its Terraform files against the provider's schema, and its image by tools of others.

use super::*;

const TARGET: [&str; 5] = ["package", "--target", "gcp", "-o", "out"];

/// The folder of the stage `dev` of the app in this project.
fn repackaged(folder: &tempfile::TempDir, transcript: &mut Transcript, args: &[&str]) -> PathBuf {
    assert_eq!(transcript.run(&[&TARGET, args].concat()), 0, "{}", transcript.text());
    folder.path().join("out")
}

/// What is wrong in the files of a stage, and in those of its registry.
fn problems(out: &Path) -> Vec<String> {
    let schema = Schema::read("google");
    [terraform::problems(out, &schema), terraform::problems(&out.join("registry"), &schema)].concat()
}

fn read(out: &Path, name: &str) -> String {
    fs::read_to_string(out.join(name)).unwrap()
}

/// The digest of the image.
fn digest(out: &Path) -> String {
    let index: serde_json::Value = serde_json::from_str(&read(out, "image/index.json")).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

/// Compares these files, where the digest of the image depends on the compiler.
fn compare(out: &Path, name: &str, is_compared: impl Fn(&str) -> bool) {
    fs::write(out.join("main.tf"), read(out, "main.tf").replace(&digest(out), "sha256:DIGEST")).unwrap();
    for entry in fs::read_dir(out).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() && !is_compared(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    compare_folder(out, name);
}

#[test]
fn each_file_fits_the_schema_of_the_provider() {
    for (name, manifest) in apps() {
        let (folder, mut transcript) = project(&manifest);
        for args in [&[][..], &["--split"]] {
            let out = repackaged(&folder, &mut transcript, args);
            assert_eq!(problems(&out), [""; 0], "{name} {args:?}");
        }
    }
}

#[test]
fn the_check_finds_what_the_provider_would_refuse() {
    let (_folder, out) = packaged(&shop(), "gcp");
    for (file, from, to, expected) in [
        ("subscriptions.tf", "ack_deadline_seconds    = 600", "ack_deadline_seconds = \"600s\"", "is no number"),
        ("subscriptions.tf", "audience  ", "audiance  ", "there is no argument audiance"),
        ("buckets.tf", "  location                    = var.region\n", "", "location is missing"),
        ("roles.tf", "google_storage_bucket.pages.name", "google_storage_bucket.images.name", "nothing declares"),
        ("services.tf", "    containers {", "    container {", "there is no block container"),
    ] {
        let text = read(&out, file);
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(out.join(file), text.replacen(from, to, 1)).unwrap();
        let found = problems(&out);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:?}");
        fs::write(out.join(file), text).unwrap();
    }
}

#[test]
fn all_texts_of_the_richest_app_are_known() {
    let (folder, mut transcript) = project(&shop());
    transcript.set("GOOGLE_CLOUD_PROJECT", "my-project");
    let out = repackaged(&folder, &mut transcript, &[]);
    compare(&out, "package/gcp", |_| true);
    compare_folder(&out.join("registry"), "package/gcp/registry");
}

#[test]
fn a_split_stage_has_a_service_for_each_kind_of_trigger() {
    let (folder, mut transcript) = project(&shop());
    let out = repackaged(&folder, &mut transcript, &["--split"]);
    compare(&out, "package/gcp-split", |name| ["services.tf", "subscriptions.tf", "outputs.tf"].contains(&name));
}

#[test]
fn what_is_made_elsewhere_is_not_made() {
    let (folder, mut transcript) = project(&shop());
    transcript.set("ISOBAR_TABLE_PRICES", "firestore://prices?project=other&database=shared");
    transcript.set("ISOBAR_BUCKET_REPORTS", "gs://reports-prod");
    transcript.set("ISOBAR_SECRETS", "gsm://vault");
    let out = repackaged(&folder, &mut transcript, &[]);
    assert_eq!(problems(&out), [""; 0]);
    assert!(!out.join("secrets.tf").exists());
    compare(&out, "package/gcp-placed", |name| ["services.tf", "roles.tf", "tables.tf", "buckets.tf"].contains(&name));
}

#[test]
fn what_is_in_another_cloud_needs_no_role() {
    let (folder, mut transcript) = project(&shop());
    transcript.set("ISOBAR_BUCKET_REPORTS", "s3://reports-prod");
    transcript.set("ISOBAR_SECRETS", "keyvault://vault");
    let out = repackaged(&folder, &mut transcript, &[]);
    assert_eq!(problems(&out), [""; 0]);
    let roles = read(&out, "roles.tf");
    assert!(!roles.contains("reports") && !roles.contains("secret") && !out.join("secrets.tf").exists(), "{roles}");
    assert!(read(&out, "services.tf").contains("\"s3://reports-prod\""));
}

#[test]
fn what_google_does_not_have_is_a_failure_with_the_next_step() {
    let (folder, mut transcript) = project(&shop());
    for option in ["--dynamic", "--arm64"] {
        assert_eq!(transcript.run(&[&TARGET[..], &[option]].concat()), 1, "{}", transcript.text());
    }
    transcript.set("ISOBAR_TOPIC_CLICKS", "pubsub://clicks-prod");
    assert_eq!(transcript.run(&TARGET), 1, "{}", transcript.text());
    assert!(!folder.path().join("out").exists());
    transcript.compare("package_gcp_failures");
}

#[test]
fn the_name_of_a_bucket_is_not_too_long() {
    let name = "a-bucket-with-the-longest-logical-name-x";
    let manifest =
        Manifest::new("shop").with_resources([DeclaredResource::new(ResourceKind::Bucket, name, Access::Read)]);
    let (_folder, out) = packaged(&manifest, "gcp");
    let text = read(&out, "buckets.tf");
    let value = text.lines().find_map(|line| line.split_once(" = \"")?.1.strip_suffix('"')).unwrap();
    let longest = value.replace("${local.prefix}", "shop-dev-").replace("${local.number}", "1234567890123");
    assert!((55..=63).contains(&longest.len()), "{longest}");
}

#[test]
fn the_same_app_gives_the_same_bytes_and_no_old_image() {
    let (folder, mut transcript) = project(&shop());
    let out = repackaged(&folder, &mut transcript, &[]);
    let bytes = || {
        let blobs = fs::read_dir(out.join("image/blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = blobs.chain(fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path())).collect();
        files.sort();
        files.into_iter().map(|path| (fs::read(&path).ok(), path)).collect::<Vec<_>>()
    };
    let first = bytes();
    fs::write(out.join("image/blobs/sha256/00"), "old").unwrap();
    repackaged(&folder, &mut transcript, &[]);
    assert!(first == bytes(), "a second package differs");
    fs::remove_dir_all(&out).unwrap();
    repackaged(&folder, &mut transcript, &[]);
    assert!(first == bytes(), "a new folder differs");
}

#[test]
#[ignore = "it needs skopeo and umoci: cargo test -p isobar-cli -- --include-ignored"]
fn tools_of_others_read_the_image_and_its_program_runs_on_nothing_else() {
    let (Some(skopeo), Some(umoci)) = (support::program("skopeo", "skopeo"), support::program("umoci", "umoci")) else {
        return;
    };
    let (folder, out) = packaged(&shop(), "gcp");
    let image = out.join("image");
    let inspected = run(Command::new(skopeo).arg("inspect").arg(format!("oci:{}", image.display())));
    let inspected: serde_json::Value = serde_json::from_slice(&inspected).unwrap();
    assert_eq!(inspected["Digest"], digest(&out));
    assert!(read(&out, "main.tf").contains(&format!("@{}\")", digest(&out))));
    let bundle = folder.path().join("bundle");
    let mut unpack = Command::new(umoci);
    run(unpack.args(["unpack", "--rootless", "--image"]).arg(format!("{}:latest", image.display())).arg(&bundle));
    let config: serde_json::Value = serde_json::from_str(&read(&bundle, "config.json")).unwrap();
    assert_eq!(config["process"]["args"], serde_json::json!(["/app"]));
    assert_eq!(config["process"]["user"]["uid"], 65532);
    // The program of this test prints the file next to it.
    let root = bundle.join("rootfs");
    fs::copy(folder.path().join("app.json"), root.join("app.json")).unwrap();
    fs::create_dir(root.join("proc")).unwrap();
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--root"]).arg(&root);
    let printed = run(unshare.args(["--mount-proc=/proc", "/app"]));
    assert_eq!(String::from_utf8(printed).unwrap(), shop().to_json().unwrap());
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
