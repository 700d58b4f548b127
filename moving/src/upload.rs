//! Writing one object: whole if it is small, in parts otherwise. Its content is hashed on the way.

use std::future::Future;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{FuturesUnordered, StreamExt, TryStreamExt};
use isobar_abstraction::{Error, Result};
use object_store::{
    Attributes, GetResult, MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use sha2::{Digest, Sha256};

use crate::digest::hex;

use crate::stop::Ending;

/// The bytes of a part: the fewest that S3 accepts. Larger objects have larger parts, because services have a limit of parts.
const PART: u64 = 5 << 20;

/// The most parts of an object: S3 has a limit of 10,000.
const PARTS: u64 = 9_000;

/// The parts of one object that are sent in parallel: more objects at a time are faster than more parts of one.
const PARALLEL: usize = 1;

/// A unit of memory.
pub(crate) const UNIT: u64 = 64 << 10;

/// The units of all contents in memory.
pub(crate) const MEMORY: usize = (32 << 20) / UNIT as usize;

/// The units of memory that an object of this size needs while it is copied.
pub(crate) fn units(size: u64) -> u32 {
    let bytes = if size <= PART { size } else { part_of(size) * (PARALLEL as u64 + 1) };
    let most = u32::try_from(MEMORY).unwrap_or(u32::MAX);
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(most).clamp(1, most)
}

/// The requests that write an object of this size.
pub(crate) fn requests(size: u64) -> u64 {
    if size <= PART { 1 } else { size.div_ceil(part_of(size)) + 2 }
}

fn part_of(size: u64) -> u64 {
    PART.max(size.div_ceil(PARTS))
}

/// Writes an object, and returns the hash of its content and its size. Before the object is visible, `intend` is awaited with
/// the hash. Errors: those of both sides, and of a run that ends between two parts; then nothing is visible.
pub(crate) async fn object<F: Future<Output = Result<()>>>(
    store: &dyn ObjectStore,
    object: GetResult,
    attributes: Attributes,
    ending: &Ending,
    intend: impl FnOnce(String) -> F,
) -> Result<(String, u64, PutResult)> {
    let (at, size) = (object.meta.location.clone(), object.meta.size);
    let mut hash = Sha256::new();
    if size <= PART {
        let content = object.bytes().await?;
        hash.update(&content);
        check_size(size, content.len() as u64)?;
        let hash = hex(&hash.finalize());
        intend(hash.clone()).await?;
        let options = PutOptions { attributes, ..PutOptions::default() };
        let written = store.put_opts(&at, content.into(), options).await?;
        return Ok((hash, size, written));
    }
    let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
    let mut upload = store.put_multipart_opts(&at, options).await?;
    let sent = parts(&mut *upload, object, &mut hash, ending).await;
    let hash = hex(&hash.finalize());
    let intended = match sent {
        Ok(()) => intend(hash.clone()).await,
        Err(error) => Err(error),
    };
    let written = match intended {
        Ok(()) => upload.complete().await.map_err(Error::from),
        Err(error) => Err(error),
    };
    if written.is_err() {
        // What is left of it is deleted by the service's own rules.
        let _ = upload.abort().await;
    }
    Ok((hash, size, written?))
}

async fn parts(upload: &mut dyn MultipartUpload, object: GetResult, hash: &mut Sha256, ending: &Ending) -> Result<()> {
    let (size, mut read) = (object.meta.size, 0);
    let part_size = usize::try_from(part_of(size)).map_err(|_| Error::internal("a part is larger than the memory"))?;
    let mut content = object.into_stream();
    let mut in_flight = FuturesUnordered::new();
    let mut part = Part::default();
    loop {
        let some = content.try_next().await?;
        let is_end = some.is_none();
        if let Some(mut some) = some {
            hash.update(&some);
            read += some.len() as u64;
            while part.size + some.len() >= part_size {
                ending.check()?;
                part.push(some.split_to(part_size - part.size));
                in_flight.push(upload.put_part(part.take()));
                if in_flight.len() >= PARALLEL {
                    in_flight.next().await.transpose()?;
                }
            }
            part.push(some);
        }
        if is_end {
            break;
        }
    }
    check_size(size, read)?;
    if part.size > 0 {
        in_flight.push(upload.put_part(part.take()));
    }
    in_flight.try_for_each(|()| std::future::ready(Ok(()))).await?;
    Ok(())
}

/// The bytes of a part, as they arrived.
#[derive(Default)]
struct Part {
    parts: Vec<Bytes>,
    /// The small ones, which share one buffer.
    small: BytesMut,
    size: usize,
}

/// Bytes that are copied, so that a part does not consist of thousands.
const SMALL: usize = 16 << 10;

impl Part {
    fn push(&mut self, bytes: Bytes) {
        self.size += bytes.len();
        if bytes.len() < SMALL {
            self.small.extend_from_slice(&bytes);
        } else {
            self.end_small();
            self.parts.push(bytes);
        }
    }

    fn end_small(&mut self) {
        if !self.small.is_empty() {
            self.parts.push(self.small.split().freeze());
        }
    }

    fn take(&mut self) -> PutPayload {
        self.end_small();
        self.size = 0;
        std::mem::take(&mut self.parts).into_iter().collect()
    }
}

/// Errors: `Unavailable` for content that is shorter or longer than its description.
fn check_size(expected: u64, found: u64) -> Result<()> {
    match expected == found {
        true => Ok(()),
        false => {
            let message = format!("the source sent {found} bytes of an object of {expected}");
            Err(Error::new(isobar_abstraction::ErrorKind::Unavailable, message))
        }
    }
}
