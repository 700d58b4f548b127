//! Checks Terraform files against the arguments of the resources in `tests/schemas`, without Terraform and without a provider.
//!
//! It finds what a provider's schema says: unknown resources and arguments, missing ones, literals of another type, and references to
//! what no file declares. It does not know allowed values, ranges and conflicts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hcl::expr::{Expression, ObjectKey, Operation, TemplateExpr, Traversal, TraversalOperator};
use hcl::template::{Directive, Element, Template};
use hcl::{Attribute, Block, Body, Structure};
use serde_json::{Map, Value};

/// Arguments of all resources.
const EVERY: [&str; 7] = ["count", "for_each", "depends_on", "provider", "lifecycle", "provisioner", "timeouts"];

/// The resources of a provider.
pub(crate) struct Schema(Value);

impl Schema {
    /// The schema in `tests/schemas`, such as `azurerm`.
    pub(crate) fn read(provider: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/schemas/{provider}.json"));
        Self(serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap())
    }

    /// No schema: only references are checked.
    pub(crate) fn none() -> Self {
        Self(Value::Null)
    }

    fn is_known(&self) -> bool {
        !self.0.is_null()
    }

    fn of(&self, kind: &str, name: &str) -> Option<&Value> {
        self.0[kind].get(name)
    }
}

/// What is wrong in the Terraform files of a folder.
pub(crate) fn problems(folder: &Path, schema: &Schema) -> Vec<String> {
    let mut check = Check { schema, declared: BTreeMap::new(), found: Vec::new() };
    let bodies: Vec<(String, Body)> = files(folder)
        .into_iter()
        .filter_map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match hcl::parse(&fs::read_to_string(&path).unwrap()) {
                Ok(body) => Some((name, body)),
                Err(error) => {
                    check.found.push(format!("{name}: {error}"));
                    None
                }
            }
        })
        .collect();
    bodies.iter().for_each(|(file, body)| check.declare(file, body));
    bodies.iter().for_each(|(file, body)| check.body(file, body));
    check.found
}

/// The Terraform files of a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == "tf")).collect();
    files.sort();
    files
}

struct Check<'a> {
    schema: &'a Schema,
    /// Names such as `var.region` and `azurerm_storage_account.app`, each with its resource in the schema.
    declared: BTreeMap<String, Option<&'a Value>>,
    found: Vec<String>,
}

impl<'a> Check<'a> {
    fn declare(&mut self, file: &str, body: &Body) {
        for block in body.blocks() {
            let labels: Vec<_> = block.labels().iter().map(|label| label.as_str()).collect();
            let names = match (block.identifier(), labels.as_slice()) {
                ("resource", [of, name]) => vec![(format!("{of}.{name}"), self.schema.of("resource", of))],
                ("data", [of, name]) => vec![(format!("data.{of}.{name}"), self.schema.of("data", of))],
                ("variable", [name]) => vec![(format!("var.{name}"), None)],
                ("locals", []) => {
                    block.body().attributes().map(|local| (format!("local.{}", local.key()), None)).collect()
                }
                _ => Vec::new(),
            };
            for (name, of) in names {
                if self.declared.insert(name.clone(), of).is_some() {
                    self.found.push(format!("{file}: {name} is declared twice"));
                }
            }
        }
    }

    fn body(&mut self, file: &str, body: &Body) {
        for block in body.blocks() {
            let at = format!("{file}: {}", named(block));
            self.references(&at, block.body());
            let kind = block.identifier();
            let is_built_in = block.labels().first().is_some_and(|label| label.as_str() == "terraform_data");
            if !["resource", "data"].contains(&kind) || !self.schema.is_known() || is_built_in {
                continue;
            }
            match self.schema.of(kind, block.labels()[0].as_str()) {
                Some(of) => self.arguments(&at, block.body(), &of["arguments"], true),
                None => self.found.push(format!("{at}: the schema has no such {kind}")),
            }
        }
    }

    /// Checks the arguments of a resource, or those of a block in it.
    fn arguments(&mut self, at: &str, body: &Body, expected: &Value, is_top: bool) {
        let none = Map::new();
        let expected = expected.as_object().unwrap_or(&none);
        let mut present = BTreeSet::new();
        for structure in body.iter() {
            match structure {
                Structure::Attribute(attribute) => {
                    let name = attribute.key();
                    present.insert(name.to_owned());
                    match expected.get(name) {
                        Some(of) => self.literal(&format!("{at}: {name}"), attribute.expr(), kind(of).0),
                        None if is_top && EVERY.contains(&name) => {}
                        None => self.found.push(format!("{at}: there is no argument {name}")),
                    }
                }
                Structure::Block(block) => {
                    let (name, content) = match block.identifier() {
                        "dynamic" => (block.labels()[0].as_str(), content(block)),
                        name => (name, Some(block.body())),
                    };
                    present.insert(name.to_owned());
                    match (expected.get(name), content) {
                        (Some(of), Some(content)) if of.is_object() => {
                            self.arguments(&format!("{at}: {name}"), content, kind(of).2, false);
                        }
                        (None, _) if is_top && EVERY.contains(&name) => {}
                        _ => self.found.push(format!("{at}: there is no block {name}")),
                    }
                }
            }
        }
        let is_missing = |name: &str, of: &Value| kind(of).1 && !present.contains(name);
        let missing = expected.iter().filter(|(name, of)| is_missing(name, of));
        self.found.extend(missing.map(|(name, _)| format!("{at}: {name} is missing")));
    }

