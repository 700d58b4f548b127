//! Requests for lists of objects, and their responses.
//!
//! A page starts after the last name of the previous page. S3's continuation token is not used for this, since
//! a name never expires and works on every S3-compatible store.

use chrono::{DateTime, SubsecRound, Utc};
use isobar_abstraction::driver::blob::ListRequest;
use isobar_abstraction::{Error, Result};
use isobar_rest::object::{Page, encode_query, last_prefix, page};
use object_store::ObjectMeta;
use object_store::path::Path;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// The most names on one page of S3.
pub(super) const LARGEST_PAGE: usize = 1_000;

/// Sorts after all keys of a group, except keys that begin with this character.
const LAST: char = char::MAX;

/// The query of `ListObjectsV2`.
pub(super) fn query(request: &ListRequest) -> String {
    let group = last_prefix(request);
    // The last group of the previous page is repeated if a key in it begins with `LAST`.
    let limit = request.limit.saturating_add(usize::from(group.is_some())).clamp(1, LARGEST_PAGE).to_string();
    let mut pairs = vec![("encoding-type", "url"), ("list-type", "2"), ("max-keys", limit.as_str())];
    let after = group.map(|group| format!("{group}{LAST}")).or_else(|| request.after.clone()).unwrap_or_default();
    let optional = [
        ("delimiter", request.delimiter.as_deref().unwrap_or_default()),
        ("prefix", request.prefix.as_str()),
        ("start-after", after.as_str()),
    ];
    pairs.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
    encode_query(&pairs)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
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

/// Reads a page. Errors: `Internal`.
pub(super) fn read(request: &ListRequest, answer: &[u8]) -> Result<Page> {
    let wrong = |error| {
        Error::internal("S3 returned something else than a list of objects: check the endpoint").with_source(error)
    };
    let list: List = quick_xml::de::from_reader(answer).map_err(wrong)?;
    let plain = list.encoding_type.as_deref() != Some("url");
    let name = |text: &str| if plain { Ok(text.to_owned()) } else { decode(text) };
    let mut names = Vec::with_capacity(list.contents.len() + list.common_prefixes.len());
    for content in list.contents {
        names.push((name(&content.key)?, Some(content)));
    }
    for group in list.common_prefixes {
        names.push((name(&group.prefix)?, None));
    }
    let more = list.is_truncated.then(|| list.next_continuation_token.as_deref().unwrap_or_default());
    page(request, names, more, meta)
}

/// Decodes a name of `encoding-type=url`, which is the encoding of forms.
fn decode(text: &str) -> Result<String> {
    let spaced = text.replace('+', " ");
    let wrong = |error| Error::internal("S3 returned a name that is not UTF-8").with_source(error);
    Ok(percent_decode_str(&spaced).decode_utf8().map_err(wrong)?.into_owned())
}

fn meta(location: Path, content: Content) -> Result<ObjectMeta> {
    let last_modified: DateTime<Utc> = content.last_modified.parse().map_err(|error| {
        Error::internal(format!("S3 returned the malformed time `{}`", content.last_modified)).with_source(error)
    })?;
    // Truncated to seconds, so that it equals the time in a header.
    let last_modified = last_modified.trunc_subsecs(0);
    Ok(ObjectMeta { location, last_modified, size: content.size, e_tag: content.e_tag, version: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(prefix: &str, after: Option<&str>) -> ListRequest {
        let after = after.map(str::to_owned);
        ListRequest::new(prefix, 3).with_delimiter("/").with_after(after)
    }

    #[test]
    fn query_starts_after_a_name_or_a_whole_group() {
        let plain = "encoding-type=url&list-type=2&max-keys=3&delimiter=%2F";
        assert_eq!(query(&request("", None)), plain);
        assert_eq!(query(&request("a b", Some("a b+"))), format!("{plain}&prefix=a%20b&start-after=a%20b%2B"));
        let group = query(&request("a", Some("a/b/")));
        assert!(group.contains("max-keys=4") && group.ends_with("start-after=a%2Fb%2F%F4%8F%BF%BF"), "{group}");
        // A folder object made by a console is not a group of itself.
        assert!(query(&request("a/", Some("a/"))).ends_with("max-keys=3&delimiter=%2F&prefix=a%2F&start-after=a%2F"));
        let all = ListRequest::new("", usize::MAX);
        assert_eq!(query(&all), "encoding-type=url&list-type=2&max-keys=1000");
    }

    fn list(truncated: bool, keys: &[&str], groups: &[&str]) -> String {
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

    #[test]
    fn names_are_decoded() {
        let xml = list(true, &["a+b%2Bc", "%C3%A4/%25", "+a+"], &["a/", "%01/"]);
        let Ok(Page::Names(page)) = read(&ListRequest::new("", 10).with_delimiter("/"), xml.as_bytes()) else {
            panic!("no name");
        };
        let names: Vec<_> = page.objects.iter().map(|object| object.location.as_ref()).collect();
        assert_eq!(names, [" a ", "a b+c", "ä/%"]);
        assert_eq!((page.prefixes.len(), page.resume.as_deref()), (2, Some("ä/%")));
        let object = &page.objects[0];
        assert_eq!((object.size, object.e_tag.as_deref()), (7, Some("\"1\"")));
        assert_eq!(object.last_modified.to_rfc3339(), "2026-01-02T03:04:05+00:00");
        assert!(read(&request("", None), b"<html>").is_err());
    }

    #[test]
    fn empty_page_returns_the_token_of_the_next() {
        let xml = list(true, &[], &[]).replace("</ListB", "<NextContinuationToken>t</NextContinuationToken></ListB");
        assert!(matches!(read(&request("", None), xml.as_bytes()), Ok(Page::Empty(token)) if token == "t"));
        let xml = xml.replace("true", "false");
        assert!(matches!(read(&request("", None), xml.as_bytes()), Ok(Page::Names(_))));
    }
}
