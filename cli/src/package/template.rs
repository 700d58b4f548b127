//! The texts of Terraform, with places to fill.

/// A text with each `{{name}}` replaced by its value.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    debug_assert!(!text.contains("{{"), "a place is not filled: {text}");
    text
}

/// A text in quotes for Terraform.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{}\"", escaped.replace("${", "$${").replace("%{", "%%{"))
}

/// Lines of `name = value`, with aligned signs as `terraform fmt` writes them.
pub(super) fn aligned(indent: usize, pairs: &[(String, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<_> = pairs.iter().map(|(name, value)| format!("{:indent$}{name:width$} = {value}", "")).collect();
    lines.join("\n")
}

/// The name of a resource in Terraform, from its name without the prefix: `clicks--dead.fifo` is `clicks_dead_fifo`. Logical names
/// have no `_`, and none is `fifo`, so different names stay different.
pub(super) fn identifier(name: &str) -> String {
    name.replace("--", "_").replace('.', "_")
}
