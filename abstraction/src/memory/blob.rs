//! Blobs in memory: one ordered map of objects.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, Range};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{Attributes, ObjectMeta, ObjectStore, PutMode, PutPayload, PutResult};
use parking_lot::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Queues;
use crate::blob::flat::{FlatObjects, FlatStore, check_mode, page_of, page_start};
use crate::blob::{Blob, ListRequest, Listing, SignRequest, SignedAccess, SignedUrl};
use crate::clock::{Clock, ManualClock, later, to_utc};
use crate::{Error, ObjectChange, ObjectEvent, Origin, Result};

/// Blobs in memory.
#[derive(Debug)]
pub(crate) struct MemoryBlob {
    objects: Arc<MemoryObjects>,
    signed: Arc<Signed>,
}

/// The signed URLs, which [`TestClient`](crate::TestClient) serves.
#[derive(Debug, Default)]
pub(crate) struct Signed(Mutex<HashMap<String, SignedObject>>);

#[derive(Debug, Clone)]
pub(crate) struct SignedObject {
    path: String,
    pub(crate) bucket: String,
    pub(crate) stored: String,
    pub(crate) access: SignedAccess,
    pub(crate) expires_at: SystemTime,
}

impl Signed {
    pub(crate) const HOST: &str = "memory.isobar.invalid";

    /// The object of the signed URL with this path and query.
    pub(crate) fn find(&self, path: &str, query: &str) -> Option<SignedObject> {
        let found = self.0.lock().get(query.strip_prefix("token=")?).cloned();
        found.filter(|object| object.path == path)
    }
}

impl MemoryBlob {
    pub(crate) fn new(name: &str, clock: ManualClock, queues: Arc<Queues>, signed: Arc<Signed>) -> Self {
        let objects = MemoryObjects { name: name.to_owned(), clock, queues, state: Mutex::default() };
        Self { objects: Arc::new(objects), signed }
    }
}

#[async_trait]
impl Blob for MemoryBlob {
    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(FlatStore::new(Arc::clone(&self.objects)))
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.objects.list(request).await
    }

    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl> {
        let token = format!("{:032x}", fastrand::u128(..));
        let bucket = self.objects.name.clone();
        let path = format!("/{bucket}/{}", utf8_percent_encode(&request.stored, NON_ALPHANUMERIC));
        let url = format!("http://{}{path}?token={token}", Signed::HOST);
        let expires_at = later(self.objects.clock.now(), request.expires_in);
        let SignRequest { stored, access, .. } = request.clone();
        self.signed.0.lock().insert(token, SignedObject { path, bucket, stored, access, expires_at });
        Ok(SignedUrl::new(url))
    }
}

#[derive(Debug)]
struct MemoryObjects {
    name: String,
    clock: ManualClock,
    queues: Arc<Queues>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    map: BTreeMap<String, Stored>,
    writes: u64,
}

#[derive(Debug, Clone)]
struct Stored {
    content: Bytes,
    attributes: Attributes,
    e_tag: String,
    modified: SystemTime,
}

impl Stored {
    fn meta(&self, name: &str) -> Result<ObjectMeta> {
        Ok(ObjectMeta {
            location: Path::parse(name).map_err(object_store::Error::from)?,
            last_modified: to_utc(self.modified),
            size: self.content.len() as u64,
            e_tag: Some(self.e_tag.clone()),
            version: None,
        })
    }
}

impl MemoryObjects {
    fn find(&self, name: &str) -> Result<Stored> {
        let found = self.state.lock().map.get(name).cloned();
        found.ok_or_else(|| Error::not_found("no such object").with_origin(Origin::Data))
    }

    fn send_event(&self, name: &str, change: ObjectChange) {
        let now = self.clock.now();
        let event = ObjectEvent::new(self.name.as_str(), name, change, now);
        self.queues.push_object_event(&event, now);
    }
}

#[async_trait]
impl FlatObjects for MemoryObjects {
    type Staged = BytesMut;
    type Content = Bytes;

    async fn stage(&self) -> Result<BytesMut> {
        Ok(BytesMut::new())
    }

    async fn append(&self, staged: &mut BytesMut, part: PutPayload) -> Result<()> {
        part.iter().for_each(|piece| staged.extend_from_slice(piece));
        Ok(())
    }

    async fn commit(&self, name: &str, staged: BytesMut, attributes: Attributes, mode: PutMode) -> Result<PutResult> {
        let (content, modified) = (staged.freeze(), self.clock.now());
        let size = content.len() as u64;
        let mut state = self.state.lock();
        check_mode(&mode, state.map.get(name).map(|stored| stored.e_tag.as_str()))?;
        state.writes += 1;
        let e_tag = format!("\"{}\"", state.writes);
        state.map.insert(name.to_owned(), Stored { content, attributes, e_tag: e_tag.clone(), modified });
        drop(state);
        self.send_event(name, ObjectChange::Created { size });
        Ok(PutResult { e_tag: Some(e_tag), version: None, extensions: Default::default() })
    }

    async fn open(&self, name: &str) -> Result<(ObjectMeta, Attributes, Bytes)> {
        let stored = self.find(name)?;
        Ok((stored.meta(name)?, stored.attributes, stored.content))
    }

    async fn head(&self, name: &str) -> Result<(ObjectMeta, Attributes)> {
        let stored = self.find(name)?;
        Ok((stored.meta(name)?, stored.attributes))
    }

    fn read(&self, content: Bytes, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let part = content.slice(range.start as usize..range.end as usize);
        stream::once(async move { Ok(part) }).boxed()
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let removed = self.state.lock().map.remove(name);
        if removed.is_some() {
            self.send_event(name, ObjectChange::Deleted);
        }
        Ok(())
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        let state = self.state.lock();
        let names = state.map.range::<str, _>((page_start(request), Bound::Unbounded));
        page_of(request, names.map(|(name, stored)| Ok((name.clone(), stored))), |name, stored| stored.meta(name))
    }
}
