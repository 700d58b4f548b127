//! Resumable uploads. Source: <https://cloud.google.com/storage/docs/performing-resumable-uploads>.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::store::Refused;

/// All chunks but the last are multiples of this.
const CHUNK: usize = 256 * 1024;

/// Those that have begun.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    begun: HashMap<String, Upload>,
    count: usize,
}

/// One object that is being sent.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) bucket: String,
    pub(super) name: String,
    pub(super) description: Value,
    pub(super) wanted: Option<i64>,
    content: BytesMut,
    /// The object, once it is there.
    pub(super) made: Option<Value>,
}

/// What a chunk's `Content-Range` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// The first byte and the last, if it brings any.
    bytes: Option<(usize, usize)>,
    total: Option<usize>,
}

impl Range {
    /// `bytes 0-99/*`, `bytes */100`, `bytes */*`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (bytes, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let total = if total == "*" { None } else { Some(total.parse().ok()?) };
        if bytes == "*" {
            return Some(Self { bytes: None, total });
        }
        let (first, last) = bytes.split_once('-')?;
        Some(Self { bytes: Some((first.parse().ok()?, last.parse().ok()?)), total })
    }
}

/// How far an upload is.
#[derive(Debug)]
pub(super) enum Progress {
    Kept(usize),
    Whole(Bytes),
}

impl Uploads {
    /// Answers its id.
    pub(super) fn begin(&mut self, bucket: &str, name: &str, description: Value, wanted: Option<i64>) -> String {
        self.count += 1;
        let id = format!("upload-{}", self.count);
        let (bucket, name) = (bucket.to_owned(), name.to_owned());
        let upload = Upload { bucket, name, description, wanted, content: BytesMut::new(), made: None };
        self.begun.insert(id.clone(), upload);
        id
    }

    pub(super) fn get(&mut self, id: &str) -> Option<&mut Upload> {
        self.begun.get_mut(id)
    }

    pub(super) fn cancel(&mut self, id: &str) -> bool {
        self.begun.remove(id).is_some()
    }

    pub(super) fn open(&self) -> usize {
        self.begun.values().filter(|upload| upload.made.is_none()).count()
    }
}

impl Upload {
    /// Takes a chunk, or a question.
    pub(super) fn take(&mut self, range: Range, body: &[u8]) -> Result<Progress, Refused> {
        let kept = self.content.len();
        match range.bytes {
            None if !body.is_empty() => return Err(Refused::Invalid("content without its place")),
            None => {}
            Some((first, last)) => {
                let whole = first <= last && last - first + 1 == body.len();
                if !whole || first > kept || range.total.is_some_and(|total| last >= total) {
                    return Err(Refused::Invalid("the chunk does not fit"));
                }
                if range.total.is_none() && !body.len().is_multiple_of(CHUNK) {
                    return Err(Refused::Invalid("the chunk is no multiple of 256 KiB"));
                }
                // What is kept already is passed over.
                self.content.extend_from_slice(body.get(kept - first..).unwrap_or_default());
            }
        }
        match range.total == Some(self.content.len()) {
            true => Ok(Progress::Whole(self.content.clone().freeze())),
            false => Ok(Progress::Kept(self.content.len())),
        }
    }
}
