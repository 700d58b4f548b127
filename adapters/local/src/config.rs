//! What the environment and the command line say to the local provider. Read here and nowhere else.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use isobar_abstraction::driver::Environment;
use isobar_abstraction::{Error, Result};

/// The folder of all data; `.isobar` in the working folder without it.
pub const ISOBAR_DATA: &str = "ISOBAR_DATA";

/// The port to listen on; `--port` wins, 3000 without either.
pub const PORT: &str = "PORT";

const PORT_NUMBER: &str = "a port number from 0 to 65535";

const USAGE: &str = "\
usage: [--host ADDRESS] [--port PORT] [--inspect-port PORT] [--check]

  --host ADDRESS       the address to listen on, 127.0.0.1 unless given
  --port PORT          the port to listen on, 3000 unless given; PORT does the same, 0 takes any
  --inspect-port PORT  the port of the inspector, always on 127.0.0.1; the next free one after the app's unless
                       given, 0 runs without it
  --check              read all of the data file, say whether it is whole, and exit

environment:
  ISOBAR_DATA=FOLDER   where the data lies, .isobar unless given
  ISOBAR_MANIFEST=1    print what the app declares as JSON, and exit
  RUST_LOG=debug       log more; isobar=debug, isobar::request=off and the like for parts";

/// How the local provider is set up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LocalConfig {
    /// The folder of all data.
    pub data: PathBuf,
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 takes any.
    pub port: u16,
    /// The port of the inspector, on 127.0.0.1; `None` takes the next free one after the app's, 0 runs without it.
    pub inspect_port: Option<u16>,
    /// How long what runs may go on after the signal to stop.
    pub grace: Duration,
    /// Say on stderr what is served?
    pub announce: bool,
    /// Read all of the data file, say whether it is whole, and serve nothing?
    pub check: bool,
}

impl LocalConfig {
    /// Data in this folder, all else as without any configuration.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 3000,
            inspect_port: None,
            grace: Duration::from_secs(30),
            announce: true,
            check: false,
        }
    }

    /// From variables and arguments; a pure function of them. Errors: `Config`, with the usage.
    pub fn from_environment(environment: &Environment) -> Result<Self> {
        let mut config = Self::new(environment.var(ISOBAR_DATA).unwrap_or(".isobar"));
        if let Some(port) = environment.parse(PORT, PORT_NUMBER)? {
            config.port = port;
        }
        let mut args = environment.args().iter().map(String::as_str);
        while let Some(arg) = args.next() {
            let (flag, given) = arg.split_once('=').map_or((arg, None), |(flag, value)| (flag, Some(value)));
            if arg == "--check" {
                config.check = true;
                continue;
            }
            let value = given.or_else(|| args.next());
            match (flag, value) {
                ("--host", Some(value)) => config.host = parse(flag, value, "an IP address")?,
                ("--port", Some(value)) => config.port = parse(flag, value, PORT_NUMBER)?,
                ("--inspect-port", Some(value)) => config.inspect_port = Some(parse(flag, value, PORT_NUMBER)?),
                ("--host" | "--port" | "--inspect-port", None) => {
                    return Err(Error::config(format!("{flag} needs a value\n{USAGE}")));
                }
                ("--help" | "-h", _) => return Err(Error::config(USAGE)),
                _ => return Err(Error::config(format!("unknown argument `{arg}`\n{USAGE}"))),
            }
        }
        Ok(config)
    }
}

fn parse<T: std::str::FromStr>(flag: &str, value: &str, wanted: &str) -> Result<T> {
    let value = if value == "localhost" { "127.0.0.1" } else { value };
    value.parse().map_err(|_| Error::config(format!("{flag} is `{value}`; it must be {wanted}\n{USAGE}")))
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
    fn arguments_win_over_variables_and_variables_over_defaults() {
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
    fn what_is_wrong_is_told_with_the_usage() {
        for args in [&["--port"][..], &["--port", "x"], &["--host", "example.org"], &["--prot", "1"], &["serve"]] {
            let error = of(&[], args).unwrap_err();
            assert!(error.message().contains("usage:"), "{error}");
        }
        assert!(of(&[("PORT", "65536")], &[]).unwrap_err().message().contains("PORT is `65536`"));
    }
}
