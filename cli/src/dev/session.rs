//! The loop: a change, a build, and the swap of the child.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::local::EntryFile;

use super::build::build;
use super::child::{Child, Front};
use super::gate::Gate;
use super::watch::Watch;
use crate::failure::Failure;
use crate::output::Output;
use crate::project::{PackageArgs, Program, Project};

/// How long requests to an old child may continue, and then the child, which ends the rest within 1 s and closes its data.
const GRACE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// How many changed files are named.
const NAMED: usize = 3;

/// What helps where the program that ended needs no change.
const AGAIN: &str = "; a new start of isobar dev starts it too";

pub(super) struct Session<'a> {
    pub(super) args: &'a PackageArgs,
    pub(super) output: &'a Output,
    pub(super) project: Project,
    /// The data folder of the app.
    pub(super) data: PathBuf,
    pub(super) front: Front,
    pub(super) inspector: SocketAddr,
    pub(super) gate: Arc<Gate>,
    pub(super) watch: Watch,
    pub(super) child: Option<Child>,
    /// For tools, since the first child has made the data folder.
    pub(super) entry: Option<EntryFile>,
}

impl Session<'_> {
    /// Runs until it is dropped. Failures: files cannot be watched any more.
    pub(super) async fn run(&mut self) -> Result<(), Failure> {
        let (mut causes, mut since) = (BTreeSet::new(), Instant::now());
        loop {
            if self.child.is_none() {
                self.gate.close(Duration::ZERO).await;
            }
            self.reload(&causes, since).await?;
            causes = self.changes().await?;
            since = Instant::now();
            self.output.step("Changed", &self.names(&causes));
        }
    }

    /// Stops the child.
    pub(super) async fn stop(mut self) {
        self.gate.close(GRACE[0]).await;
        if let Some(child) = self.child.take() {
            child.stop(GRACE[1]).await;
        }
        self.output.step("Stopped", &self.project.package);
    }

    /// Waits for changes. A child that ends before that is reported.
    async fn changes(&mut self) -> Result<BTreeSet<PathBuf>, Failure> {
        loop {
            let Some(child) = &mut self.child else { return self.watch.changes().await };
            let reason = tokio::select! {
                changes = self.watch.changes() => return changes,
                reason = child.ended() => reason,
            };
            self.child = None;
            self.fail(&reason, AGAIN);
        }
    }

    async fn reload(&mut self, causes: &BTreeSet<PathBuf>, since: Instant) -> Result<(), Failure> {
        let is_first = causes.is_empty();
        self.output.step("Building", &self.project.package);
        if causes.iter().any(|path| path.ends_with("Cargo.toml"))
            && let Ok(project) = Project::find(self.args)
        {
            // A new dependency is watched before it builds.
            self.watch.follow(&project)?;
            self.project = project;
        }
        let built = build(&self.project, is_first).await;
        self.watch.settle();
        match built {
            Err(_) if self.child.is_some() => {
                self.output.step("Waiting", "for a change: the build failed, and the one before it serves");
            }
            Err(errors) => self.fail(&format!("`{}` does not build\n\n{errors}", self.project.package), ""),
            Ok(built)
                if built.is_fresh && self.child.is_some() && !causes.iter().any(|path| self.watch.is_setting(path)) =>
            {
                self.output.step("Unchanged", "the program is the same");
            }
            Ok(built) => self.swap(&built.program, since).await?,
        }
        Ok(())
    }

    async fn swap(&mut self, program: &Program, since: Instant) -> Result<(), Failure> {
        self.gate.close(GRACE[0]).await;
        // The data folder has one process.
        if let Some(old) = self.child.take() {
            old.stop(GRACE[1]).await;
        }
        match Child::start(program, &self.project.folder, &self.front).await {
            Ok((child, addresses)) => {
                self.gate.open(addresses);
                self.child = Some(child);
                self.output.step("Ready", &format!("{}/ in {}", self.front.url, seconds(since.elapsed())));
                self.present()?;
            }
            Err(reason) => self.fail(&reason, AGAIN),
        }
        self.watch.settle();
        Ok(())
    }

    /// Reports the dashboard, once.
    fn present(&mut self) -> Result<(), Failure> {
        if self.entry.is_some() {
            return Ok(());
        }
        self.entry = Some(EntryFile::write(&self.data, self.inspector, &self.front.token)?);
        let mut url = format!("http://{}/", self.inspector);
        if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            let _ = write!(url, "?token={}", self.front.token.secret());
        } else {
            // A log must not contain it.
            let _ = write!(url, " with the token in {}/inspector.json", self.data.display());
        }
        self.output.step("Dashboard", &url);
        self.output.step("Data", &format!("{} (it stays; Ctrl-C stops the app)", self.data.display()));
        Ok(())
    }

    /// Waits with this reason, of whose lines the terminal has all but the first, and this advice.
    fn fail(&self, reason: &str, advice: &str) {
        let first = reason.lines().next().unwrap_or_default();
        self.output.step("Waiting", &format!("for a change: {first}{advice}"));
        self.gate.fail(reason);
    }

    fn names(&self, paths: &BTreeSet<PathBuf>) -> String {
        let name = |path: &PathBuf| path.strip_prefix(&self.project.folder).unwrap_or(path).display().to_string();
        let names = paths.iter().take(NAMED).map(name).collect::<Vec<_>>().join(", ");
        match paths.len().saturating_sub(NAMED) {
            0 => names,
            more => format!("{names} and {more} more"),
        }
    }
}

fn seconds(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ 0..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", duration.as_secs_f32()),
    }
}
