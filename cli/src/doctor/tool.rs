//! The programs that isobar's commands, the platforms and the tests of this repository use.

use std::process::{Command, Stdio};

use super::{Part, State};

/// The oldest Rust that isobar supports.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// A program.
struct Tool {
    purpose: &'static str,
    name: &'static str,
    /// The command that prints its version.
    version: &'static [&'static str],
    /// The oldest version that works, where it is known.
    oldest: &'static str,
    required: bool,
    linux: &'static str,
    mac: &'static str,
}

const fn tool(
    purpose: &'static str,
    name: &'static str,
    version: &'static [&'static str],
    linux: &'static str,
    mac: &'static str,
) -> Tool {
    Tool { purpose, name, version, oldest: "", required: false, linux, mac }
}

impl Tool {
    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn from(self, oldest: &'static str) -> Self {
        Self { oldest, ..self }
    }
}

const RUSTUP: &str = "curl --proto =https --tlsv1.2 -sSf https://sh.rustup.rs | sh";
const LOCAL: &str = "local development";
const STATIC: &str = "programs for the clouds, on other machines than Linux on x86-64";
const DEPLOY: &str = "deployment";
const AWS: &str = "aws";
const AZURE: &str = "azure";
const GCP: &str = "gcp";
const SUITE: &str = "isobar's own tests";

const TOOLS: &[Tool] = &[
    tool(LOCAL, "rustc", &["rustc", "--version"], RUSTUP, RUSTUP).required().from(RUST),
    tool(LOCAL, "cargo", &["cargo", "--version"], RUSTUP, RUSTUP).required().from(RUST),
    tool(LOCAL, "linker", &["cc", "--version"], "sudo apt install build-essential", "xcode-select --install")
        .required(),
    tool(LOCAL, "git", &["git", "--version"], "sudo apt install git", "xcode-select --install"),
    tool(STATIC, "zig", &["zig", "version"], "pip install ziglang", "brew install zig"),
    tool(
        STATIC,
        "cargo-zigbuild",
        &["cargo-zigbuild", "--version"],
        "cargo install --locked cargo-zigbuild",
        "cargo install --locked cargo-zigbuild",
    ),
    tool(
        DEPLOY,
        "terraform",
        &["terraform", "version"],
        "https://developer.hashicorp.com/terraform/install",
        "brew install hashicorp/tap/terraform",
    ),
    tool(DEPLOY, "tofu", &["tofu", "version"], "https://opentofu.org/docs/intro/install", "brew install opentofu"),
    tool(
        AWS,
        "aws",
        &["aws", "--version"],
        "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
        "brew install awscli",
    )
    .from("2"),
    tool(
        AZURE,
        "az",
        &["az", "version"],
        "curl -sL https://aka.ms/InstallAzureCLIDeb | sudo bash",
        "brew install azure-cli",
    ),
    tool(
        AZURE,
        "func",
        &["func", "--version"],
        "npm install -g azure-functions-core-tools@4",
        "brew install azure/functions/azure-functions-core-tools@4",
    )
    .from("4"),
    tool(
        GCP,
        "gcloud",
        &["gcloud", "--version"],
        "https://cloud.google.com/sdk/docs/install",
        "brew install --cask gcloud-cli",
    ),
    tool(SUITE, "python3", &["python3", "--version"], "sudo apt install python3 python3-venv", "brew install python"),
    tool(SUITE, "node", &["node", "--version"], "sudo apt install nodejs npm", "brew install node"),
    tool(SUITE, "go", &["go", "version"], "https://go.dev/doc/install", "brew install go"),
    tool(SUITE, "java", &["java", "-version"], "sudo apt install default-jre-headless", "brew install openjdk"),
];

/// The output of a command, of which some print the version on stderr; `None` if it cannot be started.
fn output_of(command: &[&str]) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    output.status.success().then(|| String::from_utf8_lossy(&text).into_owned())
}

/// The first number with a dot in a text.
fn version_in(text: &str) -> Option<&str> {
    let words = text.split(|character: char| !character.is_ascii_digit() && character != '.');
    words.map(|word| word.trim_matches('.')).find(|word| word.contains('.'))
}

fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

impl Tool {
    fn find(&self) -> Part {
        let (name, output) = (self.name.to_owned(), output_of(self.version));
        let install = if cfg!(target_os = "macos") { self.mac } else { self.linux };
        let (state, found) = match output.as_deref() {
            None => (State::Missing, "missing"),
            Some(text) => match version_in(text) {
                Some(version) if numbers(version) < numbers(self.oldest) => (State::Old, version),
                version => (State::Good, version.unwrap_or("installed")),
            },
        };
        let action = match state {
            State::Good => None,
            State::Old => Some(format!("{install}  ({} or newer)", self.oldest)),
            _ => Some(install.to_owned()),
        };
        Part { purpose: self.purpose, name, state, found: found.to_owned(), required: self.required, action }
    }
}

/// The target of rustc for a static binary.
fn musl() -> Part {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let installed = output_of(&["rustup", "target", "list", "--installed"]).unwrap_or_default();
    let is_installed = installed.lines().any(|line| line == target);
    let (state, found) = if is_installed { (State::Good, "installed") } else { (State::Missing, "missing") };
    let action = (!is_installed).then(|| format!("rustup target add {target}"));
    Part { purpose: STATIC, name: "musl target".to_owned(), state, found: found.to_owned(), required: false, action }
}

/// The emulators of Google Cloud, which are components of gcloud.
fn emulators() -> Vec<Part> {
    let listed = output_of(&["gcloud", "components", "list", "--only-local-state", "--format=value(id)"]);
    let listed = listed.unwrap_or_default();
    let part = |(name, id): (&str, &str)| {
        let is_installed = listed.lines().any(|line| line == id);
        let (state, found) = if is_installed { (State::Good, "installed") } else { (State::Missing, "missing") };
        let action = (!is_installed).then(|| format!("gcloud components install {id}"));
        Part { purpose: SUITE, name: name.to_owned(), state, found: found.to_owned(), required: false, action }
    };
    [("Firestore emulator", "cloud-firestore-emulator"), ("Pub/Sub emulator", "pubsub-emulator")].map(part).into()
}

/// All programs, by purpose. Some take a second to print their version, so all are started at the same time.
pub(super) fn all() -> Vec<Part> {
    let mut parts: Vec<Part> = std::thread::scope(|scope| {
        let tools: Vec<_> = TOOLS.iter().map(|tool| scope.spawn(|| vec![tool.find()])).collect();
        let others = [scope.spawn(|| vec![musl()]), scope.spawn(emulators)];
        tools.into_iter().chain(others).filter_map(|part| part.join().ok()).flatten().collect()
    });
    let place = |part: &Part| TOOLS.iter().position(|tool| tool.purpose == part.purpose);
    parts.sort_by_key(place);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_first_number_with_a_dot() {
        for (text, expected) in [
            ("rustc 1.95.0 (59807616e 2026-04-14)", Some("1.95.0")),
            ("aws-cli/1.45.11 Python/3.11.7", Some("1.45.11")),
            ("openjdk version \"17.0.15\"", Some("17.0.15")),
            ("go version go1.26.8 linux/amd64", Some("1.26.8")),
            ("v20.20.2\n", Some("20.20.2")),
            ("no version.", None),
        ] {
            assert_eq!(version_in(text), expected, "{text}");
        }
        assert!(numbers("1.9.3") < numbers("1.95") && numbers("2.0") >= numbers("2") && numbers("1") >= numbers(""));
    }
}
