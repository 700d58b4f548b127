//! Lists as S3 is asked for them, and as it answers.
//!
//! A page goes on behind the name at which the one before ended, and not by S3's own token: the name
//! is good for ever, and on every store of S3's kind.

use chrono::{DateTime, SubsecRound, Utc};
use isobar_abstraction::blob::{ListRequest, Listing};
use isobar_abstraction::{Error, Result};
use object_store::ObjectMeta;
use object_store::path::Path;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// The most names that S3 puts on a page.
const LARGEST_PAGE: usize = 1_000;

/// Sorts behind all that a group holds, but for keys that begin with it.
const LAST: char = char::MAX;

/// The query of `ListObjectsV2`.
pub(super) fn query(request: &ListRequest) -> String {
    let group = after_group(request);
    // The group that the page before ended with may come once more, if a key in it begins with `LAST`.
    let limit = request.limit.saturating_add(usize::from(group.is_some())).clamp(1, LARGEST_PAGE).to_string();
    let mut pairs = vec![("encoding-type", "url"), ("list-type", "2"), ("max-keys", limit.as_str())];
    let after = group.map(|group| format!("{group}{LAST}")).or_else(|| request.after.clone()).unwrap_or_default();
    let optional = [
        ("delimiter", request.delimiter.as_deref().unwrap_or_default()),
        ("prefix", request.prefix.as_str()),
        ("start-after", after.as_str()),
    ];
    pairs.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
    crate::service::sign::query(&pairs)
}

