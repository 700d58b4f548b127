//! The configuration of the local provider, from the environment and the command line. Only this module reads them.

mod token;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use isobar_abstraction::driver::{
    Environment, ISOBAR_STAGE, Location, Prefix, Profile, ResourceKind, ResourceUrl, host::excerpt,
};
use isobar_abstraction::{Error, EventQueue, Result};

use crate::profile::PROFILE;
use crate::store::folder::STAGES;

pub use token::Token;

/// The data folder; `.isobar` in the working folder by default.
pub const ISOBAR_DATA: &str = "ISOBAR_DATA";

/// The token of the inspector, in place of a new one at each start.
pub const ISOBAR_INSPECT_TOKEN: &str = "ISOBAR_INSPECT_TOKEN";

/// Set by a process in front of the host, such as `isobar dev`: the URL at which it serves the app.
pub const ISOBAR_FRONT: &str = "ISOBAR_FRONT";

/// The profile of another provider as JSON, whose limits and differences this one has then; `isobar dev --as` sets it.
pub const ISOBAR_AS: &str = "ISOBAR_AS";

/// The seed of faults on purpose; `isobar dev --chaos` sets it.
pub const ISOBAR_CHAOS: &str = "ISOBAR_CHAOS";

/// The file with further variables, in the working folder.
const DOT_ENV: &str = ".env";

/// The port to listen on, 3000 by default; `--port` has precedence.
pub const PORT: &str = "PORT";

/// The grace period behind a process in front, whose clients wait for the next start meanwhile.
const GRACE_BEHIND_FRONT: Duration = Duration::from_secs(1);

const PORT_NUMBER: &str = "a port number from 0 to 65535";

const USAGE: &str = "\
usage: [--host ADDRESS] [--port PORT] [--inspect-port PORT] [--check]

  --host ADDRESS       the address to listen on, 127.0.0.1 by default
  --port PORT          the port to listen on, 3000 by default; also set by PORT; 0 for any free port
  --inspect-port PORT  the port of the inspector, always on 127.0.0.1; the next free one after the app's by
                       default, 0 for none
  --check              read the whole data file, report whether it is intact, and exit

environment:
  ISOBAR_DATA=FOLDER   the data folder, .isobar by default
  ISOBAR_STAGE=NAME    the stage: its data are in stages/NAME of the data folder
  ISOBAR_SECRETS=URL   the store of secrets and configuration, secrets.json of the data folder by default
  ISOBAR_INSPECT_TOKEN=TOKEN  the token of the inspector, a new one at each start by default
  ISOBAR_AS=JSON       have the limits and differences of this profile; `isobar dev --as aws` sets it
  ISOBAR_CHAOS=SEED    deliver late, twice and in another order, and fail some calls; reproducible by the number
  ISOBAR_MANIFEST=1    print the app's manifest as JSON, and exit
  RUST_LOG=debug       log more; isobar=debug or isobar::request=off for parts of it
  the file .env of the working folder adds variables that are not set";

/// The configuration of the local provider.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LocalConfig {
    /// The data folder.
    pub data: PathBuf,
    /// The JSON file of secrets and configuration.
    pub secrets: PathBuf,
    /// The prefix of the keys in that file.
    pub prefix: Prefix,
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 for any free port.
    pub port: u16,
    /// The port of the inspector, on 127.0.0.1; `None` for the next free one after the app's, 0 for none.
    pub inspect_port: Option<u16>,
    /// The token of the inspector; `None` for a new one.
    pub inspect_token: Option<Token>,
    /// The URL of the app at the process in front, such as `isobar dev`. The host then reports its addresses on stdout as a line
    /// of JSON, writes no `inspector.json`, and stops at the line `stop` on stdin and where stdin ends.
    pub front: Option<String>,
    /// How long requests and events in progress may continue after the signal to stop.
    pub grace: Duration,
    /// Whether the host prints at start what it serves, on stderr.
    pub announce: bool,
    /// The resources with a configured location, from which their events arrive.
    pub placed: Vec<Location>,
    /// Whether to read the whole data file, report whether it is intact, and serve nothing.
    pub check: bool,
    /// The provider whose limits and differences this one has.
    pub imitates: Option<Profile>,
    /// The store of secrets and configuration, where it is not the provider's own.
    pub secret_store: Option<ResourceUrl>,
    /// The variables that have a value of a secret or a configuration.
    pub variables: BTreeSet<String>,
    /// The memory for pages of the data file, in bytes.
    pub cache_bytes: usize,
    /// The seed of faults on purpose: messages that are late, delivered twice and in another order, and calls that fail.
    pub chaos: Option<u64>,
}

