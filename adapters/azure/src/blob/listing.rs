//! The requests and responses of lists.

use chrono::{DateTime, Utc};
use isobar_abstraction::driver::blob::{ListRequest, Listing};
use isobar_abstraction::{Error, Origin, Result};
use isobar_rest::object::{Page, encode_query, object_path};
use object_store::ObjectMeta;
use object_store::path::Path;
use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// The most names on a page of Azure.
pub(super) const LARGEST_PAGE: usize = 5_000;

/// The position of the next page: Azure's marker, and the last group of the page before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) marker: String,
    group: String,
}

impl Cursor {
    /// Errors: `InvalidInput` where the request's cursor is not from a page.
    pub(super) fn of(request: &ListRequest) -> Result<Self> {
        let Some(after) = &request.after else { return Ok(Self::default()) };
        let read = || {
            let (length, rest) = after.split_once(':')?;
            let (marker, group) = rest.split_at_checked(length.parse().ok()?)?;
            Some(Self { marker: marker.to_owned(), group: group.to_owned() }).filter(|cursor| cursor.text() == *after)
        };
        read().ok_or_else(|| {
            Error::invalid_input("not a list cursor of Azure: pass the cursor of the previous page")
                .with_origin(Origin::Request)
        })
    }

    fn text(&self) -> String {
        format!("{}:{}{}", self.marker.len(), self.marker, self.group)
    }
}

/// The query of `List Blobs`. <https://learn.microsoft.com/rest/api/storageservices/list-blobs>
pub(super) fn query(request: &ListRequest, marker: &str) -> String {
    let limit = request.limit.clamp(1, LARGEST_PAGE).to_string();
    let mut pairs = vec![("restype", "container"), ("comp", "list"), ("maxresults", limit.as_str())];
    let delimiter = request.delimiter.as_deref().unwrap_or_default();
    let optional = [("delimiter", delimiter), ("marker", marker), ("prefix", request.prefix.as_str())];
    pairs.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
    encode_query(&pairs)
}

/// One blob of a list.
#[derive(Default)]
struct ListedBlob {
    name: String,
    modified: String,
    size: String,
    e_tag: String,
    kind: String,
}

/// The content of a response.
#[derive(Default)]
struct List {
    blobs: Vec<ListedBlob>,
    groups: Vec<String>,
    next: String,
}

/// Reads a response. Errors: `Internal`.
pub(super) fn read(cursor: &Cursor, answer: &[u8]) -> Result<Page> {
    let wrong = |error| Error::internal("Blob Storage did not return the expected list").with_source(error);
    let List { blobs, mut groups, next } = parse(answer).map_err(wrong)?;
    // The end of a page may split a group, which is then on both pages.
    groups.retain(|group| *group != cursor.group);
    if blobs.is_empty() && groups.is_empty() && !next.is_empty() {
        return Ok(Page::Empty(next));
    }
    let (mut objects, mut unreadable) = (Vec::with_capacity(blobs.len()), Vec::new());
    // Hierarchical accounts have directories, which are no objects.
    for blob in blobs.into_iter().filter(|blob| blob.kind != "directory") {
        match object_path(&blob.name) {
            Some(location) => objects.push(meta(location, blob)?),
            None => unreadable.push(blob.name),
        }
    }
    objects.sort_by(|a: &ObjectMeta, b| a.location.as_ref().cmp(b.location.as_ref()));
    groups.sort();
    let group = groups.last().cloned().unwrap_or_else(|| cursor.group.clone());
    let resume = (!next.is_empty()).then(|| Cursor { marker: next, group }.text());
    Ok(Page::Names(Listing::new(objects, groups, resume).with_unreadable(unreadable)))
}

