//! Local key-value: reads, durable writes, group commit, and queries in small and large tables.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use isobar::Cloud;
use isobar::key_value::Table;
use isobar::local::{LocalConfig, LocalProvider};
use isobar_benches::{median, medians, rate, row};
use redb::{Database, ReadableDatabase, TableDefinition};
use tokio::runtime::Runtime;

const ITEMS: usize = 10_000;
const READS: usize = 100_000;
const RAW: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("raw");

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cloud = Cloud::new(Arc::new(LocalProvider::new(LocalConfig::new(folder.path().join("isobar")))));
    reads(&runtime, &cloud, &folder);
    writes(&runtime, &cloud, &folder);
    queries(&runtime, &cloud);
}

fn key(number: usize) -> String {
    format!("key-{number:08}")
}

fn reads(runtime: &Runtime, cloud: &Cloud, folder: &tempfile::TempDir) {
    let table = cloud.table::<Bytes>("reads");
    let value = Bytes::from(vec![7; 1024]);
    runtime.block_on(fill(&table, ITEMS, &value));
    let raw = Database::create(folder.path().join("raw.redb")).unwrap();
    let write = raw.begin_write().unwrap();
    {
        let mut table = write.open_table(RAW).unwrap();
        (0..ITEMS).for_each(|number| drop(table.insert(key(number).as_str(), value.as_ref()).unwrap()));
    }
    write.commit().unwrap();
    let keys: Vec<String> = (0..ITEMS).map(|number| key(number * 7_919 % ITEMS)).collect();
    let mut ours = || {
        rate(READS, || {
            runtime.block_on(async {
                for number in 0..READS {
                    assert_eq!(table.get(keys[number % ITEMS].as_str()).await.unwrap().unwrap().len(), 1024);
                }
            });
        })
    };
    let mut peer = || {
        rate(READS, || {
            for number in 0..READS {
                let read = raw.begin_read().unwrap();
                let table = read.open_table(RAW).unwrap();
                let value = table.get(keys[number % ITEMS].as_str()).unwrap().unwrap().value().to_vec();
                assert_eq!(value.len(), 1024);
            }
        })
    };
    let rates = medians(7, &mut [&mut ours, &mut peer]);
    row(
        "`get` of 1 KB, one core",
        &format!("{:.0}/s", rates[0]),
        &format!("{:.0}/s, redb alone", rates[1]),
        &format!("{:.2}", rates[0] / rates[1]),
        "≥ 300,000/s",
    );
}

async fn fill(table: &Table<Bytes>, items: usize, value: &Bytes) {
    for chunk in (0..items).collect::<Vec<_>>().chunks(1_000) {
        let puts = chunk.iter().map(|number| table.put(key(*number), value));
        futures_util::future::try_join_all(puts).await.unwrap();
    }
}

fn writes(runtime: &Runtime, cloud: &Cloud, folder: &tempfile::TempDir) {
    let table = cloud.table::<Bytes>("writes");
    let value = Bytes::from(vec![7; 1024]);
    let raw = Database::create(folder.path().join("raw-writes.redb")).unwrap();
    let one = |count: usize| {
        rate(count, || {
            runtime.block_on(async {
                for number in 0..count {
                    table.put(key(number), &value).await.unwrap();
                }
            });
        })
    };
    let many = |count: usize| {
        rate(count, || {
            runtime.block_on(async {
                let writers = (0..64).map(|writer| {
                    let (table, value) = (table.clone(), value.clone());
                    async move {
                        for number in 0..count / 64 {
                            table.put(key(writer * 1_000_000 + number), &value).await.unwrap();
                        }
                    }
                });
                futures_util::future::join_all(writers).await;
            });
        })
    };
    let mut peer = || {
        rate(500, || {
            for number in 0..500 {
                let write = raw.begin_write().unwrap();
                write.open_table(RAW).unwrap().insert(key(number).as_str(), value.as_ref()).unwrap();
                write.commit().unwrap();
            }
        })
    };
    let rates = medians(7, &mut [&mut || one(500), &mut || many(12_800), &mut peer]);
    row(
        "durable `put` of 1 KB, one writer",
        &format!("{:.0}/s", rates[0]),
        &format!("{:.0}/s, redb alone", rates[2]),
        &format!("{:.2}", rates[0] / rates[2]),
        "limited by fsync",
    );
    row(
        "durable `put` of 1 KB, 64 writers",
        &format!("{:.0}/s", rates[1]),
        &format!("{:.0}/s, one writer", rates[0]),
        &format!("{:.1}", rates[1] / rates[0]),
        "≥ 10",
    );
}

fn queries(runtime: &Runtime, cloud: &Cloud) {
    let value = Bytes::from_static(b"{\"a\": 1}");
    let mut times = Vec::new();
    for (name, partitions) in [("small", 10), ("large", 10_000)] {
        let table = cloud.table::<Bytes>(name);
        runtime.block_on(async {
            let puts = (0..partitions * 100)
                .map(|number| table.put((format!("p{:05}", number / 100), format!("s{:05}", number % 100)), &value));
            let mut puts: Vec<_> = puts.collect();
            while !puts.is_empty() {
                let rest = puts.split_off(puts.len().min(2_000));
                futures_util::future::try_join_all(std::mem::replace(&mut puts, rest)).await.unwrap();
            }
            times.push(query_time(&table, partitions).await);
        });
    }
    let (small, large) = (times[0], times[1]);
    row(
        "`query` of 20 items in a table of 1,000,000",
        &format!("{large:.1?}"),
        &format!("{small:.1?}, of 1,000"),
        &format!("{:.2}", large.as_secs_f64() / small.as_secs_f64()),
        "≤ 2",
    );
}

async fn query_time(table: &Table<Bytes>, partitions: usize) -> Duration {
    let mut times = Vec::new();
    for round in 0..2_000 {
        let partition = format!("p{:05}", round * 7_919 % partitions);
        let started = Instant::now();
        let page = table.query(partition).range("s00040"..).limit(20).page().await.unwrap();
        times.push(started.elapsed().as_secs_f64());
        assert_eq!(page.items.len(), 20);
    }
    Duration::from_secs_f64(median(times))
}
