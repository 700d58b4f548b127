//! The table of words in `STYLE.md`, checked in every source and document of the workspace.
//!
//! Identifiers are split into their words, so that the rules `all` and `code` find a word in `snake_case` and in
//! `CamelCase`. The rules `names` apply to whole identifiers of Rust code, and to neither comments nor strings.
#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

mod rust_lexer;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rust_lexer::{is_word, tokens};

/// File, word and reason: words that are correct in spite of the table.
const ALLOWED: &[(&str, &str, &str)] = &[];

/// Folders and files that are not checked: build output, other projects, and the texts about the words.
const UNCHECKED_FOLDERS: [&str; 4] = [".git", "target", "node_modules", "peers"];
const UNCHECKED_FILES: [&str; 2] = ["CHANGELOG.md", "STYLE.md"];
const EXTENSIONS: [&str; 8] = ["rs", "md", "py", "sh", "toml", "js", "mjs", "html"];

/// Where a word of the table must not appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    RustFiles,
    Identifiers,
}

#[derive(Debug)]
struct Rule {
    word: String,
    instead: String,
    scope: Scope,
}

#[derive(Debug, PartialEq, Eq)]
struct Hit<'a> {
    line: usize,
    word: &'a str,
    instead: &'a str,
}

/// The rules in the table of a style guide.
fn rules(style: &str) -> Vec<Rule> {
    let rows = style.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
        let [words, instead, scope] = cells[..] else { return None };
        let scope = match scope {
            "all" => Scope::All,
            "code" => Scope::RustFiles,
            "names" => Scope::Identifiers,
            _ => return None,
        };
        Some((words, instead, scope))
    });
    rows.flat_map(|(words, instead, scope)| {
        words.split(", ").map(move |word| Rule { word: word.to_owned(), instead: instead.to_owned(), scope })
    })
    .collect()
}

/// A line with its identifiers split into words, in lower case.
fn split_words(line: &str) -> String {
    let mut words = String::with_capacity(line.len() + 16);
    let mut before = ' ';
    for character in line.chars() {
        let begins_word = character.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit());
        match character {
            '_' if before == '_' => {}
            '_' => words.push(' '),
            _ if begins_word => words.extend([' ', character.to_ascii_lowercase()]),
            _ => words.extend(character.to_lowercase()),
        }
        before = character;
    }
    words
}

/// Rules by the first character of their word.
type Index<'a> = BTreeMap<char, Vec<&'a Rule>>;

fn index<'a>(rules: impl Iterator<Item = &'a Rule>) -> Index<'a> {
    let mut index = Index::new();
    rules.for_each(|rule| index.entry(rule.word.chars().next().unwrap()).or_default().push(rule));
    index
}

/// The words of these rules in a line, from left to right.
fn find_in_line<'a>(line: &str, rules: &Index<'a>) -> Vec<&'a Rule> {
    let line = split_words(line);
    let (mut hits, mut at, mut before) = (Vec::new(), 0, ' ');
    while let Some(character) = line[at..].chars().next() {
        let candidates = rules.get(&character).filter(|_| !before.is_alphanumeric());
        let ends = |word: &str| !line[at + word.len()..].starts_with(char::is_alphanumeric);
        let is_hit = |rule: &&&Rule| line[at..].starts_with(&rule.word) && ends(&rule.word);
        match candidates.and_then(|rules| rules.iter().find(is_hit)) {
            Some(rule) => {
                hits.push(*rule);
                at += rule.word.len();
                before = 'x';
            }
            None => {
                at += character.len_utf8();
                before = character;
            }
        }
    }
    hits
}

/// All hits in the text of a file.
fn find<'a>(text: &str, is_rust: bool, rules: &'a [Rule]) -> Vec<Hit<'a>> {
    let applies = |rule: &&Rule| rule.scope == Scope::All || (is_rust && rule.scope == Scope::RustFiles);
    let in_lines = index(rules.iter().filter(applies));
    let hit = |line, rule: &'a Rule| Hit { line, word: &rule.word, instead: &rule.instead };
    let lines = text.lines().zip(1..);
    let mut hits: Vec<_> = lines
        .flat_map(|(text, line)| find_in_line(text, &in_lines).into_iter().map(move |rule| hit(line, rule)))
        .collect();
    if is_rust {
        let names = rules.iter().filter(|rule| rule.scope == Scope::Identifiers).collect::<Vec<_>>();
        let words = tokens(text).into_iter().filter(|(_, token)| is_word(token));
        let named = |(line, token)| names.iter().find(|rule| rule.word == token).map(|rule| hit(line, rule));
        hits.extend(words.filter_map(named));
    }
    hits.sort_by_key(|hit| hit.line);
    hits
}

