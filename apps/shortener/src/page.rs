//! The page of the newest links.

use crate::links::Link;

/// How many links the page shows.
pub(crate) const LENGTH: usize = 100;

pub(crate) fn render(links: &[(String, Link)]) -> String {
    let items: String = links.iter().map(item).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Newest links</title>\n\
         <h1>Newest links</h1>\n<ul>\n{items}</ul>\n</html>\n"
    )
}

fn item((id, link): &(String, Link)) -> String {
    format!("  <li><a href=\"{id}\">{id}</a> {}</li>\n", escape(&link.url))
}

/// Makes text safe in HTML, between tags and in quoted attributes alike.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_url_stays_text() {
        let url = "https://example.org/?a=1&b=2#\"><script>alert('x')</script>".to_owned();
        let page = render(&[("abc1234".to_owned(), Link { url })]);
        let escaped = "https://example.org/?a=1&amp;b=2#&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;";
        assert!(page.contains(escaped) && !page.contains("<script>"), "{page}");
    }
}
