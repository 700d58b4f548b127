//! Circles of imports between the files of a crate.
//!
//! A module and its children count as one: among the children of each module, the crate's root too, a child stands for
//! all files below it, and imports each sibling below which one of them names something. What a module and its
//! own children or parents name of each other does not count. A re-export stands for the file that it leads to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{shown, sources};

#[test]
fn files_import_each_other_in_no_circle() {
    let adapters = ["rest", "serve", "local", "aws", "azure", "gcp"].map(|name| format!("adapters/{name}/src"));
    let apps = ["shortener", "chatbot"].map(|name| format!("apps/{name}/src"));
    let crates = ["src", "abstraction/src"].map(str::to_owned).into_iter().chain(adapters).chain(apps);
    let found: Vec<_> = crates.flat_map(|source| Crate::read(&source).circles(&source)).collect();
    assert!(found.is_empty(), "circles of imports\n{}", found.join("\n"));
}

/// The path of a module, or of a name: its segments.
type Segments = Vec<String>;

/// What a file names of its crate: where, and under which name it knows it from then on.
struct Named {
    line: usize,
    path: Segments,
    alias: Option<String>,
}

struct Crate(BTreeMap<Segments, (String, Vec<Named>)>);

impl Crate {
    fn read(source: &str) -> Self {
        let module = |path: &Path| {
            let file = shown(path).strip_prefix(source)?.trim_start_matches('/').strip_suffix(".rs")?.to_owned();
            let mut segments: Segments = file.split('/').map(str::to_owned).collect();
            let test = segments.iter().any(|segment| segment == "tests" || segment == "double");
            segments.pop_if(|last| ["lib", "mod"].contains(&last.as_str()));
            (!test && file != "main").then(|| (segments, (shown(path), names(&std::fs::read_to_string(path).unwrap()))))
        };
        Self(sources(source).iter().filter_map(|path| module(path)).collect())
    }

    /// The module in which a path begins, and the rest of it; `None` where it leads out of the crate.
    fn start(&self, module: &[String], path: &[String]) -> Option<(Segments, Segments)> {
        let (mut module, mut path) = (module.to_vec(), path.to_vec());
        match path.first()?.as_str() {
            "crate" => module.clear(),
            "self" => {}
            "super" => {
                while path.first().is_some_and(|segment| segment == "super") {
                    module.pop();
                    path.remove(0);
                }
                return Some((module, path));
            }
            child => {
                let is_child = self.0.contains_key(&[&module[..], &[child.to_owned()]].concat());
                return is_child.then_some((module, path));
            }
        }
        path.remove(0);
        Some((module, path))
    }

    /// The module that defines what a path of this module names.
    fn target(&self, module: &[String], path: &[String], depth: usize) -> Option<Segments> {
        let (mut module, path) = self.start(module, path)?;
        for (place, segment) in path.iter().enumerate() {
            let child = [&module[..], std::slice::from_ref(segment)].concat();
            if self.0.contains_key(&child) {
                module = child;
                continue;
            }
            let alias = self.0[&module].1.iter().find(|named| named.alias.as_ref() == Some(segment));
            let Some(named) = alias.filter(|_| depth < 9) else { break };
            let path = [&named.path[..], &path[place + 1..]].concat();
            return Some(self.target(&module, &path, depth + 1).unwrap_or(module));
        }
        Some(module)
    }

    /// The circles among the children of each module, with the lines that make them.
    fn circles(&self, source: &str) -> Vec<String> {
        let mut levels: BTreeMap<Segments, BTreeSet<(String, String, String)>> = BTreeMap::new();
        for (module, (file, names)) in &self.0 {
            for Named { line, path, .. } in names {
                let Some(target) = self.target(module, path, 0) else { continue };
                let same = module.iter().zip(&target).take_while(|(one, other)| one == other).count();
                if let (Some(from), Some(to)) = (module.get(same), target.get(same)) {
                    let place = format!("{file}:{line} {}", path.join("::"));
                    levels.entry(module[..same].to_vec()).or_default().insert((from.clone(), to.clone(), place));
                }
            }
        }
        let circle = |(level, mut imports): (Segments, BTreeSet<_>)| {
            // A module that imports no other, or that no other imports, is in no circle.
            loop {
                let (all, count) = (imports.clone(), imports.len());
                imports.retain(|(from, to, _)| {
                    all.iter().any(|(other, ..)| other == to) && all.iter().any(|(_, other, _)| other == from)
                });
                if imports.len() == count {
                    break;
                }
            }
            let lines: Vec<_> = imports.iter().map(|(from, to, place)| format!("  {from} → {to}: {place}")).collect();
            (!lines.is_empty()).then(|| format!("{source}, in `{}`:\n{}", level.join("::"), lines.join("\n")))
        };
        levels.into_iter().filter_map(circle).collect()
    }
}

/// All paths of a file that its `use` declarations have, and all others that begin with `crate` or `super`.
fn names(text: &str) -> Vec<Named> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code = text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    let tokens: Vec<_> =
        code.zip(1..).flat_map(|(line, number)| tokens(line).into_iter().map(move |it| (number, it))).collect();
    let (mut names, mut rest, mut before) = (Vec::new(), &tokens[..], (0, ""));
    while let [token, after @ ..] = rest {
        // The word stands in texts as well.
        let declares = before.0 != token.0 || ["pub", ")"].contains(&before.1);
        before = *token;
        rest = match token.1 {
            "use" if declares => tree(after, &Vec::new(), &mut names),
            "crate" | "super" if after.first().is_some_and(|(_, next)| *next == "::") => {
                let path = rest.iter().map(|(_, token)| *token).take_while(|token| *token == "::" || is_word(token));
                let path: Segments = path.filter(|token| *token != "::").map(str::to_owned).collect();
                names.push(Named { line: token.0, path, alias: None });
                after.iter().position(|(_, next)| *next != "::" && !is_word(next)).map_or(&[], |end| &after[end..])
            }
            _ => after,
        };
    }
    names
}

/// Reads one branch of a `use` declaration, and returns what is behind it.
fn tree<'a>(mut rest: &'a [(usize, &'a str)], before: &Segments, names: &mut Vec<Named>) -> &'a [(usize, &'a str)] {
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

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphanumeric() || first == '_')
}

fn tokens(line: &str) -> Vec<&str> {
    let (mut tokens, mut rest) = (Vec::new(), line.trim_start());
    while let Some(first) = rest.chars().next() {
        let is_part = |part: char| part.is_alphanumeric() || part == '_';
        let length = match first {
            _ if rest.starts_with("::") => 2,
            first if is_part(first) => rest.find(|part| !is_part(part)).unwrap_or(rest.len()),
            first => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}
