//! What the bot says. Nothing here knows of services, clouds or tables.

use crate::conversation::Line;

/// The request of a person to the bot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    Help,
    History,
    Echo(&'a str),
}

/// Messages that [`history`] shows.
pub(crate) const SHOWN: usize = 5;

/// Telegram takes 4,096 characters, so echoes and the lines of a history are cut.
const LONGEST_ECHO: usize = 1_000;
const LONGEST_LINE: usize = 200;

/// Understands a message: `/help`, `/help@SomeBot` and `<@U012AB3CD> help` are the same.
pub(crate) fn understand(text: &str) -> Request<'_> {
    let text = without_mention(text.trim());
    let command = text.strip_prefix('/').map_or(text, |command| command.split('@').next().unwrap_or(command));
    match command.to_ascii_lowercase().as_str() {
        "start" | "help" | "" => Request::Help,
        "history" => Request::History,
        _ => Request::Echo(text),
    }
}

pub(crate) fn help() -> String {
    "I repeat what you say, and count it.\n/history shows the last messages of this conversation, /help shows this."
        .to_owned()
}

pub(crate) fn echo(text: &str, number: u64) -> String {
    format!("{}\n(message {number} of this conversation)", cut(text, LONGEST_ECHO))
}

pub(crate) fn history(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "Nothing was said before.".to_owned();
    }
    let line = |line: &Line| format!("{}. {}: {}", line.number, cut(&line.from, 64), cut(&line.text, LONGEST_LINE));
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn without_mention(text: &str) -> &str {
    let mention = text.strip_prefix("<@").and_then(|rest| rest.split_once('>'));
    mention.map_or(text, |(_, rest)| rest.trim_start())
}

fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_understood_as_each_service_writes_them() {
        for text in ["/start", "/help", "help", " HELP ", "/help@EchoBot", "<@U012AB3CD> help", "<@U012AB3CD>"] {
            assert_eq!(understand(text), Request::Help, "{text}");
        }
        assert_eq!(understand("<@U012AB3CD> history"), Request::History);
        for text in ["helpless", "/unknown", "a@b.example", "help me"] {
            assert_eq!(understand(text), Request::Echo(text));
        }
    }

    #[test]
    fn the_longest_answers_fit_into_a_telegram_message() {
        let long = "\u{1F600}".repeat(5_000);
        let lines = vec![Line { number: 1, from: long.clone(), text: long.clone() }; SHOWN];
        for answer in [echo(&long, 1), history(&lines)] {
            assert!(answer.encode_utf16().count() <= 4_096, "{} characters", answer.chars().count());
        }
    }
}
