//! Measures how fast a table moves between two local folders: `rate ITEMS BYTES [SOURCE] [TARGET]`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use isobar_abstraction::driver::key_value::Put;
use isobar_abstraction::driver::{Location, Provider, ResourceKind};
use isobar_local::{LocalConfig, LocalProvider};
use isobar_moving::{Journal, Options, Side, migrate};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (items, bytes): (usize, usize) = (args[0].parse().unwrap(), args[1].parse().unwrap());
    let folder = std::path::PathBuf::from(&args[2]);
    let open = |name: &str| {
        let mut config = LocalConfig::new(folder.join(name));
        config.cache_bytes = 4 << 20;
        LocalProvider::new(config)
    };
    let (from, to) = (open("from"), open("to"));
    let table = from.key_value(&Location::new(ResourceKind::Table, "items")).unwrap();
    if !folder.join("from/isobar.redb").exists() {
        let began = Instant::now();
        for start in (0..items).step_by(5_000) {
            let puts = (start..(start + 5_000).min(items)).map(|n| {
                let mut value = vec![b'x'; bytes];
                value[..8].copy_from_slice(&(n as u64).to_le_bytes());
                Put::new((format!("partition-{}", n % 1_000), format!("{n:010}")), value)
            });
            for done in table.put_many(puts.collect()).await {
                done.unwrap();
            }
        }
        println!("filled: {:.0} items/s", items as f64 / began.elapsed().as_secs_f64());
    }
    let resources = [(ResourceKind::Table, "items")];
    let (from, to) =
        (Side::new("from").with(&from, &resources).unwrap(), Side::new("to").with(&to, &resources).unwrap());
    for run in ["first", "second"] {
        let journal = Journal::open(&folder.join("journal"), "from", "to").unwrap();
        let began = Instant::now();
        let reports = migrate(&from, &to, &journal, &Options::default(), &()).await.unwrap();
        let seconds = began.elapsed().as_secs_f64();
        println!("{run}: {seconds:.2} s, {:.0} items/s, {reports:?}", items as f64 / seconds);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
}
