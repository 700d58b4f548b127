//! The local queue: messages published durably in batches and consumed, and the memory of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use isobar::driver::Hosted;
use isobar::local::{LocalConfig, LocalProvider};
use isobar::prelude::*;
use isobar_benches::{resident_mb, row};

const BATCH: usize = 100;

#[tokio::main]
async fn main() {
    let messages: usize = std::env::args().nth(1).map_or(1_000_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut config = LocalConfig::new(folder.path());
    (config.port, config.announce) = (0, false);
    let provider = LocalProvider::new(config);
    let cloud = Cloud::new(Arc::new(provider.clone()));
    let topic = cloud.topic::<usize>("numbers");
    let handled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&handled);
    let mut app = App::new("bench").on_message(&topic, move |_: Message<usize>, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        async {}
    });
    let manifest = Arc::new(app.start(&cloud).unwrap());
    let server = provider.bind().await.unwrap();
    tokio::spawn(server.run(Hosted::new(app, manifest), std::future::pending()));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    let mut memory = Vec::new();
    for batch in 0..messages / BATCH {
        // A publisher that waits for its consumer: what is measured is both of them together.
        while batch * BATCH > handled.load(Ordering::Relaxed) + 20_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let results = topic.publish_batch(batch * BATCH..(batch + 1) * BATCH).await;
        assert!(results.iter().all(Result::is_ok));
        if batch % (messages / BATCH / 10).max(1) == 0 {
            memory.push(resident_mb());
        }
    }
    while handled.load(Ordering::Relaxed) < messages {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = started.elapsed();
    memory.push(resident_mb());
    let file = std::fs::metadata(folder.path().join("isobar.redb")).map_or(0, |file| file.len());
    let rate = messages as f64 / took.as_secs_f64();
    row("queue, published in batches of 100 and consumed", &format!("{rate:.0}/s"), "", "", "≥ 5,000/s");
    let memory: Vec<_> = memory.iter().map(|mb| format!("{mb:.0}")).collect();
    row(&format!("memory in MB over {messages} messages"), &memory.join(" "), "", "", "flat");
    println!("the file has {} MB at the end", file / 1_048_576);
}
