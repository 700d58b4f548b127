//! Lists as Cloud Storage is asked for them, and as it answers.
//!
//! A page goes on at the name at which the one before ended, and not by Cloud Storage's own token, of
//! which nobody says how long it is good.

use isobar_abstraction::blob::{ListRequest, Listing};
use isobar_abstraction::{Error, Result};
use object_store::path::Path;
use serde::Deserialize;

use super::encoded;
use super::resource::Resource;

/// The most names that Cloud Storage puts on a page.
const LARGEST_PAGE: usize = 1_000;

/// What is asked for of them.
const FIELDS: &str = "nextPageToken,prefixes,items(name,size,generation,updated)";

/// The query of `objects.list`. <https://cloud.google.com/storage/docs/json_api/v1/objects/list>
pub(super) fn query(request: &ListRequest, token: &str) -> String {
    let start = start(request);
    // The name at which the page before ended comes once more, since the start is part of the page.
    let limit = request.limit.saturating_add(usize::from(start.repeats)).clamp(1, LARGEST_PAGE).to_string();
    let mut pairs = vec![("fields", FIELDS), ("maxResults", limit.as_str())];
    let optional = [
        ("delimiter", request.delimiter.as_deref().unwrap_or_default()),
        ("pageToken", token),
        ("prefix", request.prefix.as_str()),
        ("startOffset", start.name.as_str()),
    ];
    pairs.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
    encoded::query(&pairs)
}

/// Where a page begins.
struct Start {
    name: String,
    /// Is it the last name of the page before?
    repeats: bool,
}

fn start(request: &ListRequest) -> Start {
    let after = request.after.as_deref().unwrap_or_default();
    match group(request).and_then(behind) {
        Some(name) => Start { name, repeats: false },
        None => Start { name: after.to_owned(), repeats: !after.is_empty() },
    }
}

/// The group that the page before ended with, if it was a group.
fn group(request: &ListRequest) -> Option<&str> {
    let (after, delimiter) = (request.after.as_deref()?, request.delimiter.as_deref()?);
    let below = after.strip_prefix(request.prefix.as_str())?;
    (below.ends_with(delimiter) && !below.is_empty()).then_some(after)
}

/// The first name behind all that begin with `prefix`. `None`, where there is none.
fn behind(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        let next = match last {
            // Behind it lie the surrogates, which no text holds.
            '\u{d7ff}' => Some('\u{e000}'),
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    items: Vec<Resource>,
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default)]
    next_page_token: String,
}

/// What an answer is.
pub(super) enum Read {
    Page(Listing),
    /// A page without a name, behind which there are more: Cloud Storage's token of the next.
    Empty(String),
}

/// What stands at one name of a list.
enum Entry {
    Object(Resource),
    Group,
}

/// Reads the answer. Errors: `Internal`, also for an object whose name no path can be.
pub(super) fn read(request: &ListRequest, answer: &[u8]) -> Result<Read> {
    let wrong = |error| Error::internal("Cloud Storage answered no list").with_source(error);
    let Page { items, prefixes, next_page_token } = serde_json::from_slice(answer).map_err(wrong)?;
    let groups = prefixes.into_iter().map(|prefix| (prefix, Entry::Group));
    let objects = items.into_iter().map(|item| (item.name.clone(), Entry::Object(item)));
    let mut entries: Vec<_> = objects.chain(groups).collect();
    entries.retain(|(name, _)| Some(name) != request.after.as_ref());
    if entries.is_empty() && !next_page_token.is_empty() {
        return Ok(Read::Empty(next_page_token));
    }
    entries.sort_by(|(before, _), (after, _)| before.cmp(after));
    let more = !next_page_token.is_empty() || entries.len() > request.limit;
    entries.truncate(request.limit);
    let resume = entries.last().map(|(name, _)| name.clone()).filter(|_| more);
    let mut listing = Listing { resume, ..Listing::default() };
    for (name, entry) in entries {
        match entry {
            Entry::Group => listing.prefixes.push(name),
            // What consoles make for a folder: no object, and no path.
            Entry::Object(_) if name.ends_with('/') => {}
            Entry::Object(object) => listing.objects.push(object.meta(path(&name)?)?),
        }
    }
    Ok(Read::Page(listing))
}

