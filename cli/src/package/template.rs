//! The texts of Terraform, with places to fill.

/// A text with each `{{name}}` replaced by its value. A value is not searched for places: it can be configuration.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, place)) = rest.split_once("{{") {
        let (name, after) = place.split_once("}}").unwrap_or((place, ""));
        let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        debug_assert!(value.is_some(), "a template has the place `{name}`, which is not filled");
        text.push_str(before);
        text.push_str(value.unwrap_or_default());
        rest = after;
    }
    text + rest
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

/// The output with the variables that place the data of a stage.
pub(super) fn data_output(mut variables: Vec<(String, String)>) -> String {
    variables.sort();
    fill(include_str!("../../templates/outputs_data.tf"), &[("variables", &aligned(4, &variables))])
}

/// The name of a resource in Terraform, from its name without the prefix: `clicks--dead.fifo` is `clicks_dead_fifo`. Logical names
/// have no `_`, and none is `fifo`, so different names stay different.
pub(super) fn identifier(name: &str) -> String {
    name.replace("--", "_").replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_not_searched_for_places() {
        let values = [("a", "{{b}} {{c}}"), ("b", "2")];
        assert_eq!(fill("${x{{a}}} {{b}}", &values), "${x{{b}} {{c}}} 2");
    }
}
