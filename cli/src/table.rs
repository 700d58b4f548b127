//! Tables and texts that fit the width of a terminal.

/// The narrowest column that a table gets.
const NARROWEST: usize = 6;

/// The space between two columns.
const GAP: usize = 2;

/// The lines of a table, the head first. Cells are wrapped where the table would be wider than `width`. A row of one cell is a
/// title of the rows below it, and has the whole width.
pub(crate) fn lines(head: &[&str], rows: &[Vec<String>], width: usize) -> Vec<String> {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rows: Vec<&[String]> = std::iter::once(&head).chain(rows).map(Vec::as_slice).collect();
    let widths = widths(&rows, head.len(), width);
    rows.into_iter().flat_map(|row| line(row, &widths)).collect()
}

/// The widths of the columns: those of their cells, or less for the widest ones.
fn widths(rows: &[&[String]], columns: usize, width: usize) -> Vec<usize> {
    let rows = rows.iter().filter(|row| row.len() == columns);
    let longest = |column: usize| rows.clone().filter_map(|row| Some(row.get(column)?.chars().count())).max();
    let mut widths: Vec<usize> = (0..columns).map(|column| longest(column).unwrap_or_default()).collect();
    let room = width.saturating_sub(GAP * columns.saturating_sub(1));
    while widths.iter().sum::<usize>() > room {
        match widths.iter_mut().max() {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => break,
        }
    }
    widths
}

fn line(row: &[String], widths: &[usize]) -> Vec<String> {
    if let ([title], [_, _, ..]) = (row, widths) {
        return wrap(title, widths.iter().sum::<usize>() + GAP * (widths.len() - 1));
    }
    let cells: Vec<Vec<String>> = row.iter().zip(widths).map(|(cell, &width)| wrap(cell, width)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or_default();
    let part = |cell: &Vec<String>, line: usize| cell.get(line).cloned().unwrap_or_default();
    (0..height)
        .map(|line| {
            let padded = cells.iter().zip(widths).map(|(cell, &width)| format!("{:width$}", part(cell, line)));
            padded.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
        })
        .collect()
}

/// A text as lines of at most `width` characters: it is divided at spaces, and a longer word anywhere. All lines are indented
/// as the first one.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let (indent, text) = text.split_at(text.len() - text.trim_start_matches(' ').len());
    let width = width.saturating_sub(indent.len()).max(1);
    let (mut lines, mut line, mut length) = (Vec::new(), String::new(), 0);
    for word in text.split(' ') {
        if length > 0 && length + 1 + word.chars().count() <= width {
            line.push(' ');
            length += 1;
        } else if length > 0 {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        for character in word.chars() {
            if length >= width {
                lines.push(std::mem::take(&mut line));
                length = 0;
            }
            line.push(character);
            length += 1;
        }
    }
    lines.push(line);
    lines.into_iter().map(|line| format!("{indent}{line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_divided_at_spaces_and_a_long_word_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a-very-long-name x", 6), ["a-very", "-long-", "name x"]);
        assert_eq!(wrap("", 6), [""]);
        assert_eq!(wrap("exact fit", 5), ["exact", "fit"]);
        assert_eq!(wrap("  two words", 8), ["  two", "  words"]);
    }

    #[test]
    fn a_table_is_no_wider_than_the_terminal() {
        let rows = [vec!["short".to_owned(), "a cell with many words that is far too long for it".to_owned()]];
        for width in [20, 40] {
            let lines = lines(&["key", "text"], &rows, width);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:#?}");
        }
        assert_eq!(lines(&["key", "text"], &rows, usize::MAX).len(), 2);
    }
}
