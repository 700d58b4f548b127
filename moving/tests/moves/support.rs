//! Sides in memory and on the disk, and drivers that fail by a script.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::blob::{Blob, ListRequest, Listing, SignRequest, SignedUrl};
use isobar_abstraction::driver::key_value::{Item, Items, Key, KeyValue, Put, QueryRange, ScanSegment, Version, Write};
use isobar_abstraction::driver::{Location, Provider, ResourceKind};
use isobar_abstraction::memory::MemoryProvider;
use isobar_abstraction::{Cloud, Error, Result};
use isobar_local::{LocalConfig, LocalProvider};
use isobar_moving::{Report, Side};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, UploadPart,
};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::Notify;

/// A table `items` and a bucket `files`.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) clock: ManualClock,
    _folder: Option<Arc<TempDir>>,
}

impl Place {
    pub(crate) fn memory() -> Self {
        let provider = MemoryProvider::default();
        let clock = provider.manual_clock().clone();
        Self { provider: Arc::new(provider), clock, _folder: None }
    }

    pub(crate) fn local() -> Self {
        let (folder, clock) = (TempDir::new().unwrap(), ManualClock::default());
        let provider = LocalProvider::with_clock(LocalConfig::new(folder.path()), Arc::new(clock.clone()));
        Self { provider: Arc::new(provider), clock, _folder: Some(Arc::new(folder)) }
    }

    pub(crate) fn table(&self) -> Arc<dyn KeyValue> {
        self.provider.key_value(&Location::new(ResourceKind::Table, "items")).unwrap()
    }

    pub(crate) fn bucket(&self) -> Arc<dyn Blob> {
        self.provider.blob(&Location::new(ResourceKind::Bucket, "files")).unwrap()
    }

    pub(crate) fn files(&self) -> isobar_abstraction::blob::Bucket {
        Cloud::new(Arc::clone(&self.provider)).bucket("files")
    }

    pub(crate) fn side(&self, name: &str) -> Side {
        Side::new(name).with_table("items", self.table(), self.provider.profile()).with_bucket(
            "files",
            self.bucket(),
            self.provider.profile(),
        )
    }

    /// The side behind drivers that fail.
    pub(crate) fn faulty(&self, name: &str, faults: &Arc<Faults>) -> Side {
        let table = Faulty { inner: self.table(), faults: Arc::clone(faults) };
        let bucket = Faulty { inner: self.bucket(), faults: Arc::clone(faults) };
        let profile = self.provider.profile();
        Side::new(name).with_table("items", Arc::new(table), profile).with_bucket("files", Arc::new(bucket), profile)
    }

    /// Writes items and objects with these numbers.
    pub(crate) async fn fill(&self, items: std::ops::Range<u32>, objects: std::ops::Range<u32>) {
        let put = |n: u32| Put::new((format!("p{}", n % 17), format!("{n:05}")), format!("value {n}"));
        for done in self.table().put_many(items.map(put).collect()).await {
            done.unwrap();
        }
        for n in objects {
            self.files().put(format!("o/{n:05}"), format!("content {n}")).await.unwrap();
        }
    }

    /// All that is stored.
    pub(crate) async fn content(&self) -> Content {
        let mut content = Content::default();
        let mut segment = Some(ScanSegment::new(0, 1, 1_000));
        while let Some(request) = segment {
            let Items { items, resume, .. } = self.table().scan(&request).await.unwrap();
            for item in items {
                let key = (item.key.partition, item.key.sort);
                assert!(
                    content.items.insert(key, (item.value, item.expires_at)).is_none(),
                    "a scan returns a key twice"
                );
            }
            segment = resume.map(|after| request.with_after(after));
        }
        let store = self.bucket().object_store();
        for object in store.list(None).try_collect::<Vec<_>>().await.unwrap() {
            let bytes = store.get_opts(&object.location, GetOptions::default()).await.unwrap().bytes().await.unwrap();
            content.objects.insert(object.location.to_string(), bytes);
        }
        content
    }
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) items: BTreeMap<(String, String), (Bytes, Option<SystemTime>)>,
    pub(crate) objects: BTreeMap<String, Bytes>,
}

impl Content {
    /// Takes out what the target had by itself.
    pub(crate) fn split(mut self, mark: &str) -> (Self, Self) {
        let items = self.items.extract_if(.., |key, _| key.0.starts_with(mark)).collect();
        let objects = self.objects.extract_if(.., |name, _| name.starts_with(mark)).collect();
        (Self { items, objects }, self)
    }

    /// The first differences, for the message of a failed test.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for key in self.items.keys().chain(other.items.keys()) {
            if self.items.get(key) != other.items.get(key) {
                found.push(format!("{key:?}: {:?} and {:?}", self.items.get(key), other.items.get(key)));
            }
        }
        for name in self.objects.keys().chain(other.objects.keys()) {
            if self.objects.get(name) != other.objects.get(name) {
                let size = |it: &Self| it.objects.get(name).map(Bytes::len);
                found.push(format!("{name}: {:?} and {:?} bytes", size(self), size(other)));
            }
        }
        found.truncate(12);
        found
    }
}

pub(crate) fn written(reports: &[Report]) -> u64 {
    reports.iter().filter_map(|report| report.moved).map(|moved| moved.written).sum()
}

pub(crate) fn is_equal(reports: &[Report]) -> bool {
    reports.iter().all(Report::is_equal)
}

/// Numbers that look random, always the same for a seed.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }
}

/// What happens to one call.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing is done.
    Before(Error),
    /// It is done, and its response is an error.
    After(Error),
    /// It is done, and no response arrives.
    Silent,
    /// The content breaks off in the middle.
    Cut,
}

