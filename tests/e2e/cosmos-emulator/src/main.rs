//! Cosmos DB for isobar's tests.
//!
//! **Microsoft's** is the emulator, a part of Azure's own driver for Rust (`azure_data_cosmos_driver`, feature
//! `__internal_in_memory_emulator`): databases, containers, items, ETags, queries, batches, patches, session
//! tokens, regions, throttling. It has no socket and checks no signature.
//!
//! **isobar's** is the server before it, which follows the REST documentation where the emulator does not:
//! - it listens on the loopback, by HTTP/1.1 and by HTTP/2 with prior knowledge (`server`);
//! - it checks the signature of every request by the account's key, and answers 401 (`signature`);
//! - it accepts a slash at the end of a path, which Azure's library for Python sends (`server`);
//! - it checks the `condition` of a patch, which the emulator ignores (`condition`);
//! - with `--lag` another region than that of the writes answers reads (`server`).
//!
//! ```text
//! cosmos-emulator --key BASE64 [--throttle] [--lag MILLISECONDS]
//! ```
//!
//! `--throttle` lets containers of a fixed throughput answer 429. `--lag` adds a second region that answers all reads, and
//! receives each write after this delay. Prints `ready URL`, and ends when its standard input closes.

mod condition;
mod server;
mod signature;

use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use azure_data_cosmos_driver::in_memory_emulator::{
    InMemoryEmulatorHttpClient, ReplicationConfig, VirtualAccountConfig, VirtualRegion,
};
use tokio::net::TcpListener;
use url::Url;

use server::Server;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The options of the command line.
#[derive(Debug, Default)]
struct Settings {
    key: String,
    throttle: bool,
    lag: Option<Duration>,
}

impl Settings {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut settings = Self::default();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} has no value"));
            match argument.as_str() {
                "--key" => settings.key = value()?,
                "--throttle" => settings.throttle = true,
                "--lag" => settings.lag = Some(Duration::from_millis(value()?.parse()?)),
                _ => return Err(format!("unknown argument {argument}").into()),
            }
        }
        if settings.key.is_empty() { Err("--key is missing".into()) } else { Ok(settings) }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    std::thread::spawn(end_with_the_test);
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("cosmos-emulator: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The test process holds standard input open; it closes when that process ends, for whatever reason.
fn end_with_the_test() {
    let mut input = std::io::stdin().lock();
    while input.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
    std::process::exit(0);
}

async fn run() -> Result<(), Failure> {
    let settings = Settings::read(std::env::args().skip(1))?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url: Url = format!("http://{}/", listener.local_addr()?).parse()?;
    // The emulator recognises a region by the host and port of a request. No server listens at this one.
    let late: Url = "http://late.invalid/".parse()?;
    let mut regions = vec![VirtualRegion::new("East US", url.clone())];
    if settings.lag.is_some() {
        regions.push(VirtualRegion::new("West US", late.clone()));
    }
    let mut account = VirtualAccountConfig::new(regions)?.with_throttling_enabled(settings.throttle);
    if let Some(lag) = settings.lag {
        account = account.with_replication_config(ReplicationConfig::fixed(lag));
    }
    let emulator = Arc::new(InMemoryEmulatorHttpClient::try_new(account)?);
    println!("ready {url}");
    let reads = if settings.lag.is_some() { &late } else { &url };
    let lag = settings.lag.unwrap_or_default();
    Server::new(emulator, &url, reads, lag, &settings.key).run(listener).await?;
    Ok(())
}
