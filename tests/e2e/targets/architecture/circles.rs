//! Circles of imports between the files of a crate.
//!
//! A module and its children count as one: among the children of each module, a child represents all files below it, and
//! imports each sibling of which one of these files names an item. Imports between a module and its own children or parents
//! do not count; but the root of a crate counts as a sibling of its children: it imports them, or they import it. A re-export
//! represents the file of its item. Code under `#[cfg(test)]` is left out.
//!
//! A glob of the crate's own names would hide the imported names, and is rejected.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::imports::{Module, Named, Segments, read_file};
use super::{metadata, sources};

#[test]
fn files_import_each_other_in_no_circle() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let folders = packages.map(|it| Path::new(it["manifest_path"].as_str().unwrap()).with_file_name("src"));
    let found: Vec<_> = folders.flat_map(|folder| read(&folder).circles()).collect();
    assert!(found.is_empty(), "circles of imports\n{}", found.join("\n"));
}

fn read(folder: &Path) -> Crate {
    let files = sources(folder.to_str().unwrap());
    let files: Vec<_> = files.iter().map(|path| (path, std::fs::read_to_string(path).unwrap())).collect();
    let named = files.iter().map(|(path, text)| (path.strip_prefix(folder).unwrap().to_str().unwrap(), &**text));
    Crate::new(folder.to_str().unwrap(), named)
}

/// The modules of a crate, with inline modules.
struct Crate {
    folder: String,
    modules: BTreeMap<Segments, Module>,
}

impl Crate {
    /// Reads the text of files, by their path below the folder. A program is a separate crate, and left out.
    fn new<'a>(folder: &str, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut modules, mut tests) = (BTreeMap::new(), Vec::new());
        for (file, text) in files {
            let mut path: Segments = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            if path[0] == "bin" || path[0] == "main" {
                continue;
            }
            path.pop_if(|last| ["lib", "mod"].contains(&last.as_str()));
            read_file(&path, file, text, &mut modules, &mut tests);
        }
        modules.retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
        Self { folder: folder.to_owned(), modules }
    }

    /// The module that defines the item at a path in this module; `None` if another crate defines it.
    fn target(&self, module: &[String], path: &[String], depth: usize) -> Option<Segments> {
        let (mut module, mut rest) = (module.to_vec(), path);
        while let [first, after @ ..] = rest {
            match first.as_str() {
                "crate" => module.clear(),
                "super" => drop(module.pop()),
                "self" => {}
                _ => break,
            }
            rest = after;
        }
        for (place, segment) in rest.iter().enumerate() {
            let child = [&module[..], std::slice::from_ref(segment)].concat();
            if self.modules.contains_key(&child) {
                module = child;
                continue;
            }
            let names = &self.modules.get(&module)?.names;
            return match names.iter().find(|named| named.alias.as_ref() == Some(segment)) {
                Some(named) if depth < 9 => {
                    self.target(&module, &[&named.path[..], &rest[place + 1..]].concat(), depth + 1)
                }
                Some(_) => None,
                // The first name of a path without `crate` or `super` may be that of a crate.
                None => (place > 0 || rest.len() < path.len()).then_some(module),
            };
        }
        Some(module)
    }

    /// The rejected globs, and the circles among the children of each module with a line for each import.
    fn circles(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut levels: BTreeMap<&[String], BTreeMap<(String, String), String>> = BTreeMap::new();
        for (module, Module { file, names }) in &self.modules {
            for Named { line, path, .. } in names {
                let place = format!("{file}:{line} {}", path.join("::"));
                let glob = path.strip_suffix(&["*".to_owned()]);
                let Some(target) = self.target(module, glob.unwrap_or(path), 0) else { continue };
                if glob.is_some() {
                    found.push(format!("{}: a glob: {place}", self.folder));
                }
                let same = module.iter().zip(&target).take_while(|(one, other)| one == other).count();
                let node = |path: &Segments| match path.is_empty() {
                    true => Some("lib.rs".to_owned()),
                    false => path.get(same).cloned(),
                };
                match (node(module), node(&target)) {
                    (Some(from), Some(to)) if from != to => {
                        levels.entry(&module[..same]).or_default().entry((from, to)).or_insert(place);
                    }
                    _ => {}
                }
            }
        }
        for (level, mut imports) in levels {
            keep_circles(&mut imports);
            if !imports.is_empty() {
                let lines: Vec<_> = imports.iter().map(|((from, to), at)| format!("  {from} → {to}: {at}")).collect();
                found.push(format!("{}, in `{}`:\n{}", self.folder, level.join("::"), lines.join("\n")));
            }
        }
        found
    }
}