/// One call of a driver.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) operation: &'static str,
    pub(crate) key: &'a str,
    /// Its number among all calls, from 0.
    pub(crate) number: u64,
}

impl Call<'_> {
    pub(crate) fn is_write(&self) -> bool {
        ["put", "delete", "part", "complete"].contains(&self.operation)
    }
}

type Script = Box<dyn Fn(&Call<'_>) -> Option<Fault> + Send + Sync>;

/// The script of the faults, and what was observed.
pub(crate) struct Faults {
    script: Script,
    latency: Duration,
    calls: AtomicU64,
    /// The writes that were applied, by key.
    pub(crate) applied: Mutex<BTreeMap<String, u32>>,
    /// A call was not answered.
    pub(crate) silent: Notify,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

impl Faults {
    pub(crate) fn new(
        latency: Duration,
        script: impl Fn(&Call<'_>) -> Option<Fault> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            script: Box::new(script),
            latency,
            calls: AtomicU64::new(0),
            applied: Mutex::default(),
            silent: Notify::new(),
        })
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    async fn run<T>(&self, operation: &'static str, key: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let call_of = Call { operation, key, number };
        let fault = (self.script)(&call_of);
        if let Some(Fault::Before(error)) = fault {
            return Err(error);
        }
        let done = call.await?;
        if call_of.is_write() {
            *self.applied.lock().entry(key.to_owned()).or_default() += 1;
        }
        match fault {
            Some(Fault::After(error)) => Err(error),
            Some(Fault::Silent) => {
                self.silent.notify_one();
                std::future::pending().await
            }
            _ => Ok(done),
        }
    }
}

/// A driver behind a script of faults. Its `put_many` is that of the trait, so that each put can fail alone.
#[derive(Debug)]
struct Faulty<T: ?Sized> {
    faults: Arc<Faults>,
    inner: Arc<T>,
}

fn text(key: &Key) -> String {
    format!("{}/{}", key.partition, key.sort)
}

#[async_trait]
impl KeyValue for Faulty<dyn KeyValue> {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        self.faults.run("get", &text(key), self.inner.get(key)).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        self.faults.run("get_many", "", self.inner.get_many(keys)).await
    }

    async fn put(&self, put: Put) -> Result<Version> {
        let key = text(&put.key);
        self.faults.run("put", &key, self.inner.put(put)).await
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.faults.run("delete", &text(key), self.inner.delete(key, version)).await
    }

    async fn query(&self, range: &QueryRange) -> Result<Items> {
        self.inner.query(range).await
    }

    async fn scan(&self, segment: &ScanSegment) -> Result<Items> {
        self.faults.run("scan", "", self.inner.scan(segment)).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        self.inner.transact(writes).await
    }

    async fn add(&self, key: &Key, delta: i64) -> Result<i64> {
        self.inner.add(key, delta).await
    }
}

#[async_trait]
impl Blob for Faulty<dyn Blob> {
    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(FaultyStore { faults: Arc::clone(&self.faults), inner: self.inner.object_store() })
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.faults.run("list", "", self.inner.list(request)).await
    }

    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl> {
        self.inner.sign(request).await
    }
}

#[derive(Debug)]
struct FaultyStore {
    faults: Arc<Faults>,
    inner: Arc<dyn ObjectStore>,
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

async fn ours<T>(call: impl Future<Output = object_store::Result<T>>) -> Result<T> {
    call.await.map_err(Error::from)
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        Ok(self.faults.run("put", at.as_ref(), ours(self.inner.put_opts(at, payload, options))).await?)
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        let inner = self.faults.run("begin", at.as_ref(), ours(self.inner.put_multipart_opts(at, options))).await?;
        Ok(Box::new(FaultyUpload { faults: Arc::clone(&self.faults), inner, name: at.to_string() }))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let is_content = !options.head;
        let mut found = self.faults.run("open", at.as_ref(), ours(self.inner.get_opts(at, options))).await?;
        if !is_content {
            return Ok(found);
        }
        let number = self.faults.calls.fetch_add(1, Ordering::Relaxed);
        let call = Call { operation: "read", key: at.as_ref(), number };
        if let Some(Fault::Cut) = (self.faults.script)(&call) {
            let size = usize::try_from(found.meta.size / 2).unwrap();
            let (range, meta, attributes) = (found.range.clone(), found.meta.clone(), found.attributes.clone());
            let half = found.bytes().await?.slice(..size);
            let error = Error::unavailable("the connection was closed");
            let payload = GetResultPayload::Stream(stream::iter([Ok(half), Err(error.into())]).boxed());
            found = GetResult { payload, meta, range, attributes, extensions: Default::default() };
        }
        Ok(found)
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let (faults, inner) = (Arc::clone(&self.faults), Arc::clone(&self.inner));
        paths
            .and_then(move |path| {
                let (faults, inner) = (Arc::clone(&faults), Arc::clone(&inner));
                async move {
                    let one = stream::iter([Ok(path.clone())]).boxed();
                    let delete = ours(inner.delete_stream(one).try_collect::<Vec<_>>());
                    faults.run("delete", path.as_ref(), delete).await?;
                    Ok(path)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct FaultyUpload {
    faults: Arc<Faults>,
    inner: Box<dyn MultipartUpload>,
    name: String,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (faults, name, part) = (Arc::clone(&self.faults), self.name.clone(), self.inner.put_part(data));
        Box::pin(async move { Ok(faults.run("part", &name, ours(part)).await?) })
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        Ok(self.faults.run("complete", &self.name, ours(self.inner.complete())).await?)
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.inner.abort().await
    }
}
