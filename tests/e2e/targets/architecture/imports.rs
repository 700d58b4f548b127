//! The names of a crate that a file uses, read from its text.

use std::collections::BTreeMap;

use super::rust_lexer::{Token, is_word, tokens};

/// The segments of the path of a module or a name.
pub(super) type Segments = Vec<String>;

/// A name of the crate that a module uses: its line, its path, and the name under which it is imported.
pub(super) struct Named {
    pub(super) line: usize,
    pub(super) path: Segments,
    pub(super) alias: Option<String>,
}

/// A module, and the file that contains it.
pub(super) struct Module {
    pub(super) file: String,
    pub(super) names: Vec<Named>,
}

/// Adds the modules of a file: all paths of its `use` declarations, and all others of two segments and more. Modules of
/// tests that are files of their own are listed.
pub(super) fn read_file(
    path: &Segments,
    file: &str,
    text: &str,
    modules: &mut BTreeMap<Segments, Module>,
    tests: &mut Vec<Segments>,
) {
    let empty = || Module { file: file.to_owned(), names: Vec::new() };
    modules.insert(path.clone(), empty());
    // The enclosing modules, each with the depth of its braces.
    let (mut inside, mut depth) = (vec![(path.clone(), 0)], 0);
    let tokens = tokens(text);
    let mut rest = &tokens[..];
    while let [(line, token), after @ ..] = rest {
        let (module, opened) = inside.last().unwrap().clone();
        let names = &mut modules.get_mut(&module).unwrap().names;
        rest = match (*token, after) {
            ("#", [(_, "["), (_, "cfg"), (_, "("), (_, "test"), (_, ")"), (_, "]"), item @ ..]) => {
                if let Some(name) = file_of(item) {
                    tests.push([module, vec![name]].concat());
                }
                end_of(item)
            }
            ("mod", [(_, name), (_, "{"), body @ ..]) => {
                depth += 1;
                let module = [module, vec![(*name).to_owned()]].concat();
                modules.insert(module.clone(), empty());
                inside.push((module, depth));
                body
            }
            ("{", _) => {
                depth += 1;
                after
            }
            ("}", _) => {
                if opened == depth && depth > 0 {
                    inside.pop();
                }
                depth -= 1;
                after
            }
            // Not `impl Trait + use<…>`.
            ("use", [(_, next), ..]) if *next != "<" => tree(after, &Vec::new(), names),
            (word, [(_, "::"), ..]) if is_word(word) => {
                let (path, behind) = path_of(word, after);
                names.push(Named { line: *line, path, alias: None });
                behind
            }
            _ => after,
        };
    }
}

fn path_of<'a, 'b>(first: &str, mut rest: &'b [Token<'a>]) -> (Segments, &'b [Token<'a>]) {
    let mut path = vec![first.to_owned()];
    while let [(_, "::"), (_, next), after @ ..] = rest
        && is_word(next)
    {
        path.push((*next).to_owned());
        rest = after;
    }
    (path, rest)
}

/// The name in `mod name;`, with any visibility.
fn file_of(item: &[Token<'_>]) -> Option<String> {
    let end = item.iter().position(|(_, token)| ["{", ";"].contains(token))?;
    match &item[..=end] {
        [.., (_, "mod"), (_, name), (_, ";")] => Some((*name).to_owned()),
        _ => None,
    }
}

/// The tokens after an item.
fn end_of<'a, 'b>(item: &'b [Token<'a>]) -> &'b [Token<'a>] {
    let mut depth = 0;
    for (place, (_, token)) in item.iter().enumerate() {
        match *token {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        match *token {
            // The end of the block or the struct that contains a statement or a field.
            _ if depth < 0 => return &item[place..],
            "}" | ";" if depth == 0 => return &item[place + 1..],
            _ => {}
        }
    }
    &[]
}

/// Reads one branch of a `use` declaration, and returns the tokens after it.
fn tree<'a, 'b>(mut rest: &'b [Token<'a>], before: &Segments, names: &mut Vec<Named>) -> &'b [Token<'a>] {
    let (mut path, mut alias) = (before.clone(), None);
    while let [(line, token), after @ ..] = rest {
        match *token {
            "{" => {
                rest = after;
                while rest.first().is_some_and(|(_, token)| *token != "}") {
                    rest = tree(rest, &path, names);
                    rest = rest.strip_prefix(&[(rest[0].0, ",")]).unwrap_or(rest);
                }
                return rest.get(1..).unwrap_or_default();
            }
            "as" => {
                alias = after.first().map(|(_, name)| (*name).to_owned());
                rest = after.get(1..).unwrap_or_default();
            }
            "," | ";" | "}" => {
                path.pop_if(|last| last == "self");
                let alias = alias.or_else(|| path.last().cloned());
                names.push(Named { line: *line, path, alias });
                return rest;
            }
            "::" => rest = after,
            segment => {
                path.push(segment.to_owned());
                rest = after;
            }
        }
    }
    rest
}