/// Parses by hand, to keep spaces at the ends of names.
fn parse(answer: &[u8]) -> std::result::Result<List, quick_xml::Error> {
    let mut reader = Reader::from_reader(answer);
    let mut parser = Parser::default();
    let mut buffer = Vec::new();
    loop {
        match reader.read_event_into(&mut buffer)? {
            Event::Start(start) => {
                parser.encoded = is_encoded(&start);
                parser.path.push(String::from_utf8_lossy(start.local_name().as_ref()).into_owned());
                parser.text.clear();
            }
            Event::Text(piece) => parser.text.push_str(&String::from_utf8_lossy(&piece)),
            Event::CData(piece) => parser.text.push_str(&String::from_utf8_lossy(&piece)),
            Event::GeneralRef(reference) => parser.text.push_str(&resolved(&reference)?),
            Event::End(_) => parser.end(),
            Event::Eof if parser.path.is_empty() && parser.is_list => return Ok(parser.page),
            Event::Eof => {
                let end = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the list ended early");
                return Err(quick_xml::Error::from(end));
            }
            _ => {}
        }
        buffer.clear();
    }
}

/// The state of the parser.
#[derive(Default)]
struct Parser {
    page: List,
    blob: ListedBlob,
    /// The names of the open elements.
    path: Vec<String>,
    text: String,
    /// Whether the text of the innermost element is encoded.
    encoded: bool,
    is_list: bool,
}

impl Parser {
    /// Closes the innermost element and stores its text.
    fn end(&mut self) {
        let Self { page, blob, path, encoded, .. } = self;
        let element = path.pop().unwrap_or_default();
        let parent = path.last().map(String::as_str).unwrap_or_default();
        let text = std::mem::take(&mut self.text);
        match (parent, element.as_str()) {
            ("Blob", "Name") => blob.name = decoded(text, *encoded),
            ("BlobPrefix", "Name") => page.groups.push(decoded(text, *encoded)),
            ("Properties", "Last-Modified") => blob.modified = text,
            ("Properties", "Content-Length") => blob.size = text,
            ("Properties", "Etag") => blob.e_tag = text,
            ("Properties", "ResourceType") => blob.kind = text,
            ("Blobs", "Blob") => page.blobs.push(std::mem::take(blob)),
            ("EnumerationResults", "NextMarker") => page.next = text,
            ("", "EnumerationResults") => self.is_list = true,
            _ => {}
        }
    }
}

fn is_encoded(start: &BytesStart<'_>) -> bool {
    start.try_get_attribute("Encoded").ok().flatten().is_some_and(|attribute| attribute.value.as_ref() == b"true")
}

/// Decodes a name: one with characters that XML cannot contain is percent-encoded.
fn decoded(text: String, encoded: bool) -> String {
    if encoded { percent_decode_str(&text).decode_utf8_lossy().into_owned() } else { text }
}

fn resolved(reference: &BytesRef<'_>) -> std::result::Result<String, quick_xml::Error> {
    if let Some(character) = reference.resolve_char_ref()? {
        return Ok(character.to_string());
    }
    let name = String::from_utf8_lossy(reference).into_owned();
    let character = quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned);
    Ok(character.unwrap_or_else(|| format!("&{name};")))
}