fn path(stored: &str) -> Result<Path> {
    let unreachable = || {
        let name = stored.escape_debug();
        Error::internal(format!(
            "the bucket holds `{name}`, which isobar did not write and cannot read: rename it, or list another prefix"
        ))
    };
    let path = Path::parse(stored).map_err(|error| unreachable().with_source(error))?;
    if path.as_ref() == stored { Ok(path) } else { Err(unreachable()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(prefix: &str, after: Option<&str>) -> ListRequest {
        let after = after.map(str::to_owned);
        ListRequest { prefix: prefix.to_owned(), delimiter: Some("/".to_owned()), limit: 3, after }
    }

    fn page(keys: &[&str], groups: &[&str], token: &str) -> String {
        let item =
            |name: &&str| json!({"name": name, "size": "7", "generation": "17", "updated": "2026-01-02T03:04:05.6Z"});
        let items: Vec<_> = keys.iter().map(item).collect();
        json!({"kind": "storage#objects", "items": items, "prefixes": groups, "nextPageToken": token}).to_string()
    }

    fn page_of(request: &ListRequest, answer: &str) -> Result<Listing> {
        match read(request, answer.as_bytes())? {
            Read::Page(listing) => Ok(listing),
            Read::Empty(token) => panic!("no page, but {token}"),
        }
    }

    fn names(listing: &Listing) -> Vec<&str> {
        listing.objects.iter().map(|object| object.location.as_ref()).collect()
    }

    #[test]
    fn a_page_goes_on_at_a_name_or_behind_a_whole_group() {
        let plain = "fields=nextPageToken%2Cprefixes%2Citems%28name%2Csize%2Cgeneration%2Cupdated%29";
        assert_eq!(query(&request("", None), ""), format!("{plain}&maxResults=3&delimiter=%2F"));
        let next = query(&request("a b", Some("a b+")), "");
        assert!(next.ends_with("maxResults=4&delimiter=%2F&prefix=a%20b&startOffset=a%20b%2B"), "{next}");
        let group = query(&request("a", Some("a/b/")), "t");
        assert!(group.ends_with("maxResults=3&delimiter=%2F&pageToken=t&prefix=a&startOffset=a%2Fb0"), "{group}");
        // A folder that a console made is no group of itself.
        assert!(
            query(&request("a/", Some("a/")), "").ends_with("maxResults=4&delimiter=%2F&prefix=a%2F&startOffset=a%2F")
        );
        let all = ListRequest { limit: usize::MAX, delimiter: None, ..request("", None) };
        assert_eq!(query(&all, ""), format!("{plain}&maxResults=1000"));
    }

    #[test]
    fn what_lies_behind_a_group_sorts_behind_all_of_it() {
        for (prefix, next) in [("a/", Some("a0")), ("\u{d7ff}", Some("\u{e000}")), ("b\u{10ffff}", Some("c"))] {
            assert_eq!(behind(prefix).as_deref(), next);
            assert!(format!("{prefix}\u{10ffff}\u{10ffff}").as_str() < next.unwrap());
        }
        assert_eq!((behind(""), behind("\u{10ffff}")), (None, None));
    }

    #[test]
    fn names_come_back_in_byte_order_and_as_they_are_stored() {
        let answer = page(&["ä/%", "a+b", " a ", "\u{ffff}", "\u{10000}"], &["b/", "a/"], "");
        let listing = page_of(&ListRequest { limit: 10, ..request("", None) }, &answer).unwrap();
        assert_eq!(names(&listing), [" a ", "a+b", "ä/%", "\u{ffff}", "\u{10000}"]);
        assert_eq!((listing.prefixes, listing.resume), (vec!["a/".to_owned(), "b/".to_owned()], None));
        assert_eq!((listing.objects[0].size, listing.objects[0].e_tag.as_deref()), (7, Some("17")));
    }

    #[test]
    fn a_page_resumes_at_the_last_of_its_names_and_groups() {
        for (keys, groups, last) in [(&["a", "c"][..], &["b/"][..], "c"), (&["a"], &["b/"], "b/"), (&["a"], &[], "a")] {
            let listing = page_of(&request("", None), &page(keys, groups, "t")).unwrap();
            assert_eq!(listing.resume.as_deref(), Some(last));
        }
    }

    #[test]
    fn a_page_holds_no_more_than_its_limit_and_not_the_last_name_of_the_one_before() {
        let listing = page_of(&request("", Some("b")), &page(&["b", "c", "f"], &["d/", "e/"], "")).unwrap();
        assert_eq!((names(&listing), listing.prefixes.len(), listing.resume.as_deref()), (vec!["c"], 2, Some("e/")));
    }

    #[test]
    fn folders_of_consoles_are_passed_over_and_other_names_without_a_path_are_told() {
        let listing = page_of(&request("p/", None), &page(&["p/"], &[], "t")).unwrap();
        assert_eq!((names(&listing), listing.resume.as_deref()), (vec![], Some("p/")));
        for name in ["a//b", "/a", "a/../b"] {
            let error = page_of(&request("", None), &page(&["a", name], &[], "")).unwrap_err();
            assert!(error.message().contains(name), "{error}");
        }
        for nonsense in ["<html>", "", "7"] {
            assert!(page_of(&request("", None), nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_page_without_a_name_tells_the_next() {
        let empty = read(&request("", Some("a")), page(&["a"], &[], "t").as_bytes());
        assert!(matches!(empty, Ok(Read::Empty(token)) if token == "t"));
        assert!(matches!(read(&request("", None), b"{}"), Ok(Read::Page(_))));
    }
}
