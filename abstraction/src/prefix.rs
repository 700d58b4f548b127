//! The prefix of physical names, which separates the stages of an app.

use std::sync::{Arc, OnceLock};

use crate::resource::check_prefix;
use crate::{Error, Result};

/// The variable with the prefix of the names of resources without a configured URL, and of the keys of secrets.
pub const ISOBAR_PREFIX: &str = "ISOBAR_PREFIX";

/// The variable with the stage, such as `dev`: it sets the prefix `<app>-<stage>-`, unless [`ISOBAR_PREFIX`] is set.
pub const ISOBAR_STAGE: &str = "ISOBAR_STAGE";

/// The prefix of physical names. Clones share the name of the app.
#[derive(Debug, Clone)]
pub struct Prefix(Source);

#[derive(Debug, Clone)]
enum Source {
    Fixed(String),
    Stage { stage: String, app: Arc<OnceLock<String>> },
}

impl Default for Prefix {
    fn default() -> Self {
        Self::fixed("")
    }
}

impl Prefix {
    /// A prefix that does not depend on the app.
    pub fn fixed(prefix: impl Into<String>) -> Self {
        Self(Source::Fixed(prefix.into()))
    }

    /// The prefix `<app>-<stage>-`, or the configured one. Errors: `Config` for an invalid one.
    pub(crate) fn of(prefix: Option<&str>, stage: Option<&str>, app: &Arc<OnceLock<String>>) -> Result<Self> {
        match (prefix, stage) {
            (Some(prefix), _) => check_prefix(ISOBAR_PREFIX, prefix).map(Self::fixed),
            (None, Some(stage)) => {
                check_stage(stage)?;
                Ok(Self(Source::Stage { stage: stage.to_owned(), app: Arc::clone(app) }))
            }
            (None, None) => Ok(Self::default()),
        }
    }

    /// The stage, if it is a part of the prefix.
    pub fn stage(&self) -> Option<&str> {
        match &self.0 {
            Source::Fixed(_) => None,
            Source::Stage { stage, .. } => Some(stage),
        }
    }

    /// The prefix; with a stage it is known from the start of the app.
    ///
    /// Errors: `Config` before the start, and for an app and a stage that are too long together.
    pub fn get(&self) -> Result<String> {
        let (stage, app) = match &self.0 {
            Source::Fixed(prefix) => return Ok(prefix.clone()),
            Source::Stage { stage, app } => (stage, app),
        };
        let app = app.get().ok_or_else(|| {
            Error::config(format!(
                "{ISOBAR_STAGE} is `{stage}`: names are known after the start of the app; use the resource in a handler"
            ))
        })?;
        check_prefix("", &format!("{app}-{stage}-")).map_err(|_| {
            Error::config(format!(
                "the stage `{stage}` of app `{app}` would begin all names with `{app}-{stage}-`, which has more than 20 \
                 characters; use a shorter stage or app, or set {ISOBAR_PREFIX} to at most 20 of a-z, 0-9 and -"
            ))
        })
    }
}

/// Checks a stage: 1 to 16 of `a-z`, `0-9` and single `-`, not at an end. Errors: `Config`.
fn check_stage(stage: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let hyphens = stage.starts_with('-') || stage.ends_with('-') || stage.contains("--");
    if (1..=16).contains(&stage.len()) && stage.bytes().all(fits) && !hyphens {
        return Ok(());
    }
    let stage = stage.escape_debug();
    Err(Error::config(format!(
        "{ISOBAR_STAGE} is `{stage}`; it must be 1 to 16 of a-z, 0-9 and single -, without - at an end"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_a_prefix_once_the_app_has_a_name() {
        let app = Arc::default();
        let dev = Prefix::of(None, Some("dev"), &app).unwrap();
        assert!(dev.get().unwrap_err().message().contains("after the start"));
        app.set("shop".to_owned()).unwrap();
        assert_eq!(dev.get().unwrap(), "shop-dev-");
        assert_eq!(Prefix::of(Some("own-"), Some("dev"), &app).unwrap().get().unwrap(), "own-");
        assert_eq!(Prefix::of(None, None, &app).unwrap().get().unwrap(), "");
    }

    #[test]
    fn a_long_stage_is_an_error_with_both_names() {
        let app = Arc::new(OnceLock::from("a-long-app".to_owned()));
        assert_eq!(Prefix::of(None, Some("staging1"), &app).unwrap().get().unwrap(), "a-long-app-staging1-");
        let error = Prefix::of(None, Some("staging12"), &app).unwrap().get().unwrap_err();
        assert!(error.message().contains("`staging12`") && error.message().contains("`a-long-app`"), "{error}");
        for bad in ["Dev", "a--b", "-a", "a-", "a_b", "a.b", &"a".repeat(17)] {
            assert!(Prefix::of(None, Some(bad), &app).is_err(), "{bad}");
        }
    }
}
