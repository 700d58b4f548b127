//! For implementers of [`ObjectStore`]: the methods that read all pages of a list, and the bytes of a range.

use std::ops::Range;

use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetRange, ListResult, ObjectMeta, ObjectStore, ObjectStoreExt, RenameOptions,
    RenameTargetMode,
};

use super::{ListRequest, Listing};
use crate::{Error, Origin, Result};

/// The pages of a list, as a stream.
pub type Pages = BoxStream<'static, object_store::Result<Listing>>;

/// The request for the first page of the names below a path. Paths of `object_store` are folders: `a` is not a prefix of
/// `ab`.
pub fn below(prefix: Option<&Path>, delimiter: Option<&str>, limit: usize) -> ListRequest {
    let prefix = prefix.filter(|prefix| !prefix.is_root()).map(|prefix| format!("{prefix}/")).unwrap_or_default();
    ListRequest { prefix, delimiter: delimiter.map(str::to_owned), limit, after: None }
}

/// The bytes of an object of this size that a range contains; all without a range.
///
/// Errors: `InvalidInput` of the origin `Data` if there are none.
pub fn within(range: Option<&GetRange>, size: u64) -> Result<Range<u64>> {
    let Some(range) = range else { return Ok(0..size) };
    let none = |error| {
        Error::invalid_input("the range contains no byte of the object").with_origin(Origin::Data).with_source(error)
    };
    range.as_range(size).map_err(none)
}

/// Reads a page and all that follow it. `list` requests one page. Errors: those of [`Listing::readable`].
pub fn pages<L, F>(list: L, first: ListRequest) -> Pages
where
    L: Fn(ListRequest) -> F + Send + 'static,
    F: Future<Output = Result<Listing>> + Send,
{
    let next = |(list, request): (L, Option<ListRequest>)| async move {
        let Some(mut request) = request else { return Ok(None) };
        let page = list(request.clone()).await?.readable()?;
        request.after.clone_from(&page.resume);
        let next = request.after.is_some().then_some(request);
        Ok(Some((page, (list, next))))
    };
    stream::try_unfold((list, Some(first)), next).boxed()
}

/// The objects of all pages, as `ObjectStore::list` returns them.
pub fn objects(pages: Pages) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
    pages.map_ok(|page| stream::iter(page.objects.into_iter().map(Ok))).try_flatten().boxed()
}

/// The objects and the groups of all pages, as `ObjectStore::list_with_delimiter` returns them.
pub async fn groups(mut pages: Pages) -> object_store::Result<ListResult> {
    let mut all = ListResult { objects: Vec::new(), common_prefixes: Vec::new(), extensions: Default::default() };
    while let Some(page) = pages.try_next().await? {
        all.objects.extend(page.objects);
        for prefix in page.prefixes {
            all.common_prefixes.push(Path::parse(prefix)?);
        }
    }
    Ok(all)
}

/// Renames an object by a copy and a delete, which are not atomic together. After a rename to the same name
/// the object still exists.
pub async fn rename(
    store: &dyn ObjectStore,
    from: &Path,
    to: &Path,
    options: RenameOptions,
) -> object_store::Result<()> {
    let mode = match options.target_mode {
        RenameTargetMode::Overwrite => CopyMode::Overwrite,
        RenameTargetMode::Create => CopyMode::Create,
    };
    store.copy_opts(from, to, CopyOptions::new().with_mode(mode)).await?;
    if from == to { Ok(()) } else { store.delete(from).await }
}