impl LocalConfig {
    /// The defaults with this data folder.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let data = data.into();
        Self {
            secrets: data.join("secrets.json"),
            data,
            prefix: Prefix::default(),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 3000,
            inspect_port: None,
            inspect_token: None,
            front: None,
            grace: Duration::from_secs(30),
            announce: true,
            placed: Vec::new(),
            check: false,
            imitates: None,
            cache_bytes: 128 << 20,
            chaos: None,
            secret_store: None,
            variables: BTreeSet::new(),
        }
    }

    /// The file of secrets and configuration.
    pub(crate) fn secret_file(&self) -> &Path {
        self.secret_store.as_ref().map_or(&self.secrets, |url| Path::new(url.name()))
    }

    /// Reads the configuration from variables and arguments. Errors: `Config`, with the usage.
    pub fn from_environment(environment: &Environment) -> Result<Self> {
        let mut config = Self::new(environment.var(ISOBAR_DATA).unwrap_or(".isobar"));
        config.prefix = environment.prefix()?;
        if let Some(stage) = environment.var(ISOBAR_STAGE) {
            config.data = config.data.join(STAGES).join(stage);
        }
        if let Some(port) = environment.parse(PORT, PORT_NUMBER)? {
            config.port = port;
        }
        let named = |error: Error| Error::config(format!("{ISOBAR_INSPECT_TOKEN}: {}", error.message()));
        config.inspect_token = environment.var(ISOBAR_INSPECT_TOKEN).map(Token::of).transpose().map_err(named)?;
        config.imitates = environment.var(ISOBAR_AS).map(profile_of).transpose()?;
        config.chaos = environment.parse(ISOBAR_CHAOS, "a seed, an integer from 0")?;
        if let Some(front) = environment.var(ISOBAR_FRONT) {
            config.front = Some(front.to_owned());
            config.grace = GRACE_BEHIND_FRONT;
        }
        config.secret_store = environment.secret_store()?;
        for prefix in ResourceKind::VALUES.map(ResourceKind::variable_prefix) {
            let names = environment.vars_with_prefix(&prefix).filter(|(_, value)| !value.is_empty());
            config.variables.extend(names.map(|(name, _)| format!("{prefix}{name}")));
        }
        config.placed = environment.locations()?.into_iter().map(|(_, at)| at).collect();
        let mut args = environment.args().iter().map(String::as_str);
        while let Some(arg) = args.next() {
            let (flag, inline) = arg.split_once('=').map_or((arg, None), |(flag, value)| (flag, Some(value)));
            if arg == "--check" {
                config.check = true;
                continue;
            }
            let value = inline.or_else(|| args.next());
            match (flag, value) {
                ("--host", Some(value)) => config.host = parse(flag, value, "an IP address")?,
                ("--port", Some(value)) => config.port = parse(flag, value, PORT_NUMBER)?,
                ("--inspect-port", Some(value)) => config.inspect_port = Some(parse(flag, value, PORT_NUMBER)?),
                ("--host" | "--port" | "--inspect-port", None) => {
                    return Err(Error::config(format!("{flag} requires a value\n{USAGE}")));
                }
                ("--help" | "-h", _) => return Err(Error::config(USAGE)),
                _ => return Err(Error::config(format!("unknown argument `{arg}`\n{USAGE}"))),
            }
        }
        Ok(config)
    }

    /// A queue with the logical name of its source, from one with the physical name.
    pub(crate) fn logical(&self, stored: &EventQueue) -> EventQueue {
        let placed = self.placed.iter();
        let mut placed = placed.filter(|at| at.kind() == stored.kind() && at.physical_name() == stored.source());
        let source = placed.next().map_or(stored.source(), Location::name);
        EventQueue::of(stored.kind(), source).named(stored.name())
    }

    /// A queue with the physical name of its source.
    pub(crate) fn physical(&self, queue: &EventQueue) -> EventQueue {
        let placed = self.placed.iter().find(|at| at.kind() == queue.kind() && at.name() == queue.source());
        let source = placed.map_or(queue.source(), Location::physical_name);
        EventQueue::of(queue.kind(), source).named(queue.name())
    }
}

/// Adds the variables of the file `.env` of the working folder that are not set.
///
/// Errors: `Config` for a malformed line. No error contains a line, because it may be a secret.
pub(crate) fn with_dot_env(environment: Environment) -> Result<Environment> {
    let text = match std::fs::read_to_string(DOT_ENV) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(environment),
        Err(error) => return Err(Error::config(format!("{DOT_ENV} cannot be read: {error}; correct or remove it"))),
    };
    with_variables(environment, &text)
}

fn with_variables(mut environment: Environment, text: &str) -> Result<Environment> {
    for variable in dotenvy::from_read_iter(text.trim_start_matches('\u{feff}').as_bytes()) {
        let (name, value) = variable.map_err(|error| malformed(text, &error))?;
        environment = environment.with_default(name, value);
    }
    Ok(environment)
}

fn malformed(text: &str, error: &dotenvy::Error) -> Error {
    let place = match error {
        dotenvy::Error::LineParse(line, _) => text.find(line.as_str()),
        _ => None,
    };
    let place = place.map_or_else(String::new, |at| format!(" at line {}", text[..at].matches('\n').count() + 1));
    Error::config(format!("{DOT_ENV} is malformed{place}; a line is NAME=value, or NAME='any text' in single quotes"))
}

