//! Names that an app does not have.

use crate::failure::Failure;

/// The failure of an unknown name, with the nearest of those that exist.
pub(crate) fn unknown(app: &str, kind: &str, name: &str, known: &[&str]) -> Failure {
    let failure = Failure::new(format!("the app `{app}` has no {kind} `{}`", name.escape_debug()));
    let list: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    failure.hint(match (nearest(name, known), list.len()) {
        (_, 0) => "isobar manifest prints what it declares".to_owned(),
        (Some(nearest), 1) => format!("did you mean `{nearest}`? It is the only one"),
        (Some(nearest), _) => format!("did you mean `{nearest}`? It has {}", list.join(", ")),
        (None, _) => format!("it has {}", list.join(", ")),
    })
}

/// The known name with the fewest edits, if that is at most a third of its characters.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distances = known.iter().map(|known| (edits(name, known), *known));
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= nearest.chars().count().div_ceil(3)).then_some(nearest)
}

/// The Levenshtein distance.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, b) in to.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = change.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_at_most_a_third_away() {
        let known = ["reindex", "purge", "stats"];
        assert_eq!(nearest("reindx", &known), Some("reindex"));
        assert_eq!(nearest("stat", &known), Some("stats"));
        assert_eq!(nearest("delete", &known), None);
        assert_eq!(nearest("", &[]), None);
        assert_eq!((edits("kitten", "sitting"), edits("", "ab"), edits("ab", "")), (3, 2, 2));
    }
}
