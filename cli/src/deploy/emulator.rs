//! ministack, which emulates AWS on this machine: a place to try a deployment without an account.
//!
//! It is installed in the folder of cargo's output, serves all stages of a project, and forgets everything when it ends. The
//! variable [`ISOBAR_MINISTACK_URL`] names one that runs already, such as in a container.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config;
use crate::failure::Failure;
use crate::output::Output;
use crate::project::Project;

/// The variable with the address of an emulator that this command neither starts nor ends.
const ISOBAR_MINISTACK_URL: &str = "ISOBAR_MINISTACK_URL";

/// The emulator, and the command line of AWS that reads its logs.
const PACKAGES: [&str; 2] = ["ministack==1.5.33", "awscli==1.46.3"];

const START: Duration = Duration::from_secs(30);

/// The services that a stage uses, by their names in the plug-in of Terraform.
const SERVICES: [&str; 13] = [
    "apigatewayv2",
    "cloudcontrol",
    "cloudwatch",
    "cloudwatchlogs",
    "dynamodb",
    "iam",
    "lambda",
    "s3",
    "scheduler",
    "sns",
    "sqs",
    "ssm",
    "sts",
];

/// An emulator of a cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EmulatorName {
    /// AWS, without an account
    Ministack,
}

/// An emulator that runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Emulator {
    url: String,
    /// `None` for one that another program started.
    process: Option<u32>,
}

impl EmulatorName {
    pub(super) fn name(self) -> &'static str {
        "ministack"
    }

    /// The folder of everything that it has in a project.
    fn folder(self, project: &Project) -> PathBuf {
        project.target.join("isobar").join(self.name())
    }

    /// The folder of a stage.
    pub(super) fn stage(self, project: &Project, stage: &str) -> PathBuf {
        self.folder(project).join("stages").join(format!("{}-{stage}", project.package))
    }

    /// The program that calls it.
    pub(super) fn aws(self, project: &Project) -> Option<PathBuf> {
        let installed = self.folder(project).join("python/bin/aws");
        if installed.is_file() { Some(installed) } else { config::program("aws") }
    }

    /// That of the project, if it runs.
    pub(super) fn running(self, project: &Project) -> Option<Emulator> {
        let emulator = match isobar::config::environment().var(ISOBAR_MINISTACK_URL) {
            Some(url) => Emulator { url: url.trim_end_matches('/').to_owned(), process: None },
            None => serde_json::from_slice(&fs::read(self.folder(project).join("process.json")).ok()?).ok()?,
        };
        emulator.is_running().then_some(emulator)
    }

    /// That of the project, which this installs and starts if it does not run.
    pub(super) fn start(self, project: &Project, output: &Output) -> Result<Emulator, Failure> {
        if let Some(emulator) = self.running(project) {
            return Ok(emulator);
        }
        if let Some(url) = isobar::config::environment().var(ISOBAR_MINISTACK_URL) {
            return Err(Failure::new(format!("no emulator answers at {ISOBAR_MINISTACK_URL}={url}"))
                .hint("start it, or unset the variable: then isobar installs and starts one"));
        }
        let folder = self.folder(project);
        let failed = |error: &std::io::Error| {
            Failure::new(format!("{} cannot be started in {}", self.name(), folder.display())).because(error)
        };
        fs::create_dir_all(&folder).map_err(|error| failed(&error))?;
        // Another command may start it too.
        let lock = fs::File::create(folder.join("lock")).map_err(|error| failed(&error))?;
        lock.lock().map_err(|error| failed(&error))?;
        if let Some(emulator) = self.running(project) {
            return Ok(emulator);
        }
        // What an earlier process had is gone, so the state of its stages is wrong.
        let _ = fs::remove_dir_all(folder.join("stages"));
        install(&folder, output)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| failed(&error))?;
        let port = listener.local_addr().map_err(|error| failed(&error))?.port();
        drop(listener);
        let log = folder.join("log");
        let file = fs::File::create(&log).map_err(|error| failed(&error))?;
        let mut command = Command::new(folder.join("python/bin/ministack"));
        command.env("GATEWAY_PORT", port.to_string()).env("BIND_HOST", "127.0.0.1");
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"));
        command.current_dir(&folder).stdin(Stdio::null());
        command.stdout(file.try_clone().map_err(|error| failed(&error))?).stderr(file);
        // It stays after this command, and after Ctrl-C.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(|error| failed(&error))?;
        let emulator = Emulator { url: format!("http://127.0.0.1:{port}"), process: Some(child.id()) };
        let text = serde_json::to_vec(&emulator).unwrap_or_default();
        fs::write(folder.join("process.json"), text).map_err(|error| failed(&error))?;
        emulator.wait(&log)?;
        output.step("Started", &format!("{} on port {port}; `isobar destroy` ends it", self.name()));
        Ok(emulator)
    }

    /// Ends it, if no stage is left.
    pub(super) fn end(self, project: &Project, output: &Output) {
        let folder = self.folder(project);
        let is_empty = |stages: fs::ReadDir| stages.count() == 0;
        if !fs::read_dir(folder.join("stages")).map_or(true, is_empty) {
            return;
        }
        if let Some(process) = self.running(project).and_then(|emulator| emulator.process) {
            let _ = Command::new("kill").arg(process.to_string()).status();
            output.step("Ended", self.name());
        }
        let _ = fs::remove_file(folder.join("process.json"));
    }
}