/// A module that imports no other, or that no other imports, is in no circle.
fn keep_circles(imports: &mut BTreeMap<(String, String), String>) {
    loop {
        let count = imports.len();
        let from: BTreeSet<_> = imports.keys().map(|(from, _)| from.clone()).collect();
        let to: BTreeSet<_> = imports.keys().map(|(_, to)| to.clone()).collect();
        imports.retain(|(one, other), _| to.contains(one) && from.contains(other));
        if imports.len() == count {
            return;
        }
    }
}

fn circles(files: &[(&str, &str)]) -> Vec<String> {
    Crate::new("src", files.iter().copied()).circles()
}

#[test]
fn circles_are_found_however_they_are_written() {
    let root = ("lib.rs", "mod a;\nmod b;\npub use b::B;\nuse a::A;");
    let back = ("b.rs", "use crate::a::A;");
    for (what, a) in [
        ("a path from the root", "use crate::b::B;"),
        ("a tree", "use crate::{\n    b::{self, B as C},\n};"),
        ("a path from the parent", "use super::b::{B, C as D};"),
        ("a path in code", "fn f() -> super::b::B {}"),
        ("a re-export", "use crate::B;"),
        ("a re-export from the parent", "use super::B as C;"),
        ("a module within the file", "mod inner {\n    use super::super::b::B;\n}"),
        ("code behind a module within the file", "mod inner { fn f() {} }\nuse super::b;"),
        ("code behind tests", "#[cfg(test)]\nmod tests { fn f() { '{' } }\nuse crate::b;"),
        ("code behind strings", "const A: [&str; 3] = [\"\\\"\", r#\"\"{\"#, \"// {\"];\nuse crate::b;"),
    ] {
        let found = circles(&[root, ("a.rs", a), back]);
        assert_eq!(found.len(), 1, "{what}: {found:?}");
        assert!(found[0].contains("a → b: a.rs:") && found[0].contains("b → a: b.rs:1 crate::a::A"), "{found:?}");
    }
}

#[test]
fn circles_are_found_below_the_root_and_with_it() {
    let below =
        [("lib.rs", "mod x;"), ("x/mod.rs", "mod a; mod b; mod c;"), ("x/a.rs", "mod y;"), ("x/c.rs", "use super::a;")];
    let found = circles(&[&below[..], &[("x/a/y.rs", "use crate::x::b;"), ("x/b.rs", "use super::c::C;")]].concat());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].lines().count(), 4, "{found:?}");
    let found = circles(&[("lib.rs", "mod a; struct State; fn f() { a::f() }"), ("a.rs", "use crate::State;")]);
    assert!(found.len() == 1 && found[0].contains("lib.rs → a: lib.rs:1 a::f"), "{found:?}");
}

#[test]
fn globs_of_own_names_are_rejected() {
    let back = ("b.rs", "use crate::a::A;");
    for (root, a) in [("pub use b::*;", "use crate::B;"), ("", "use super::*;\nfn f() { b::f() }")] {
        let found = circles(&[("lib.rs", root), ("a.rs", a), back]);
        assert!(found.iter().any(|it| it.contains("a glob: ")), "{found:?}");
    }
    assert!(circles(&[("lib.rs", "use other::prelude::*;"), ("a.rs", "use other::*;")]).is_empty());
}

#[test]
fn imports_without_a_circle_are_not_reported() {
    let one_way = [
        ("lib.rs", "mod a; mod b; pub use a::A; pub use other::Body;"),
        ("a.rs", "//! Not [`B`](crate::b::B).\nmod c;\nuse crate::Body;\nuse c::C;\nfn f() { \"crate::b::B\" }"),
        ("a/c.rs", "use super::A;\nuse crate::a;\nfn f<'b>(it: &'b str) -> impl Sized + use<'b> {}"),
        ("b.rs", "use crate::{A, a};\nuse self::inner::f;\nmod inner { use super::B; }"),
    ];
    assert_eq!(circles(&one_way), [""; 0]);
    let tested = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B;"),
        (
            "b.rs",
            "#[cfg(test)]\npub(crate) mod double;\n#[cfg(test)]\nuse crate::a;\n#[cfg(test)]\nmod it { use super::*; }",
        ),
        ("b/double.rs", "use super::*;\nuse crate::a::A;"),
    ];
    assert_eq!(circles(&tested), [""; 0]);
}