/// The group that the page before ended with, if it was a group.
fn after_group(request: &ListRequest) -> Option<&str> {
    let (after, delimiter) = (request.after.as_deref()?, request.delimiter.as_deref()?);
    let below = after.strip_prefix(request.prefix.as_str())?;
    (below.ends_with(delimiter) && !below.is_empty()).then_some(after)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    is_truncated: bool,
    encoding_type: Option<String>,
    next_continuation_token: Option<String>,
    #[serde(default)]
    contents: Vec<Content>,
    #[serde(default)]
    common_prefixes: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    key: String,
    last_modified: String,
    #[serde(rename = "ETag")]
    e_tag: Option<String>,
    size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Group {
    prefix: String,
}

/// What stands at one name of a list.
enum Entry {
    Object(Content),
    Group,
}

/// What an answer is.
pub(super) enum Read {
    Page(Listing),
    /// A page without a name, behind which there are more: S3's token of the next.
    Empty(String),
}

/// Reads the answer. Errors: `Internal`, also for an object whose name no path can be.
pub(super) fn read(request: &ListRequest, answer: &[u8]) -> Result<Read> {
    let wrong = |error| Error::internal("S3 answered no list").with_source(error);
    let mut page: Page = quick_xml::de::from_reader(answer).map_err(wrong)?;
    match page.next_continuation_token.take() {
        Some(token) if page.is_truncated && page.contents.is_empty() && page.common_prefixes.is_empty() => {
            Ok(Read::Empty(token))
        }
        _ => listing(request, page).map(Read::Page),
    }
}

fn listing(request: &ListRequest, page: Page) -> Result<Listing> {
    let plain = page.encoding_type.as_deref() != Some("url");
    let name = |text: &str| if plain { Ok(text.to_owned()) } else { decode(text) };
    let mut entries = Vec::with_capacity(page.contents.len() + page.common_prefixes.len());
    for content in page.contents {
        entries.push((name(&content.key)?, Entry::Object(content)));
    }
    for group in page.common_prefixes {
        entries.push((name(&group.prefix)?, Entry::Group));
    }
    entries.retain(|(name, _)| Some(name.as_str()) != after_group(request));
    entries.sort_by(|(before, _), (after, _)| before.cmp(after));
    let more = page.is_truncated || entries.len() > request.limit;
    entries.truncate(request.limit);
    let last = entries.last().map(|(name, _)| name.clone());
    let resume = last.or_else(|| request.after.clone()).filter(|_| more);
    let mut listing = Listing { resume, ..Listing::default() };
    for (name, entry) in entries {
        match entry {
            Entry::Group => listing.prefixes.push(name),
            // What consoles make for a folder: no object, and no path.
            Entry::Object(_) if name.ends_with('/') => {}
            Entry::Object(content) => listing.objects.push(meta(&name, content)?),
        }
    }
    Ok(listing)
}

/// Undoes `encoding-type=url`, which is the encoding of forms.
fn decode(text: &str) -> Result<String> {
    let spaced = text.replace('+', " ");
    let wrong = |error| Error::internal("S3 answered a name that is no UTF-8").with_source(error);
    Ok(percent_decode_str(&spaced).decode_utf8().map_err(wrong)?.into_owned())
}

fn meta(stored: &str, content: Content) -> Result<ObjectMeta> {
    let unreachable = || {
        let name = stored.escape_debug();
        format!(
            "the bucket holds `{name}`, which isobar did not write and cannot read: rename it, or list another prefix"
        )
    };
    let location = Path::parse(stored).map_err(|error| Error::internal(unreachable()).with_source(error))?;
    if location.as_ref() != stored {
        return Err(Error::internal(unreachable()));
    }
    let last_modified: DateTime<Utc> = content.last_modified.parse().map_err(|error| {
        Error::internal(format!("S3 answered `{}` for a time", content.last_modified)).with_source(error)
    })?;
    // As a header tells it.
    let last_modified = last_modified.trunc_subsecs(0);
    Ok(ObjectMeta { location, last_modified, size: content.size, e_tag: content.e_tag, version: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(request: &ListRequest, answer: &[u8]) -> Result<Listing> {
        match read(request, answer)? {
            Read::Page(listing) => Ok(listing),
            Read::Empty(token) => panic!("no page, but {token}"),
        }
    }

    fn request(prefix: &str, after: Option<&str>) -> ListRequest {
        let after = after.map(str::to_owned);
        ListRequest { prefix: prefix.to_owned(), delimiter: Some("/".to_owned()), limit: 3, after }
    }

    #[test]
    fn a_page_goes_on_behind_a_name_or_a_whole_group() {
        let plain = "encoding-type=url&list-type=2&max-keys=3&delimiter=%2F";
        assert_eq!(query(&request("", None)), plain);
        assert_eq!(query(&request("a b", Some("a b+"))), format!("{plain}&prefix=a%20b&start-after=a%20b%2B"));
        let group = query(&request("a", Some("a/b/")));
        assert!(group.contains("max-keys=4") && group.ends_with("start-after=a%2Fb%2F%F4%8F%BF%BF"), "{group}");
        // A folder that a console made is no group of itself.
        assert!(query(&request("a/", Some("a/"))).ends_with("max-keys=3&delimiter=%2F&prefix=a%2F&start-after=a%2F"));
        let all = ListRequest { limit: usize::MAX, delimiter: None, ..request("", None) };
        assert_eq!(query(&all), "encoding-type=url&list-type=2&max-keys=1000");
    }

    fn page(truncated: bool, keys: &[&str], groups: &[&str]) -> String {
        let mut xml = format!(
            "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\"><Name>b</Name><IsTruncated>{truncated}</IsTruncated>"
        );
        for key in keys {
            xml += &format!("<Contents><Key>{key}</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>");
            xml += "<ETag>&quot;1&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>";
        }
        for group in groups {
            xml += &format!("<CommonPrefixes><Prefix>{group}</Prefix></CommonPrefixes>");
        }
        xml + "<EncodingType>url</EncodingType></ListBucketResult>"
    }

    fn names(listing: &Listing) -> Vec<&str> {
        listing.objects.iter().map(|object| object.location.as_ref()).collect()
    }

    #[test]
    fn names_come_back_as_they_are_stored() {
        let xml = page(false, &["a+b%2Bc", "%C3%A4/%25", "+a+"], &["a/", "%01/"]);
        let listing = page_of(&ListRequest { limit: 10, ..request("", None) }, xml.as_bytes()).unwrap();
        assert_eq!(names(&listing), [" a ", "a b+c", "ä/%"]);
        assert_eq!((listing.prefixes.len(), listing.resume.as_deref()), (2, None));
        let object = &listing.objects[0];
        assert_eq!((object.size, object.e_tag.as_deref()), (7, Some("\"1\"")));
        assert_eq!(object.last_modified.to_rfc3339(), "2026-01-02T03:04:05+00:00");
    }

    #[test]
    fn a_page_resumes_at_the_last_of_its_names_and_groups() {
        for (keys, groups, last) in [(&["a", "c"][..], &["b/"][..], "c"), (&["a"], &["b/"], "b/"), (&["a"], &[], "a")] {
            let listing = page_of(&request("", None), page(true, keys, groups).as_bytes()).unwrap();
            assert_eq!(listing.resume.as_deref(), Some(last));
        }
    }

    #[test]
    fn a_page_holds_no_more_than_its_limit() {
        let request = request("", Some("a/"));
        let listing = page_of(&request, page(false, &["b", "e"], &["c/", "d/"]).as_bytes()).unwrap();
        assert_eq!((names(&listing), listing.prefixes.len()), (vec!["b"], 2));
        assert_eq!(listing.resume.as_deref(), Some("d/"));
    }

    #[test]
    fn a_group_that_ended_the_page_before_does_not_come_again() {
        let listing = page_of(&request("", Some("a/")), page(true, &[], &["a/", "b/"]).as_bytes()).unwrap();
        assert_eq!((listing.prefixes, listing.resume.as_deref()), (vec!["b/".to_owned()], Some("b/")));
    }

    #[test]
    fn folders_of_consoles_are_passed_over_and_other_names_without_a_path_are_told() {
        let listing = page_of(&request("p/", None), page(true, &["p/"], &[]).as_bytes()).unwrap();
        assert_eq!((names(&listing), listing.resume.as_deref()), (vec![], Some("p/")));
        for name in ["a//b", "/a", "a/../b"] {
            let error = page_of(&request("", None), page(false, &["a", name], &[]).as_bytes()).unwrap_err();
            assert!(error.message().contains(name), "{error}");
        }
        assert!(page_of(&request("", None), b"<html>").is_err());
    }

    #[test]
    fn a_page_without_a_name_tells_the_next() {
        let xml = page(true, &[], &[]).replace("</ListB", "<NextContinuationToken>t</NextContinuationToken></ListB");
        assert!(matches!(read(&request("", None), xml.as_bytes()), Ok(Read::Empty(token)) if token == "t"));
        let xml = xml.replace("true", "false");
        assert!(matches!(read(&request("", None), xml.as_bytes()), Ok(Read::Page(_))));
    }
}
