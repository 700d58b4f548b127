//! The tokens of a Rust file, for tests that read the sources.

/// A token, and the line that it begins in.
pub(crate) type Token<'a> = (usize, &'a str);

/// Is this token an identifier, a keyword or a number?
pub(crate) fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphanumeric() || first == '_')
}

/// The tokens of a text, without comments, strings and character literals.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let (mut tokens, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let (token, after) = match ignored_length(rest) {
            0 => {
                let is_part = |part: char| part.is_alphanumeric() || part == '_';
                let length = match first {
                    _ if rest.starts_with("::") => 2,
                    first if is_part(first) => rest.find(|part| !is_part(part)).unwrap_or(rest.len()),
                    first => first.len_utf8(),
                };
                tokens.push((line, &rest[..length]));
                rest.split_at(length)
            }
            length => rest.split_at(length),
        };
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

/// The length of the space, the comment, the string or the character literal that a text begins with.
fn ignored_length(text: &str) -> usize {
    let until = |from: usize, end: &str| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    let space = text.len() - text.trim_start().len();
    let raw = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r');
    if let Some(raw) = raw
        && let hashes = raw.len() - raw.trim_start_matches('#').len()
        && raw[hashes..].starts_with('"')
    {
        return until(text.len() - raw.len() + hashes + 1, &format!("\"{}", &raw[..hashes]));
    }
    let mut characters = text.chars();
    match (characters.next(), characters.next(), characters.next()) {
        _ if space > 0 => space,
        (Some('/'), Some('/'), _) => text.find('\n').unwrap_or(text.len()),
        (Some('/'), Some('*'), _) => block_comment(text),
        (Some('"'), ..) => {
            let mut escaped = false;
            let end = |character: char| {
                let ends = character == '"' && !escaped;
                escaped = character == '\\' && !escaped;
                ends
            };
            text[1..].find(end).map_or(text.len(), |at| at + 2)
        }
        (Some('\''), Some('\\'), Some(escaped)) => until(2 + escaped.len_utf8(), "'"),
        (Some('\''), Some(character), Some('\'')) => character.len_utf8() + 2,
        _ => 0,
    }
}

/// The length of a block comment, which may contain others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        at += match rest {
            _ if rest.starts_with("/*") => {
                depth += 1;
                2
            }
            _ if rest.starts_with("*/") => {
                depth -= 1;
                2
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        if depth == 0 {
            break;
        }
    }
    at
}

#[test]
fn comments_strings_and_characters_are_no_tokens() {
    let words = |text: &str| {
        let words = tokens(text).into_iter().filter(|(_, token)| is_word(token));
        words.map(|(_, token)| token.to_owned()).collect::<Vec<_>>()
    };
    for hidden in [
        "// x",
        "/* x */",
        "/* a /* b */ x */",
        "\"x\"",
        "\"\\\"x\"",
        "'x'",
        "'\\''",
        "r\"x\"",
        "r#\"\"x\"#",
        "br##\"x\"# x\"##",
        "cr#\"x\"#",
    ] {
        assert_eq!(words(&format!("one {hidden}\ntwo")), ["one", "two"], "{hidden}");
    }
    assert_eq!(words("fn f<'a>(it: &'a str)"), ["fn", "f", "a", "it", "a", "str"]);
    assert_eq!(tokens("a\n\"\n\"\nb"), [(1, "a"), (4, "b")]);
}