    /// Checks a value that is written out.
    fn literal(&mut self, at: &str, value: &Expression, expected: &str) {
        let (outer, inner) = expected.trim_end_matches(')').split_once('(').unwrap_or((expected, "any"));
        let fits = match value {
            Expression::Bool(_) => ["bool", "any"].contains(&outer),
            Expression::Number(_) => ["number", "any"].contains(&outer),
            Expression::String(_) | Expression::TemplateExpr(_) => ["string", "any"].contains(&outer),
            Expression::Array(items) if ["list", "set"].contains(&outer) => {
                items.iter().for_each(|item| self.literal(at, item, inner));
                true
            }
            Expression::Object(entries) if outer == "map" => {
                entries.iter().for_each(|(_, item)| self.literal(at, item, inner));
                true
            }
            Expression::Array(_) | Expression::Object(_) => outer == "any",
            _ => true,
        };
        if !fits || outer.starts_with("block") {
            self.found.push(format!("{at} is no {expected}"));
        }
    }

    fn references(&mut self, at: &str, body: &Body) {
        for structure in body.iter() {
            match structure {
                Structure::Attribute(attribute) if is_of_terraform(attribute) => {}
                Structure::Attribute(attribute) => self.expression(at, attribute.expr()),
                Structure::Block(block) => self.references(at, block.body()),
            }
        }
    }

    fn expression(&mut self, at: &str, of: &Expression) {
        match of {
            Expression::Array(items) => items.iter().for_each(|item| self.expression(at, item)),
            Expression::Object(entries) => {
                for (key, value) in entries {
                    if let ObjectKey::Expression(key) = key {
                        // A name without quotes is a text.
                        if !matches!(key, Expression::Variable(_)) {
                            self.expression(at, key);
                        }
                    }
                    self.expression(at, value);
                }
            }
            Expression::TemplateExpr(template) => self.template(at, template),
            Expression::Traversal(traversal) => self.traversal(at, traversal),
            Expression::FuncCall(call) => call.args.iter().for_each(|item| self.expression(at, item)),
            Expression::Parenthesis(inner) => self.expression(at, inner),
            Expression::Conditional(of) => {
                [&of.cond_expr, &of.true_expr, &of.false_expr].iter().for_each(|part| self.expression(at, part));
            }
            Expression::Operation(operation) => match operation.as_ref() {
                Operation::Unary(unary) => self.expression(at, &unary.expr),
                Operation::Binary(binary) => {
                    self.expression(at, &binary.lhs_expr);
                    self.expression(at, &binary.rhs_expr);
                }
            },
            Expression::ForExpr(each) => {
                self.expression(at, &each.collection_expr);
                self.expression(at, &each.value_expr);
            }
            _ => {}
        }
    }

    fn template(&mut self, at: &str, of: &TemplateExpr) {
        let template = Template::from_expr(of).unwrap();
        for element in template.elements() {
            match element {
                Element::Interpolation(inner) => self.expression(at, &inner.expr),
                Element::Directive(directive) => match directive.as_ref() {
                    Directive::If(of) => self.expression(at, &of.cond_expr),
                    Directive::For(of) => self.expression(at, &of.collection_expr),
                },
                Element::Literal(_) => {}
            }
        }
    }

    fn traversal(&mut self, at: &str, of: &Traversal) {
        for operator in &of.operators {
            if let TraversalOperator::Index(index) = operator {
                self.expression(at, index);
            }
        }
        let Expression::Variable(root) = &of.expr else { return self.expression(at, &of.expr) };
        let root = root.as_str();
        let names: Vec<&str> = std::iter::once(root)
            .chain(of.operators.iter().filter_map(|operator| match operator {
                TraversalOperator::GetAttr(name) => Some(name.as_str()),
                _ => None,
            }))
            .collect();
        let length = match root {
            "var" | "local" => 2,
            "data" => 3,
            _ if root.contains('_') => 2,
            // `each`, `path`, and the names of loops.
            _ => return,
        };
        let name = names[..length.min(names.len())].join(".");
        match self.declared.get(&name) {
            None => self.found.push(format!("{at}: nothing declares {name}")),
            Some(Some(resource)) => {
                let unknown = names.get(length).filter(|part| {
                    let is = |of: &Value| of == **part;
                    resource["arguments"].get(**part).is_none()
                        && !resource["attributes"].as_array().is_some_and(|list| list.iter().any(is))
                });
                self.found.extend(unknown.map(|part| format!("{at}: {name} has no attribute {part}")));
            }
            Some(None) => {}
        }
    }
}

fn named(block: &Block) -> String {
    let labels = block.labels().iter().map(|label| label.as_str());
    std::iter::once(block.identifier()).chain(labels).collect::<Vec<_>>().join(" ")
}

/// The type of an argument, whether it is required, and the arguments of a block.
fn kind(of: &Value) -> (&str, bool, &Value) {
    let (text, inner) = match of {
        Value::Object(block) => block.iter().next().map(|(text, inner)| (text.as_str(), inner)).unwrap(),
        of => (of.as_str().unwrap(), &Value::Null),
    };
    (text.trim_end_matches('!'), text.ends_with('!'), inner)
}

/// The arguments that are words of Terraform itself: `type = string`, and `aws = { … }` of required providers.
fn is_of_terraform(attribute: &Attribute) -> bool {
    attribute.key() == "type" && !matches!(attribute.expr(), Expression::String(_))
}

/// What a dynamic block repeats.
fn content(block: &Block) -> Option<&Body> {
    block.body().blocks().find(|inner| inner.identifier() == "content").map(Block::body)
}