fn install(folder: &Path, output: &Output) -> Result<(), Failure> {
    let (python, mark) = (folder.join("python"), folder.join("python/isobar-packages"));
    if fs::read_to_string(&mark).is_ok_and(|packages| packages == PACKAGES.join(" ")) {
        return Ok(());
    }
    output.step("Installing", &format!("{} in {}", PACKAGES.join(", "), python.display()));
    let found = ["python3", "python"].into_iter().find_map(config::program);
    let missing = || {
        Failure::new("the emulator needs Python 3.10 or newer, which is not installed")
            .hint("https://www.python.org/downloads")
    };
    let made = Command::new(found.ok_or_else(missing)?).args(["-m", "venv", "--clear"]).arg(&python).output();
    let pip = |made: std::process::Output| match made.status.success() {
        true => Command::new(python.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--no-input"])
            .args(PACKAGES)
            .output(),
        false => Ok(made),
    };
    let failed = || Failure::new("the emulator cannot be installed");
    let ran = made.and_then(pip).map_err(|error| failed().because(&error))?;
    if !ran.status.success() {
        let text = String::from_utf8_lossy(&ran.stderr);
        // pip lists all versions that there are.
        let reason: Vec<String> = text.lines().rev().take(3).map(|line| line.chars().take(200).collect()).collect();
        return Err(Failure::new(format!("the emulator cannot be installed\n{}", reason.join("\n")))
            .hint("check the network, and that Python has `venv` and `pip`"));
    }
    let _ = fs::write(mark, PACKAGES.join(" "));
    Ok(())
}

impl Emulator {
    fn is_open(&self) -> bool {
        let address = self.url.rsplit("://").next().unwrap_or_default();
        let addresses = address.to_socket_addrs().into_iter().flatten();
        addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())
    }

    /// Another program may have the number of the process, or the port.
    fn is_running(&self) -> bool {
        let is_ministack = |process: u32| {
            let command = Command::new("ps").args(["-o", "command=", "-p", &process.to_string()]).output();
            command.is_ok_and(|it| String::from_utf8_lossy(&it.stdout).contains("ministack"))
        };
        self.process.is_none_or(is_ministack) && self.is_open()
    }

    fn wait(&self, log: &Path) -> Result<(), Failure> {
        let started = Instant::now();
        while started.elapsed() < START {
            if self.is_open() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(Failure::new(format!("the emulator does not answer at {}", self.url))
            .hint(format!("its log is {}", log.display())))
    }

    /// The file that sends Terraform to it. Terraform merges it into `main.tf`.
    pub(super) fn overrides(&self) -> String {
        let width = SERVICES.iter().map(|service| service.len()).max().unwrap_or(0);
        let endpoints: Vec<_> =
            SERVICES.iter().map(|service| format!("    {service:width$} = \"{}\"\n", self.url)).collect();
        format!(
            "provider \"aws\" {{\n  access_key                  = \"test\"\n  secret_key                  = \"test\"\n  \
             skip_credentials_validation = true\n  skip_metadata_api_check     = true\n  s3_use_path_style           = \
             true\n\n  endpoints {{\n{}  }}\n}}\n",
            endpoints.concat()
        )
    }

    /// The values of a stage in it: the alarms that it stores are not those that it was given, and there is nothing to protect.
    pub(super) fn values(&self) -> String {
        let values = json!({
            "alarms": false,
            "environment": {"AWS_ENDPOINT_URL": self.url},
            "protect_data": false,
        });
        format!("{values:#}\n")
    }

    /// The variables of a program that calls it.
    pub(super) fn variables(&self, region: &str) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", region.to_owned()),
            ("AWS_DEFAULT_REGION", region.to_owned()),
        ]
    }
}
