//! The files of a new project.

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Template {
    /// A web app that greets
    #[default]
    Hello,
    /// A JSON API over a table, with a schedule
    Api,
    /// A bot for Telegram
    Chatbot,
}

/// A file by its path in the project, and its text.
pub(super) type File = (&'static str, String);

type Source = (&'static str, &'static str);

macro_rules! text {
    ($path:literal) => {
        include_str!(concat!("../../templates/", $path))
    };
}

const EVERY: [Source; 4] = [
    ("Cargo.toml", text!("every/package.toml")),
    ("src/main.rs", text!("every/main.rs")),
    (".gitignore", text!("every/gitignore")),
    (".github/workflows/ci.yml", text!("every/ci.yml")),
];

const HELLO: &[Source] = &[
    ("src/lib.rs", text!("hello/lib.rs")),
    ("tests/app.rs", text!("hello/test.rs")),
    ("README.md", concat!(text!("hello/README.md"), text!("every/commands.md"))),
];

const API: &[Source] = &[
    ("src/lib.rs", text!("api/lib.rs")),
    ("tests/app.rs", text!("api/test.rs")),
    ("README.md", concat!(text!("api/README.md"), text!("every/commands.md"))),
];

const CHATBOT: &[Source] = &[
    ("src/lib.rs", text!("chatbot/lib.rs")),
    ("src/telegram.rs", text!("chatbot/telegram.rs")),
    ("tests/app.rs", text!("chatbot/test.rs")),
    (".env", text!("chatbot/env")),
    (".env.example", text!("chatbot/env")),
    ("README.md", concat!(text!("chatbot/README.md"), text!("every/commands.md"))),
];

impl Template {
    /// The dependency tables of `Cargo.toml`.
    const fn dependencies(self) -> &'static str {
        match self {
            Self::Hello => text!("hello/dependencies.toml"),
            Self::Api => text!("api/dependencies.toml"),
            Self::Chatbot => text!("chatbot/dependencies.toml"),
        }
    }

    /// The files of the project `name`. `isobar` is the value of its dependency in `Cargo.toml`.
    pub(super) fn files(self, name: &str, isobar: &str) -> Vec<File> {
        let own = match self {
            Self::Hello => HELLO,
            Self::Api => API,
            Self::Chatbot => CHATBOT,
        };
        let fill = |text: &str| {
            text.replace("{{dependencies}}", self.dependencies())
                .replace("{{rust}}", env!("CARGO_PKG_RUST_VERSION"))
                .replace("{{name}}", name)
                .replace("{{crate}}", &name.replace('-', "_"))
                .replace("{{isobar}}", isobar)
        };
        EVERY.iter().chain(own).map(|(path, text)| (*path, fill(text))).collect()
    }

    /// The crates that `Cargo.toml` names.
    pub(super) fn crates(self) -> impl Iterator<Item = &'static str> {
        self.dependencies().lines().filter_map(|line| Some(line.split_once(" = ")?.0))
    }
}
