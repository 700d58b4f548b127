//! Pages of a listing.

use isobar_abstraction::Result;
use isobar_abstraction::driver::blob::{ListRequest, Listing};
use object_store::ObjectMeta;
use object_store::path::Path;

/// A page of a listing.
#[derive(Debug)]
pub enum Page {
    /// A page with names, or the last page.
    Names(Listing),
    /// A page without a name that is not the last: the service's token of the next page.
    Empty(String),
}

/// Builds a page whose cursor is the last of its names.
///
/// `names` contains objects and, with `None`, prefixes. `more` is the service's token of the next page, which may be
/// empty; `None` on the last page. Errors: those of `meta`.
pub fn page<T>(
    request: &ListRequest,
    mut names: Vec<(String, Option<T>)>,
    more: Option<&str>,
    meta: impl Fn(Path, T) -> Result<ObjectMeta>,
) -> Result<Page> {
    // The last name of the page before may be repeated.
    names.retain(|(name, _)| Some(name) != request.after.as_ref());
    let token = more.unwrap_or_default();
    if names.is_empty() && !token.is_empty() {
        return Ok(Page::Empty(token.to_owned()));
    }
    names.sort_by(|(before, _), (after, _)| before.cmp(after));
    let more = more.is_some() || names.len() > request.limit;
    names.truncate(request.limit);
    let last = names.last().map(|(name, _)| name.clone());
    let resume = last.or_else(|| request.after.clone()).filter(|_| more);
    let mut listing = Listing::new(Vec::new(), Vec::new(), resume);
    for (name, object) in names {
        match (object, object_path(&name)) {
            (None, _) => listing.prefixes.push(name),
            (Some(object), Some(path)) => listing.objects.push(meta(path, object)?),
            (Some(_), None) => listing.unreadable.push(name),
        }
    }
    Ok(Page::Names(listing))
}

/// The last name of the page before, if it is a prefix.
pub fn last_prefix(request: &ListRequest) -> Option<&str> {
    let (after, delimiter) = (request.after.as_deref()?, request.delimiter.as_deref()?);
    let below = after.strip_prefix(request.prefix.as_str())?;
    (below.ends_with(delimiter) && !below.is_empty()).then_some(after)
}

/// The path of a listed object; `None` for a name that is not a valid path.
pub fn object_path(stored: &str) -> Option<Path> {
    Path::parse(stored).ok().filter(|path| path.as_ref() == stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(prefix: &str, after: Option<&str>) -> ListRequest {
        let after = after.map(str::to_owned);
        ListRequest::new(prefix, 3).with_delimiter("/").with_after(after)
    }

    fn page_of(request: &ListRequest, objects: &[&str], prefixes: &[&str], more: Option<&str>) -> Result<Page> {
        let objects = objects.iter().map(|name| ((*name).to_owned(), Some(7)));
        let names = objects.chain(prefixes.iter().map(|name| ((*name).to_owned(), None))).collect();
        let last_modified = chrono::DateTime::UNIX_EPOCH;
        page(request, names, more, |location, size| {
            Ok(ObjectMeta { location, last_modified, size, e_tag: None, version: None })
        })
    }

    fn names(page: Result<Page>) -> (Vec<String>, Vec<String>, Option<String>) {
        let Page::Names(Listing { objects, prefixes, resume, .. }) = page.unwrap() else { panic!("no name") };
        (objects.iter().map(|object| object.location.to_string()).collect(), prefixes, resume)
    }

    #[test]
    fn a_page_is_in_byte_order_and_resumes_at_the_last_of_its_names_and_prefixes() {
        for (objects, prefixes, more, last) in [
            (&["c", "a"][..], &["b/"][..], Some("t"), Some("c")),
            (&["a"], &["b/"], Some(""), Some("b/")),
            (&["\u{10000}", "\u{ffff}"], &[], None, None),
        ] {
            let (names, _, resume) = names(page_of(&request("", None), objects, prefixes, more));
            assert!(names.is_sorted(), "{names:?}");
            assert_eq!(resume.as_deref(), last);
        }
    }

    #[test]
    fn a_page_has_at_most_its_limit_and_not_the_last_name_of_the_page_before() {
        let found = names(page_of(&request("", Some("a/")), &["b", "f"], &["a/", "c/", "d/"], None));
        assert_eq!(found, (vec!["b".to_owned()], vec!["c/".to_owned(), "d/".to_owned()], Some("d/".to_owned())));
    }

    #[test]
    fn a_page_without_a_name_returns_the_next_token() {
        let empty = page_of(&request("", Some("a")), &["a"], &[], Some("t"));
        assert!(matches!(empty, Ok(Page::Empty(token)) if token == "t"));
        assert!(matches!(page_of(&request("", None), &[], &[], None), Ok(Page::Names(_))));
    }

    #[test]
    fn invalid_paths_are_unreadable_and_only_folders_of_consoles_are_ignored_for_apps() {
        for name in ["a//b", "/a", "a/../b", "p/", "a//", "/"] {
            let page = page_of(&request("", None), &["a", name, "b"], &[], Some("t")).unwrap();
            let Page::Names(listing) = page else { panic!("no name") };
            assert_eq!((listing.unreadable.as_slice(), listing.objects.len()), (&[name.to_owned()][..], 2));
            match listing.readable() {
                Ok(listing) => assert!(name.ends_with('/') && listing.objects.len() == 2),
                Err(error) => assert!(!name.ends_with('/') && error.message().contains(name), "{error}"),
            }
        }
        assert_eq!(
            names(page_of(&request("p/", None), &["p/"], &[], Some("t"))),
            (vec![], vec![], Some("p/".to_owned()))
        );
    }

    #[test]
    fn a_folder_of_a_console_is_no_prefix_below_itself() {
        assert_eq!(last_prefix(&request("a/", Some("a/"))), None);
        assert_eq!(last_prefix(&request("a", Some("a/b/"))), Some("a/b/"));
    }
}
