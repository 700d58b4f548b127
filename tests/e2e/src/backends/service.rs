//! The app's own process, which listens on the port of the variable `PORT`, as a container of Cloud Run does.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use isobar::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::wait;
use crate::emulators;

/// Longest time from a start to the first connection.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A process that listens. It is killed when this is dropped.
#[derive(Debug)]
pub struct Service {
    executable: PathBuf,
    variables: Vec<(String, String)>,
    port: u16,
    child: Mutex<Child>,
}

impl Service {
    /// Starts it with these variables alone. Errors: `Unavailable` where it ends before it listens, `Timeout` where it
    /// does not listen in time.
    pub async fn start(executable: PathBuf, mut variables: Vec<(String, String)>) -> Result<Self> {
        let no_port = |error| Error::internal("no port is free").with_source(error);
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let port = free.map_err(no_port)?.port();
        variables.push(("PORT".to_owned(), port.to_string()));
        let child = spawn(&executable, &variables)?;
        let service = Self { executable, variables, port, child: Mutex::new(child) };
        service.listens().await?;
        Ok(service)
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it in the middle of its work, and starts another process.
    pub async fn kill(&self) -> Result<()> {
        let killed = self.child.lock().await.kill().await;
        killed.map_err(|error| Error::internal("the service cannot be killed").with_source(error))?;
        self.start_again().await
    }

    /// Starts another process after the first has ended.
    pub async fn start_again(&self) -> Result<()> {
        *self.child.lock().await = spawn(&self.executable, &self.variables)?;
        self.listens().await
    }

    /// Sends it SIGTERM, as Cloud Run does before it kills a container.
    pub async fn terminate(&self) -> Result<()> {
        let id = self.child.lock().await.id().unwrap_or_default();
        match Command::new("kill").args(["-TERM", &id.to_string()]).status().await {
            Ok(status) if status.success() => Ok(()),
            _ => Err(Error::internal("SIGTERM cannot be sent to the service")),
        }
    }

    /// Waits for its end.
    pub async fn ended(&self) -> Result<ExitStatus> {
        let mut child = self.child.lock().await;
        child.wait().await.map_err(|error| Error::internal("the service does not end").with_source(error))
    }

    async fn listens(&self) -> Result<()> {
        let name = self.executable.display();
        wait::until(&format!("{name} listens: see its log"), START_LIMIT, || self.is_connected()).await
    }

    async fn is_connected(&self) -> Result<bool> {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok() {
            return Ok(true);
        }
        match self.child.lock().await.try_wait() {
            Ok(None) => Ok(false),
            _ => {
                let name = self.executable.display();
                Err(Error::new(ErrorKind::Unavailable, format!("{name} has ended before it listened: see its log")))
            }
        }
    }
}

fn spawn(executable: &PathBuf, variables: &[(String, String)]) -> Result<Child> {
    let failed = |error| Error::internal("the service cannot be started").with_source(error);
    let name = executable.file_name().unwrap_or_default().to_string_lossy();
    let (_, log) = emulators::log(&name).map_err(failed)?;
    let output = log.try_clone().map_err(failed)?;
    let mut command = Command::new(executable);
    command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdout(output).stderr(log).kill_on_drop(true).spawn().map_err(failed)
}
