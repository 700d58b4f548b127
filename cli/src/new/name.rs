//! The name of a new project: that of its package, of its crate and of its app.

use isobar::driver::check_name;

use super::template::Template;

/// Names that Rust or cargo uses itself. Shorter keywords are no names of an app anyway.
const RESERVED: &str = "abstract alloc async await become box break build const continue core crate deps dyn else enum \
    examples extern false final fn for gen impl incremental let loop macro match mod move mut override priv proc-macro pub \
    ref return self static std struct super test trait true try type typeof unsafe unsized use virtual where while yield";

/// The devices of Windows, which are no names of files there.
const DEVICES: &str = "aux com1 com2 com3 com4 com5 com6 com7 com8 com9 con lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9 \
    nul prn";

/// The rule that a name breaks, if any.
pub(super) fn problem(name: &str, template: Template) -> Option<String> {
    if check_name(name).is_err() {
        return Some(broken_rule(name));
    }
    let is_in = |words: &str| words.split_whitespace().any(|word| word == name);
    if is_in(RESERVED) {
        return Some(format!("Rust and cargo reserve `{name}`"));
    }
    if is_in(DEVICES) {
        return Some(format!("Windows reserves `{name}`"));
    }
    let depends = template.crates().any(|dependency| dependency.replace('_', "-") == name);
    depends.then(|| format!("the project depends on a crate of the name `{name}`"))
}

/// The rule of names that this one breaks.
fn broken_rule(name: &str) -> String {
    let wrong = name.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-'));
    match (wrong, name.chars().count()) {
        (_, 0) => "it is empty".to_owned(),
        (Some(wrong), _) => format!("it has `{}`, and a name has a-z, 0-9 and - only", wrong.escape_debug()),
        (_, 1 | 2) => "it is too short: a name has at least 3 characters".to_owned(),
        (_, length @ 41..) => format!("it has {length} characters, and a name has at most 40"),
        _ if !name.starts_with(|c: char| c.is_ascii_lowercase()) => "a name begins with a letter".to_owned(),
        _ if name.ends_with('-') => "a name does not end with -".to_owned(),
        _ => "a name has no --".to_owned(),
    }
}

/// A valid name that is similar.
pub(super) fn propose(name: &str, template: Template) -> String {
    let words = words(name);
    let [plain, longer] = [words.clone(), format!("{words}-app")].map(|name| name.trim_matches('-').to_owned());
    let in_front = format!("app-{words}").chars().take(40).collect::<String>().trim_end_matches('-').to_owned();
    let candidates = [plain, longer, in_front, "my-app".to_owned()];
    candidates.into_iter().find(|name| problem(name, template).is_none()).unwrap_or_default()
}

/// The words of a name in lower case, with single hyphens: `MyApp 2` is `my-app-2`.
fn words(name: &str) -> String {
    let mut words = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        if (c.is_ascii_uppercase() && was_lower) || !c.is_ascii_alphanumeric() {
            words.push('-');
        }
        if c.is_ascii_alphanumeric() {
            words.push(c.to_ascii_lowercase());
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    let words = words.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    words.chars().take(40).collect::<String>().trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_name_is_proposed_for_each_wrong_one() {
        let long = "a".repeat(60);
        for (wrong, expected) in [
            ("My App", "my-app"),
            ("MyApp", "my-app"),
            ("my_app", "my-app"),
            ("--a--b--", "a-b"),
            ("2fast", "app-2fast"),
            ("ab", "ab-app"),
            ("test", "test-app"),
            ("serde_json", "serde-json-app"),
            ("nul", "nul-app"),
            ("", "app"),
            ("日本", "app"),
            (long.as_str(), &long[..40]),
            (&"9".repeat(60), &format!("app-{}", "9".repeat(36))),
        ] {
            assert!(problem(wrong, Template::Chatbot).is_some(), "{wrong}");
            let proposed = propose(wrong, Template::Chatbot);
            assert_eq!(proposed, expected, "{wrong}");
            assert_eq!(problem(&proposed, Template::Chatbot), None, "{wrong}");
        }
    }
}
