//! The content of objects: files that are written once, with generated names.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use isobar_abstraction::{Error, Result};
use object_store::PutPayload;

use crate::store::{failed, folder};

/// The bytes of one read.
const CHUNK: u64 = 256 * 1024;

/// The folder of all content.
#[derive(Debug, Clone)]
pub(super) struct Files(Arc<Path>);

impl Files {
    /// The files of a data folder. Creates nothing.
    pub(super) fn new(data: &Path) -> Self {
        Self(data.join("objects").into())
    }

    fn path(&self, id: u128) -> PathBuf {
        self.0.join(format!("{id:032x}"))
    }

    /// Creates a file.
    pub(super) fn stage(&self) -> Result<Staged> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| {
            Error::internal("the operating system returned no random bytes for the name of a file").with_source(error)
        })?;
        let id = u128::from_le_bytes(id);
        let path = self.path(id);
        let create = || folder::private_file().open(&path);
        let file = match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.make().and_then(|()| create()),
            other => other,
        };
        let staged = Staged { file: Arc::new(file.map_err(failed)?), files: self.clone(), id, size: 0, is_kept: false };
        // The lock marks it as in use, for `is_abandoned`.
        staged.file.try_lock().map_err(|error| failed(io::Error::from(error)))?;
        Ok(staged)
    }

    fn make(&self) -> io::Result<()> {
        // Not the data folder as well: where that was removed, nothing may be written.
        match folder::make_private(&self.0, false) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.0.parent().map_or(Ok(()), folder::sync)
    }

    /// Opens content for reading. An open file can be read to its end also after its removal.
    pub(super) fn open(&self, id: u128) -> io::Result<File> {
        File::open(self.path(id))
    }

    /// Removes content that no record refers to.
    pub(super) fn remove(&self, id: u128) {
        // A file that remains is not visible, and the next start removes it.
        let _ = std::fs::remove_file(self.path(id));
    }

    /// The ids of all content. Files with other names are ignored.
    pub(super) fn all(&self) -> Result<Vec<u128>> {
        let entries = match std::fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let id = |entry: io::Result<std::fs::DirEntry>| {
            let name = entry.map_err(failed)?.file_name();
            let id = name.to_str().filter(|name| name.len() == 32).and_then(|name| u128::from_str_radix(name, 16).ok());
            Ok(id)
        };
        entries.filter_map(|entry| id(entry).transpose()).collect()
    }

    /// Whether no process is writing this content.
    pub(super) fn is_abandoned(&self, id: u128) -> bool {
        self.open(id).is_ok_and(|file| file.try_lock().is_ok())
    }
}

/// Content that is being written. Dropping it removes the file.
#[derive(Debug)]
pub(super) struct Staged {
    file: Arc<File>,
    files: Files,
    id: u128,
    size: u64,
    is_kept: bool,
}

impl Staged {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Writes more at the end.
    pub(super) async fn append(&mut self, part: PutPayload) -> Result<()> {
        let (file, size) = (Arc::clone(&self.file), part.content_length() as u64);
        blocking(move || part.iter().try_for_each(|bytes| (&*file).write_all(bytes)).map_err(failed)).await?;
        self.size += size;
        Ok(())
    }

    /// Makes the content and its name durable.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(failed)?;
        folder::sync(&self.files.0).map_err(failed)
    }

    /// Keeps the file for a record that will refer to it. Returns its id, and its lock, which marks it as in use
    /// until the record is written.
    pub(super) fn keep(mut self) -> (u128, Arc<File>) {
        self.is_kept = true;
        (self.id, Arc::clone(&self.file))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_kept {
            self.files.remove(self.id);
        }
    }
}

/// The bytes of open content as a stream.
pub(super) fn read(file: File, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
    let next = |(file, range): (File, Range<u64>)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let end = range.end.min(range.start.saturating_add(CHUNK));
        let chunk = range.start..end;
        let (bytes, file) = blocking(move || Ok((read_chunk(&file, chunk)?, file))).await?;
        Ok(Some((bytes, (file, end..range.end))))
    };
    stream::try_unfold((file, range), next).boxed()
}

fn read_chunk(mut file: &File, range: Range<u64>) -> Result<Bytes> {
    let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
    file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
    file.take(range.end - range.start).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 == range.end - range.start {
        true => Ok(bytes.into()),
        false => Err(damaged("is shorter than it was written")),
    }
}

/// The error of content that differs from what was written.
pub(super) fn damaged(what: &str) -> Error {
    Error::internal(format!("the content of the object {what}; restore the data folder, or write the object again"))
}

/// Runs work that may wait for the disk on a thread for blocking work.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| {
        Error::internal("bug in isobar: the work on a file panicked; please report it").with_source(error)
    })?
}
