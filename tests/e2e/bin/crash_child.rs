//! Writes and consumes on the embedded provider until it is killed, and prints a line to stdout for each write when it is
//! acknowledged.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use isobar::BoxError;
use isobar::driver::Hosted;
use isobar::local::{LocalConfig, LocalProvider};
use isobar::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The number of concurrent writers.
const WRITERS: u64 = 4;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(folder), Some(Ok(first))) = (args.next(), args.next().map(|first| first.parse())) else {
        print("usage: crash-child FOLDER FIRST");
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(BoxError::from);
    match runtime.and_then(|runtime| runtime.block_on(work(&folder, first))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print(&format!("error {error:?}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line in one write: after a kill, a partial line has no line feed.
fn print(line: &str) {
    let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
}

async fn work(folder: &str, first: u64) -> Result<(), BoxError> {
    let mut config = LocalConfig::new(folder);
    (config.port, config.announce, config.grace) = (0, false, Duration::ZERO);
    let provider = LocalProvider::new(config);
    let cloud = Cloud::new(Arc::new(provider.clone()));
    let mut app = isobar_e2e::crash::app(&cloud);
    let manifest = Arc::new(app.start(&cloud)?);
    let server = provider.bind().await?;
    let hosted = Hosted::new(app, manifest);
    let address = server.address();
    let serving = tokio::spawn(server.run(hosted, std::future::pending()));
    wait_for_response(address).await?;
    print("ready");
    let writers = (0..WRITERS).map(|writer| write(cloud_of(&provider), first + writer));
    futures_util::future::try_join_all(writers).await?;
    serving.await??;
    Ok(())
}

/// The server responds after it has subscribed. A message that is published earlier has no subscription and is dropped.
async fn wait_for_response(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    stream.read_u8().await.map(drop)
}

fn cloud_of(provider: &LocalProvider) -> Cloud {
    Cloud::new(Arc::new(provider.clone()))
}

async fn write(cloud: Cloud, mut number: u64) -> Result<(), BoxError> {
    let items = cloud.table::<u64>("items");
    let topic = cloud.topic::<u64>("numbers");
    let bucket = cloud.bucket("files");
    loop {
        items.put(number.to_string(), &number).await?;
        print(&format!("item {number}"));
        items.add("total", 1).await?;
        print(&format!("added {number}"));
        topic.publish(number).await?;
        print(&format!("message {number}"));
        bucket.put(format!("n/{number}"), number.to_string().repeat(50)).await?;
        print(&format!("object {number}"));
        number += WRITERS;
    }
}
