//! The program of the app for a cloud.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use isobar::manifest::Manifest;
use object::Endianness;
use object::elf::{EM_AARCH64, EM_X86_64, PT_INTERP};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};

use super::{BuildArgs, CloudTarget};
use crate::config;
use crate::failure::Failure;
use crate::output::Output;
use crate::project::{Program, Project};

/// The newest C library of Amazon Linux 2023, which is older than those of the other clouds.
const GLIBC: (u32, u32) = (2, 34);

const BINARY: &str = "--binary is the program of the app, built for Linux with the feature of the cloud";

const STATIC: &str = "target-feature=+crt-static";

/// A program that was checked.
pub(super) struct Binary {
    pub(super) content: Vec<u8>,
    pub(super) manifest: Manifest,
}

pub(super) fn build(
    project: &Project,
    target: CloudTarget,
    args: &BuildArgs,
    output: &Output,
) -> Result<Binary, Failure> {
    let architecture = if args.arm64 { "aarch64" } else { "x86_64" };
    let is_native = cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) && !args.arm64;
    let is_static = is_native && !args.dynamic;
    let program = match &args.binary {
        Some(path) => Program(path.clone()),
        None => project.run_build(command(project, target, args, [is_native, is_static], output)?)?,
    };
    let content = fs::read(&program.0).map_err(|error| {
        Failure::new(format!("{} cannot be read", program.0.display())).because(&error).hint(BINARY)
    })?;
    check(&program.0, &content, architecture, is_static)?;
    // The program of another machine does not run here.
    let manifest = match is_native {
        true => program.manifest()?,
        false => project.build(output)?.manifest()?,
    };
    Ok(Binary { content, manifest })
}

/// The command that builds the program.
fn command(
    project: &Project,
    target: CloudTarget,
    args: &BuildArgs,
    [is_native, is_static]: [bool; 2],
    output: &Output,
) -> Result<Command, Failure> {
    let architecture = if args.arm64 { "aarch64" } else { "x86_64" };
    if is_static {
        check_libc()?;
    }
    if !is_native {
        check_zigbuild(architecture)?;
    }
    let triple = format!("{architecture}-unknown-linux-gnu");
    let mut command = project.cargo(if is_native { "build" } else { "zigbuild" });
    command.args(["--message-format", "json-render-diagnostics", "--package", &project.package]);
    command.args(["--config", &format!("profile.{}.strip = \"symbols\"", args.profile)]);
    command.args(["--profile", &args.profile, "--no-default-features", "--features", target.name()]);
    if is_static {
        let hosts = format!("link-arg={}", hosts(project)?.display());
        let own = ["-C", STATIC, "-C", &hosts];
        // Flags in the environment replace those of the configuration. In this form they can have spaces.
        match config::rust_flags() {
            Some(flags) => {
                let flags: Vec<_> = flags.split_whitespace().chain(own).collect();
                command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
            }
            None => command.args(["--config", &format!("target.{triple}.rustflags = {own:?}")]),
        };
    }
    // With a target, programs that run during the build have flags of their own.
    command.args(["--target", &if is_native { triple } else { format!("{triple}.{}.{}", GLIBC.0, GLIBC.1) }]);
    output.step("Building", &format!("{} for {}, {}", project.package, target.name(), args.profile));
    Ok(command)
}

/// A static program needs the C library as an archive.
fn check_libc() -> Result<(), Failure> {
    let found = Command::new("cc").arg("-print-file-name=libc.a").stdin(Stdio::null()).output();
    let Ok(found) = found else { return Ok(()) };
    match Path::new(String::from_utf8_lossy(&found.stdout).trim()).is_absolute() {
        true => Ok(()),
        false => Err(Failure::new("the C library libc.a, which a static program needs, is not installed").hint(
            "install it: `apt install libc6-dev`, `dnf install glibc-static`; or use --dynamic, on a machine with a C library of at most 2.34",
        )),
    }
}