/// The name in `redb://name`, `file://name` or `queue://name`. Errors: `Config` for another scheme or a parameter.
pub(crate) fn physical_name(at: &Location) -> Result<&str> {
    if let Some(url) = at.url() {
        url.check_parameters(&[])?;
        let scheme = match at.kind() {
            ResourceKind::Table => "redb",
            ResourceKind::Bucket => "file",
            ResourceKind::Topic => "queue",
            kind => return Err(kind.not_opened(PROFILE.provider)),
        };
        if url.scheme() != scheme {
            return Err(Error::config(format!(
                "a {} of the local provider is `{scheme}://name`, not `{}://`",
                at.kind(),
                url.scheme()
            )));
        }
    }
    // A slash separates the source and the name of a queue in the file.
    match at.physical_name() {
        name if name.contains('/') => {
            Err(Error::config(format!("{at} is `{}`; a name has no `/`, use another name", name.escape_debug())))
        }
        name => Ok(name),
    }
}

fn profile_of(json: &str) -> Result<Profile> {
    serde_json::from_str(json).map_err(|error| {
        let message = "it must be the profile of a provider as JSON, which `isobar dev --as aws` sets";
        Error::config(format!("{ISOBAR_AS} is `{}`; {message}", excerpt(json))).with_source(error)
    })
}

fn parse<T: std::str::FromStr>(flag: &str, value: &str, expected: &str) -> Result<T> {
    let value = if value == "localhost" { "127.0.0.1" } else { value };
    value.parse().map_err(|_| Error::config(format!("{flag} is `{value}`; it must be {expected}\n{USAGE}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)], args: &[&str]) -> Result<LocalConfig> {
        let with_vars = |env: Environment, (name, value): &(&str, &str)| env.with_var(*name, *value);
        let environment = vars.iter().fold(Environment::default(), with_vars);
        LocalConfig::from_environment(&args.iter().fold(environment, |env, arg| env.with_arg(*arg)))
    }

    #[test]
    fn arguments_have_precedence_over_variables_and_variables_over_defaults() {
        let config = of(&[], &[]).unwrap();
        assert_eq!((config.port, config.data.to_str()), (3000, Some(".isobar")));
        assert_eq!((config.inspect_port, config.check), (None, false));
        let config = of(&[], &["--check", "--inspect-port", "0"]).unwrap();
        assert_eq!((config.inspect_port, config.check), (Some(0), true));
        assert_eq!(of(&[("PORT", "81")], &[]).unwrap().port, 81);
        assert_eq!(of(&[("PORT", "81")], &["--port", "82"]).unwrap().port, 82);
        assert_eq!(of(&[], &["--port=83", "--host", "0.0.0.0"]).unwrap().host.to_string(), "0.0.0.0");
    }

    #[test]
    fn a_token_is_kept_and_reaches_no_text() {
        let config = of(&[("ISOBAR_INSPECT_TOKEN", "s3cret")], &[]).unwrap();
        assert_eq!(config.inspect_token.as_ref().map(Token::secret), Some("s3cret"));
        let error = of(&[("ISOBAR_INSPECT_TOKEN", "s3cret&x")], &[]).unwrap_err();
        assert!(!format!("{config:?} {error:?}").contains("s3cret"), "{config:?} {error:?}");
    }

    #[test]
    fn a_target_is_the_json_of_its_profile_and_chaos_has_a_seed() {
        let json = serde_json::to_string(&PROFILE).unwrap();
        let config = of(&[(ISOBAR_AS, &json), (ISOBAR_CHAOS, "18446744073709551615")], &[]).unwrap();
        assert_eq!((config.imitates.unwrap().limits, config.chaos), (PROFILE.limits, Some(u64::MAX)));
        for (name, value) in [(ISOBAR_AS, "aws"), (ISOBAR_AS, "1"), (ISOBAR_CHAOS, "-1")] {
            let error = of(&[(name, value)], &[]).unwrap_err();
            assert!(error.message().starts_with(&format!("{name} is `{value}`; it must be")), "{error}");
        }
    }

    #[test]
    fn a_malformed_line_of_dot_env_is_an_error_with_its_number_and_without_its_text() {
        let of = |text: &str| with_variables(Environment::default().with_var("SET", "1"), text);
        let read = of("\u{feff}# of the laptop\r\nexport A='{\"a\": 1}'\r\nSET=2\r\n").unwrap();
        assert_eq!((read.var("A"), read.var("SET")), (Some(r#"{"a": 1}"#), Some("1")));
        for text in ["# a\n\nA=1\nB: hunter2\n", "A=1\r\n\r\n\r\nB={\"a\": \"hunter2\"}\r\n"] {
            let error = of(text).unwrap_err();
            assert!(error.message().starts_with(".env is malformed at line 4;"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn a_wrong_argument_is_an_error_with_the_usage() {
        for args in [&["--port"][..], &["--port", "x"], &["--host", "example.org"], &["--prot", "1"], &["serve"]] {
            let error = of(&[], args).unwrap_err();
            assert!(error.message().contains("usage:"), "{error}");
        }
        assert!(of(&[("PORT", "65536")], &[]).unwrap_err().message().contains("PORT is `65536`"));
    }
}