impl fmt::Display for Hit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: \"{}\" → {}", self.line, self.word, self.instead)
    }
}

/// The paths of all checked files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if path.is_dir() && !path.is_symlink() && !UNCHECKED_FOLDERS.contains(&name) {
            paths.extend(files(&path));
        } else if path.is_file()
            && (EXTENSIONS.contains(&extension) || path.ends_with(".ci/run"))
            && !UNCHECKED_FILES.contains(&name)
        {
            paths.push(path);
        }
    }
    paths.sort();
    paths
}

#[test]
fn the_words_of_the_style_guide_are_not_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let rules = rules(&fs::read_to_string(root.join("STYLE.md")).unwrap());
    assert!(rules.len() > 60, "the table of STYLE.md has another form: {} rules", rules.len());
    let (mut found, mut unused) = (Vec::new(), ALLOWED.to_vec());
    for path in files(&root) {
        let file = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        let text = fs::read_to_string(&path).unwrap();
        for hit in find(&text, file.ends_with(".rs"), &rules) {
            let is_allowed = |allowed: &(&str, &str, &str)| allowed.0 == file && allowed.1 == hit.word;
            unused.retain(|allowed| !is_allowed(allowed));
            if !ALLOWED.iter().any(is_allowed) {
                found.push(format!("{file}:{hit}"));
            }
        }
    }
    assert!(found.is_empty(), "{} words that STYLE.md replaces:\n{}", found.len(), found.join("\n"));
    assert!(unused.is_empty(), "not needed any more in ALLOWED: {unused:?}");
}

const TABLE: &str = "\
| not | but | where |
|---|---|---|
| frob, frobs, at frob | write | all |
| glorp | read | code |
| blip | a noun: `item` | names |
| not a rule | because of its scope | nowhere |
";

/// Line and word of each hit.
fn hits(file: &str, text: &str) -> Vec<(usize, String)> {
    let rules = rules(TABLE);
    find(text, file.ends_with(".rs"), &rules).into_iter().map(|hit| (hit.line, hit.word.to_owned())).collect()
}

#[test]
fn a_word_is_found_in_names_comments_and_strings() {
    for text in [
        "let frob = 1;",
        "let can_frob = 1;",
        "struct CanFrob;",
        "struct FrobIt;",
        "const MAY_FROB: u8 = 1;",
        "// They frob.",
        "/// Frob!",
        "let a = \"to frob\";",
        "let a = r#\"\nfrob\"#;",
        "/* a\n frob */",
    ] {
        let found = hits("a.rs", text);
        assert_eq!(found, [(text.lines().count(), "frob".to_owned())], "{text}");
    }
    assert_eq!(hits("a.md", "a\nIt frobs, frob."), [(2, "frobs".to_owned()), (2, "frob".to_owned())]);
}

#[test]
fn a_word_is_not_found_inside_another() {
    for text in ["afrob", "frobber", "frobé", "frob2", "FROBBER", "refrobs"] {
        assert_eq!(hits("a.rs", text), [], "{text}");
    }
}

#[test]
fn a_phrase_is_found_with_spaces_and_in_names() {
    for text in ["all at frob", "fn at_frob()", "fn all_at_frob()", "struct AtFrob;"] {
        assert_eq!(hits("a.rs", text), [(1, "at frob".to_owned())], "{text}");
    }
}

#[test]
fn rules_of_code_apply_to_rust_files_only() {
    assert_eq!(hits("a.rs", "// glorp"), [(1, "glorp".to_owned())]);
    assert_eq!(hits("a.md", "glorp"), []);
}

#[test]
fn rules_of_names_apply_to_whole_identifiers_of_code() {
    assert_eq!(hits("a.rs", "fn f(a: u8) {\n    let blip = 'a';\n}"), [(2, "blip".to_owned())]);
    let ignored = "// blip\n/* /* */ blip */ \"blip \\\" blip\" r#\"blip \" blip\"# is_blip Blip '\\'' b\"blip\"";
    assert_eq!(hits("a.rs", ignored), []);
    assert_eq!(hits("a.md", "blip"), []);
}

#[test]
fn a_hit_names_line_word_and_replacement() {
    let rules = rules(TABLE);
    assert_eq!(find("frob", false, &rules)[0].to_string(), "1: \"frob\" → write");
}
