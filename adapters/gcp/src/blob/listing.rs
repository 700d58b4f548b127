//! Requests and responses of lists.
//!
//! A page continues after the last name of the previous page, and not by Cloud Storage's own token, whose lifetime is
//! not documented.

use isobar_abstraction::driver::blob::ListRequest;
use isobar_abstraction::{Error, Result};
use isobar_rest::object::{Page, encode_query, last_prefix, page};
use serde::Deserialize;

use super::resource::Resource;

/// The maximum number of names on a page.
pub(super) const LARGEST_PAGE: usize = 1_000;

/// The fields to return.
const FIELDS: &str = "nextPageToken,prefixes,items(name,size,generation,updated)";

/// The query of `objects.list`. <https://cloud.google.com/storage/docs/json_api/v1/objects/list>
pub(super) fn query(request: &ListRequest, token: &str) -> String {
    let start = start(request);
    // `startOffset` is inclusive, so the last name of the previous page is returned again.
    let limit = request.limit.saturating_add(usize::from(start.repeats)).clamp(1, LARGEST_PAGE).to_string();
    let mut pairs = vec![("fields", FIELDS), ("maxResults", limit.as_str())];
    let optional = [
        ("delimiter", request.delimiter.as_deref().unwrap_or_default()),
        ("pageToken", token),
        ("prefix", request.prefix.as_str()),
        ("startOffset", start.name.as_str()),
    ];
    pairs.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
    encode_query(&pairs)
}

/// The first name of a page.
struct Start {
    name: String,
    /// Whether it is the last name of the previous page.
    repeats: bool,
}

fn start(request: &ListRequest) -> Start {
    let after = request.after.as_deref().unwrap_or_default();
    match last_prefix(request).and_then(after_prefix) {
        Some(name) => Start { name, repeats: false },
        None => Start { name: after.to_owned(), repeats: !after.is_empty() },
    }
}

/// The first name after all names that begin with `prefix`; `None` if there is no such name.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        let next = match last {
            // The next code points are surrogates, which no text contains.
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
struct List {
    #[serde(default)]
    items: Vec<Resource>,
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default)]
    next_page_token: String,
}

/// Reads the response. Errors: `Internal`.
pub(super) fn read(request: &ListRequest, answer: &[u8]) -> Result<Page> {
    let wrong = |error| Error::internal("Cloud Storage's response is not a list").with_source(error);
    let List { items, prefixes, next_page_token } = serde_json::from_slice(answer).map_err(wrong)?;
    let groups = prefixes.into_iter().map(|prefix| (prefix, None));
    let objects = items.into_iter().map(|item| (item.name.clone(), Some(item)));
    let more = Some(next_page_token.as_str()).filter(|token| !token.is_empty());
    page(request, objects.chain(groups).collect(), more, |location, object| object.meta(location))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(prefix: &str, after: Option<&str>) -> ListRequest {
        let after = after.map(str::to_owned);
        ListRequest::new(prefix, 3).with_delimiter("/").with_after(after)
    }

    #[test]
    fn a_page_continues_after_a_name_or_a_whole_group() {
        let plain = "fields=nextPageToken%2Cprefixes%2Citems%28name%2Csize%2Cgeneration%2Cupdated%29";
        assert_eq!(query(&request("", None), ""), format!("{plain}&maxResults=3&delimiter=%2F"));
        let next = query(&request("a b", Some("a b+")), "");
        assert!(next.ends_with("maxResults=4&delimiter=%2F&prefix=a%20b&startOffset=a%20b%2B"), "{next}");
        let group = query(&request("a", Some("a/b/")), "t");
        assert!(group.ends_with("maxResults=3&delimiter=%2F&pageToken=t&prefix=a&startOffset=a%2Fb0"), "{group}");
        // The object of a folder made in the console is not a group below itself.
        assert!(
            query(&request("a/", Some("a/")), "").ends_with("maxResults=4&delimiter=%2F&prefix=a%2F&startOffset=a%2F")
        );
        let all = ListRequest::new("", usize::MAX);
        assert_eq!(query(&all, ""), format!("{plain}&maxResults=1000"));
    }

    #[test]
    fn the_name_after_a_group_sorts_after_all_of_it() {
        for (prefix, next) in [("a/", Some("a0")), ("\u{d7ff}", Some("\u{e000}")), ("b\u{10ffff}", Some("c"))] {
            assert_eq!(after_prefix(prefix).as_deref(), next);
            assert!(format!("{prefix}\u{10ffff}\u{10ffff}").as_str() < next.unwrap());
        }
        assert_eq!((after_prefix(""), after_prefix("\u{10ffff}")), (None, None));
    }

    #[test]
    fn names_are_returned_as_they_are_stored() {
        let item =
            |name: &str| json!({"name": name, "size": "7", "generation": "17", "updated": "2026-01-02T03:04:05.6Z"});
        let answer = json!({"kind": "storage#objects", "items": [item("ä/%"), item(" a ")], "prefixes": ["b/"]});
        let Ok(Page::Names(page)) = read(&request("", None), answer.to_string().as_bytes()) else { panic!("no name") };
        let names: Vec<_> = page.objects.iter().map(|object| object.location.as_ref()).collect();
        assert_eq!((names, page.prefixes, page.resume), (vec![" a ", "ä/%"], vec!["b/".to_owned()], None));
        assert_eq!((page.objects[0].size, page.objects[0].e_tag.as_deref()), (7, Some("17")));
        for nonsense in ["<html>", "", "7"] {
            assert!(read(&request("", None), nonsense.as_bytes()).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_page_without_names_has_the_token_of_the_next() {
        let empty = read(&request("", None), br#"{"nextPageToken": "t"}"#);
        assert!(matches!(empty, Ok(Page::Empty(token)) if token == "t"));
        assert!(matches!(read(&request("", None), b"{}"), Ok(Page::Names(_))));
    }
}
