//! `isobar manifest`: what an app declares.

use std::process::ExitCode;

use crate::failure::Failure;
use crate::output::Output;
use crate::project::{PackageArgs, Project};

pub(crate) fn run(args: &PackageArgs, output: &Output) -> Result<ExitCode, Failure> {
    let project = Project::find(args)?;
    output.document(&project.build(output)?.manifest()?)?;
    Ok(ExitCode::SUCCESS)
}
