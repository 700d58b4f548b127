//! The app's configuration. The only file that reads the environment.

use std::fmt;

use isobar::Error;

/// What the bot needs to know of the services; of each of them all or nothing.
///
/// | variable | what it is |
/// |---|---|
/// | `TELEGRAM_SECRET_TOKEN` | the `secret_token` that was given to `setWebhook` |
/// | `TELEGRAM_BOT_TOKEN` | the bot's token, from @BotFather |
/// | `TELEGRAM_API` | `https://api.telegram.org`, unless it is set |
/// | `SLACK_SIGNING_SECRET` | the app's signing secret |
/// | `SLACK_BOT_TOKEN` | the bot user's OAuth token, with the scope `chat:write` |
/// | `SLACK_API` | `https://slack.com/api`, unless it is set |
#[derive(Debug, Clone)]
pub struct Config {
    telegram: Result<Telegram, Missing>,
    slack: Result<Slack, Missing>,
}

#[derive(Debug, Clone)]
pub(crate) struct Telegram {
    pub(crate) secret_token: Secret,
    pub(crate) bot_token: Secret,
    pub(crate) api: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Slack {
    pub(crate) signing_secret: Secret,
    pub(crate) bot_token: Secret,
    pub(crate) api: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// Reads variables from anywhere. One that is blank counts as missing: an empty secret would
    /// accept every sender.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let var = |name: &str| var(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let api = |name, default: &str| {
            let api = var(name).unwrap_or_else(|| default.to_owned());
            api.trim_end_matches('/').to_owned()
        };
        let telegram = secrets(var, ["TELEGRAM_SECRET_TOKEN", "TELEGRAM_BOT_TOKEN"]);
        let slack = secrets(var, ["SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN"]);
        Self {
            telegram: telegram.map(|[secret_token, bot_token]| Telegram {
                secret_token,
                bot_token,
                api: api("TELEGRAM_API", "https://api.telegram.org"),
            }),
            slack: slack.map(|[signing_secret, bot_token]| Slack {
                signing_secret,
                bot_token,
                api: api("SLACK_API", "https://slack.com/api"),
            }),
        }
    }

    pub(crate) fn telegram(&self) -> Result<&Telegram, Missing> {
        self.telegram.as_ref().map_err(Clone::clone)
    }

    pub(crate) fn slack(&self) -> Result<&Slack, Missing> {
        self.slack.as_ref().map_err(Clone::clone)
    }
}

fn secrets<const N: usize>(
    var: impl Fn(&str) -> Option<String>,
    names: [&'static str; N],
) -> Result<[Secret; N], Missing> {
    let found = names.map(&var);
    let missing: Vec<_> = names.into_iter().zip(&found).filter(|(_, value)| value.is_none()).collect();
    match missing.is_empty() {
        true => Ok(found.map(|value| Secret(value.unwrap_or_default()))),
        false => Err(Missing(missing.into_iter().map(|(name, _)| name).collect())),
    }
}

/// The variables without which a service cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(Vec<&'static str>);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "set {} in the environment of the app", self.0.join(" and "))
    }
}

impl std::error::Error for Missing {}

/// 503: the service tries again. Strangers need not know what is missing; the log says it.
impl From<Missing> for Error {
    fn from(missing: Missing) -> Self {
        Self::unavailable("this webhook is not set up; the log of the app says what is missing").with_source(missing)
    }
}

/// Text that must not be seen: `Debug` hides it, and it has no `Display`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Where it goes over the wire, and nowhere else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Removes the secret from what a service said, which may be what we said to it.
    pub(crate) fn hide_in(&self, text: &str) -> String {
        text.replace(&self.0, "***")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_and_blank_is_missing() {
        let config = Config::from_vars(|name| match name {
            "TELEGRAM_SECRET_TOKEN" => Some("  ".to_owned()),
            "SLACK_SIGNING_SECRET" => Some("s3cret".to_owned()),
            _ => None,
        });
        let missing = config.telegram().unwrap_err().to_string();
        assert_eq!(missing, "set TELEGRAM_SECRET_TOKEN and TELEGRAM_BOT_TOKEN in the environment of the app");
        let missing = config.slack().unwrap_err().to_string();
        assert_eq!(missing, "set SLACK_BOT_TOKEN in the environment of the app");
    }

    #[test]
    fn the_services_own_addresses_are_the_default() {
        let secrets = |name: &str| (!name.ends_with("_API")).then(|| "s3cret".to_owned());
        let config = Config::from_vars(secrets);
        assert_eq!(config.telegram().unwrap().api, "https://api.telegram.org");
        assert_eq!(config.slack().unwrap().api, "https://slack.com/api");
        let config = Config::from_vars(|_| Some("http://127.0.0.1:9/".to_owned()));
        assert_eq!(config.slack().unwrap().api, "http://127.0.0.1:9");
    }

    #[test]
    fn debug_hides_secrets() {
        let config = Config::from_vars(|name| Some(format!("value-of-{name}")));
        let text = format!("{config:?} {config:#?}");
        assert!(text.contains("value-of-SLACK_API"), "{text}");
        assert!(!text.contains("TOKEN") && !text.contains("SECRET"), "{text}");
    }
}