/// An object file that lets a static program load no module for names of hosts: one of another C library would end it.
fn hosts(project: &Project) -> Result<PathBuf, Failure> {
    let folder = project.target.join("isobar");
    let (source, object) = (folder.join("hosts.c"), folder.join("hosts.o"));
    let failed = || Failure::new(format!("{} cannot be made", object.display()));
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&source, include_str!("hosts.c")));
    written.map_err(|error| failed().because(&error))?;
    let compiled = Command::new("cc").args(["-c", "-O2", "-o"]).arg(&object).arg(&source).stdin(Stdio::null()).output();
    let compiled = compiled
        .map_err(|error| failed().because(&error).hint("install a compiler of C: `apt install gcc libc6-dev`"))?;
    match compiled.status.success() {
        true => Ok(object),
        false => Err(failed().hint(String::from_utf8_lossy(&compiled.stderr).trim())),
    }
}

fn check_zigbuild(architecture: &str) -> Result<(), Failure> {
    let found = Command::new("cargo-zigbuild").arg("--version").stdin(Stdio::null()).output();
    match found.is_ok_and(|found| found.status.success()) {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "a program for Linux on {architecture} is built by cargo-zigbuild, which is not installed"
        ))
        .hint(format!("pip install ziglang cargo-zigbuild && rustup target add {architecture}-unknown-linux-gnu"))),
    }
}

/// Checks the machine, and what the program needs there.
fn check(path: &Path, content: &[u8], architecture: &str, is_static: bool) -> Result<(), Failure> {
    let name = path.display();
    let file = ElfFile64::<Endianness>::parse(content)
        .map_err(|error| Failure::new(format!("{name} is no program for Linux")).because(&error).hint(BINARY))?;
    let (endian, header) = (file.endian(), file.elf_header());
    let machine = header.e_machine(endian);
    let expected = if architecture == "aarch64" { EM_AARCH64 } else { EM_X86_64 };
    if machine != expected {
        let machine = match machine {
            EM_AARCH64 => "aarch64".to_owned(),
            EM_X86_64 => "x86_64".to_owned(),
            other => format!("the machine {other} of ELF"),
        };
        let option = if architecture == "aarch64" { "without --arm64" } else { "with --arm64" };
        return Err(Failure::new(format!("{name} is for {machine}, not for {architecture}"))
            .hint(format!("build it for {architecture}-unknown-linux-gnu, or package {option}")));
    }
    let has_loader = file.elf_program_headers().iter().any(|part| part.p_type(endian) == PT_INTERP);
    if is_static {
        return match has_loader {
            false => Ok(()),
            true => Err(Failure::new(format!("{name} is not static: it needs the libraries of the platform")).hint(
                "remove the flags that link dynamically from RUSTFLAGS and .cargo/config.toml, or use --dynamic",
            )),
        };
    }
    match newest_glibc(&file).filter(|version| *version > GLIBC) {
        None => Ok(()),
        Some((major, minor)) => {
            Err(Failure::new(format!("{name} needs the C library {major}.{minor}; Lambda has {}.{}", GLIBC.0, GLIBC.1))
                .hint("build without --dynamic"))
        }
    }
}

/// The newest version of glibc whose symbols a program needs.
fn newest_glibc(file: &ElfFile64<'_, Endianness>) -> Option<(u32, u32)> {
    let (endian, data) = (file.endian(), file.data());
    let sections = file.elf_header().sections(endian, data).ok()?;
    let versions = sections.versions(endian, data).ok()??;
    (0..=u16::MAX)
        .map_while(|index| versions.version(object::elf::VersionIndex(index)).ok())
        .flatten()
        .filter_map(glibc)
        .max()
}

fn glibc(version: &object::read::elf::Version<'_>) -> Option<(u32, u32)> {
    let text = std::str::from_utf8(version.name()).ok()?.strip_prefix("GLIBC_")?;
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