fn meta(location: Path, blob: ListedBlob) -> Result<ObjectMeta> {
    let ListedBlob { modified, size, e_tag, .. } = blob;
    let wrong = |field: &str, value: &str| {
        Error::internal(format!("Blob Storage returned a malformed {field} in a list: `{}`", value.escape_debug()))
    };
    let last_modified: DateTime<Utc> =
        DateTime::parse_from_rfc2822(&modified).map_err(|_| wrong("Last-Modified", &modified))?.into();
    let size = size.parse().map_err(|_| wrong("Content-Length", &size))?;
    // Lists return it without the quotes of headers.
    let e_tag = if e_tag.starts_with('"') { e_tag } else { format!("\"{e_tag}\"") };
    Ok(ObjectMeta { location, last_modified, size, e_tag: Some(e_tag), version: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(prefix: &str, after: Option<&str>) -> ListRequest {
        let after = after.map(str::to_owned);
        ListRequest::new(prefix, 3).with_delimiter("/").with_after(after)
    }

    fn page(blobs: &[&str], groups: &[&str], next: &str) -> String {
        let mut xml =
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"c\"><Blobs>"
                .to_owned();
        for name in blobs {
            let name = if name.starts_with('<') { (*name).to_owned() } else { format!("<Name>{name}</Name>") };
            xml += &format!("<Blob>{name}<Properties><Last-Modified>Thu, 01 Jan 2026 03:04:05 GMT</Last-Modified>");
            xml += "<Etag>0x8D1</Etag><Content-Length>7</Content-Length><Content-Type /></Properties></Blob>";
        }
        for group in groups {
            xml += &format!("<BlobPrefix><Name>{group}</Name></BlobPrefix>");
        }
        xml + &format!("</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>")
    }

    fn read_page(request: &ListRequest, xml: &str) -> Result<Listing> {
        match read(&Cursor::of(request)?, xml.as_bytes())? {
            Page::Names(listing) => Ok(listing),
            Page::Empty(marker) => panic!("no page, but {marker}"),
        }
    }

    fn names(listing: &Listing) -> Vec<&str> {
        listing.objects.iter().map(|object| object.location.as_ref()).collect()
    }

    #[test]
    fn a_query_contains_the_parameters_of_the_request() {
        let plain = "restype=container&comp=list&maxresults=3&delimiter=%2F";
        assert_eq!(query(&request("", None), ""), plain);
        assert_eq!(query(&request("a b%", None), "m!1"), format!("{plain}&marker=m%211&prefix=a%20b%25"));
        let all = ListRequest::new("", usize::MAX);
        assert_eq!(query(&all, ""), "restype=container&comp=list&maxresults=5000");
    }

    #[test]
    fn names_are_returned_as_they_are_stored() {
        let encoded = "<Name Encoded=\"true\">z%EF%BF%BE%25</Name>";
        let xml = page(&[" a ", "a&amp;b&#x20;c", "a%20b", "ä/%", encoded], &["a &lt;/"], "");
        let listing = read_page(&request("", None), &xml).unwrap();
        assert_eq!(names(&listing), [" a ", "a%20b", "a&b c", "z\u{fffe}%", "ä/%"]);
        assert_eq!((listing.prefixes, listing.resume), (vec!["a </".to_owned()], None));
        let object = &listing.objects[0];
        assert_eq!((object.size, object.e_tag.as_deref()), (7, Some("\"0x8D1\"")));
        assert_eq!(object.last_modified.to_rfc3339(), "2026-01-01T03:04:05+00:00");
    }

    #[test]
    fn a_group_that_is_split_over_two_pages_is_returned_once() {
        let first = read_page(&request("", None), &page(&["b"], &["a/", "c:1/"], "2!8:m ")).unwrap();
        let second = request("", first.resume.as_deref());
        assert_eq!(Cursor::of(&second).unwrap(), Cursor { marker: "2!8:m ".to_owned(), group: "c:1/".to_owned() });
        let listing = read_page(&second, &page(&[], &["c:1/", "d/"], "")).unwrap();
        assert_eq!(listing.prefixes, ["d/"]);
        for wrong in ["", "x", "9:a", "1:", "01:a", "-1:a", "1:ä"] {
            assert!(Cursor::of(&request("", Some(wrong))).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_page_without_names_returns_the_marker_of_the_next() {
        let empty = read(&Cursor::default(), page(&[], &[], "next").as_bytes()).unwrap();
        assert!(matches!(empty, Page::Empty(marker) if marker == "next"));
        assert!(matches!(read(&Cursor::default(), page(&[], &[], "").as_bytes()), Ok(Page::Names(_))));
    }

    #[test]
    fn names_that_are_no_paths_are_unreadable() {
        let listing = read_page(&request("p/", None), &page(&["p/", "p//a", "p/b"], &[], "m")).unwrap();
        assert_eq!((names(&listing), listing.resume.as_deref()), (vec!["p/b"], Some("1:m")));
        assert_eq!(listing.unreadable, ["p/", "p//a"]);
    }

    #[test]
    fn a_response_that_is_not_a_complete_list_is_an_error() {
        let whole = page(&["a"], &["b/"], "m");
        for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            let cut = read(&Cursor::default(), &whole.as_bytes()[..end]);
            assert!(cut.is_err(), "cut at {end}");
        }
        for nonsense in ["<html>", "<html></html>", "", "\0", "{}"] {
            assert!(read(&Cursor::default(), nonsense.as_bytes()).is_err(), "{nonsense}");
        }
        let sizeless = page(&["a"], &[], "").replace("<Content-Length>7", "<Content-Length>-7");
        assert!(read_page(&request("", None), &sizeless).is_err());
    }
}
