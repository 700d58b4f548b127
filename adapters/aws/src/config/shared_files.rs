//! The configuration files of AWS's tools in `~/.aws`, for laptops.
//!
//! This module reads the region and plain access keys. The AWS CLI handles everything else in a profile (single
//! sign-on, roles, processes). On Lambda no file is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use isobar_abstraction::driver::Environment;

/// The keys of a profile whose credentials need the AWS CLI.
const INDIRECT: [&str; 7] = [
    "credential_process",
    "login_session",
    "role_arn",
    "source_profile",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];

/// The files of a profile and the environment for the AWS CLI.
#[derive(Debug, Clone)]
pub(crate) struct SharedFiles {
    /// `AWS_PROFILE`, else `default`.
    pub(crate) profile: String,
    /// Whether `AWS_PROFILE` names the profile, as opposed to the default profile.
    pub(crate) is_explicit: bool,
    config: PathBuf,
    credentials: PathBuf,
    /// The environment of the AWS CLI.
    pub(crate) environment: Environment,
}

/// One profile: its keys in the config file and in the credentials file.
#[derive(Default)]
pub(crate) struct Profile {
    config: Option<BTreeMap<String, String>>,
    credentials: Option<BTreeMap<String, String>>,
}

impl SharedFiles {
    /// The files of the user; `None` without a home folder.
    pub(super) fn from_environment(environment: &Environment) -> Option<Self> {
        let home = environment.var("HOME").or_else(|| environment.var("USERPROFILE"));
        let file = |variable: &str, name: &str| match environment.var(variable) {
            Some(path) => Some(PathBuf::from(path)),
            None => home.map(|home| Path::new(home).join(".aws").join(name)),
        };
        let profile = environment.var("AWS_PROFILE");
        Some(Self {
            profile: profile.unwrap_or("default").to_owned(),
            is_explicit: profile.is_some(),
            config: file("AWS_CONFIG_FILE", "config")?,
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials")?,
            environment: environment.clone(),
        })
    }

    /// The profile; empty if it does not exist or no file can be read.
    pub(crate) fn read(&self) -> Profile {
        // A few hundred bytes on a laptop's disk, read at the first use.
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let config = read(&self.config);
        // The default profile may omit `profile`; the section with `profile` has priority.
        let unprefixed = || section(&config, "default").filter(|_| self.profile == "default");
        Profile {
            config: section(&config, &format!("profile {}", self.profile)).or_else(unprefixed),
            credentials: section(&read(&self.credentials), &self.profile),
        }
    }
}

impl Profile {
    /// Whether the profile exists.
    pub(crate) fn exists(&self) -> bool {
        self.config.is_some() || self.credentials.is_some()
    }

    /// The value of a key; the credentials file has priority.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let found = [&self.credentials, &self.config].into_iter().flatten().find_map(|keys| keys.get(key));
        found.map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether the credentials of the profile need the AWS CLI.
    pub(crate) fn is_indirect(&self) -> bool {
        INDIRECT.iter().any(|key| self.get(key).is_some())
    }
}

/// The keys of a section in lower case. Indented lines belong to the previous key and are skipped.
///
/// Source: "Format of the shared config and credentials files", AWS SDKs and Tools Reference Guide.
fn section(text: &str, name: &str) -> Option<BTreeMap<String, String>> {
    let mut found: Option<BTreeMap<String, String>> = None;
    let mut inside = false;
    for line in text.trim_start_matches('\u{feff}').lines() {
        if line.starts_with(['#', ';']) || line.trim().is_empty() {
            continue;
        }
        if let Some(header) = line.trim_start().strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default();
            inside = header.split_whitespace().map(|word| word.trim_matches('"')).eq(name.split_whitespace());
            if inside {
                found.get_or_insert_default();
            }
        } else if let (true, false, Some((key, value))) = (inside, line.starts_with([' ', '\t']), line.split_once('='))
        {
            found.get_or_insert_default().insert(key.trim().to_ascii_lowercase(), without_comment(value).to_owned());
        }
    }
    found
}

/// A value without the comment after it. A comment starts after white space.
fn without_comment(value: &str) -> &str {
    let end = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min().unwrap_or(value.len());
    value[..end].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
# people write comments
[default]
Region = eu-west-1 # near
s3 =
  region = nested
  max_concurrent_requests = 20

[profile \"work\"]
region=us-east-1
sso_session = corp
[sso-session corp]
region = elsewhere
";

    #[test]
    fn section_is_read_by_awss_rules() {
        let default = section(CONFIG, "default").unwrap();
        assert_eq!(default.get("region").map(String::as_str), Some("eu-west-1"));
        assert_eq!(default.get("max_concurrent_requests"), None);
        let work = section(CONFIG, "profile work").unwrap();
        assert_eq!(work.get("region").map(String::as_str), Some("us-east-1"));
        assert!(section(CONFIG, "profile other").is_none());
        assert!(section("[default", "default").unwrap().is_empty());
        assert_eq!(section("[a]\nk = x#y;z\n", "a").unwrap()["k"], "x#y;z");
    }

    #[test]
    fn profile_with_single_sign_on_is_indirect_and_one_with_a_region_is_not() {
        let of = |name| Profile { config: section(CONFIG, name), credentials: None };
        assert!(of("profile work").is_indirect());
        assert!(of("default").exists() && !of("default").is_indirect());
        assert!(!of("profile other").exists());
    }

    #[test]
    fn default_profile_with_the_word_profile_has_priority() {
        let file = std::env::temp_dir().join(format!("isobar-aws-default-{}", std::process::id()));
        let environment = Environment::default()
            .with_var("HOME", "/nowhere/at/all")
            .with_var("AWS_CONFIG_FILE", file.to_str().unwrap());
        let region = |text: &str, profile: &str| {
            std::fs::write(&file, text).unwrap();
            let files = SharedFiles::from_environment(&environment.clone().with_var("AWS_PROFILE", profile)).unwrap();
            files.read().get("region").map(str::to_owned)
        };
        let (unprefixed, prefixed) = ("[default]\nregion = a\n", "[profile default]\nregion = b\n");
        let found = [unprefixed, prefixed, &format!("{unprefixed}{prefixed}")].map(|text| region(text, "default"));
        let other = region(&format!("{unprefixed}{prefixed}"), "work");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(found, ["a", "b", "b"].map(|region| Some(region.to_owned())));
        assert_eq!(other, None);
    }

    #[test]
    fn files_need_a_home() {
        assert!(SharedFiles::from_environment(&Environment::default()).is_none());
        let files = SharedFiles::from_environment(&Environment::default().with_var("HOME", "/nowhere/at/all")).unwrap();
        assert_eq!((files.profile.as_str(), files.is_explicit), ("default", false));
        assert!(!files.read().exists());
    }
}
