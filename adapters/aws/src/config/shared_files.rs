//! The files that AWS's own tools keep in `~/.aws`, as far as isobar reads them: for people on laptops.
//!
//! Read are the region and plain access keys. What else a profile can name (single sign-on, roles,
//! processes) is left to the AWS CLI. On Lambda no file is touched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use isobar_abstraction::driver::Environment;

/// The keys of a profile that lead to credentials only through the AWS CLI.
const INDIRECT: [&str; 7] = [
    "credential_process",
    "login_session",
    "role_arn",
    "source_profile",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];

/// Where the profile of a person is, and what the AWS CLI needs to read it.
#[derive(Debug, Clone)]
pub(crate) struct SharedFiles {
    /// `AWS_PROFILE`, else `default`.
    pub(crate) profile: String,
    /// Was the profile asked for, or is it only the default?
    pub(crate) asked_for: bool,
    config: PathBuf,
    credentials: PathBuf,
    /// What the AWS CLI is started with.
    pub(crate) environment: Environment,
}

/// One profile: its keys in the config file, and in the credentials file.
#[derive(Default)]
pub(crate) struct Profile {
    config: Option<BTreeMap<String, String>>,
    credentials: Option<BTreeMap<String, String>>,
}

impl SharedFiles {
    /// The files of this person; none without a home.
    pub(super) fn from_environment(environment: &Environment) -> Option<Self> {
        let home = environment.var("HOME").or_else(|| environment.var("USERPROFILE"));
        let file = |variable: &str, name: &str| match environment.var(variable) {
            Some(path) => Some(PathBuf::from(path)),
            None => home.map(|home| Path::new(home).join(".aws").join(name)),
        };
        let asked_for = environment.var("AWS_PROFILE");
        Some(Self {
            profile: asked_for.unwrap_or("default").to_owned(),
            asked_for: asked_for.is_some(),
            config: file("AWS_CONFIG_FILE", "config")?,
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials")?,
            environment: environment.clone(),
        })
    }

    /// The profile; an empty one where there is none, or no file that can be read.
    pub(crate) fn read(&self) -> Profile {
        // A few hundred bytes on a laptop's disk, read at the first use.
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let config = read(&self.config);
        // The default profile's name may stand alone; where both stand, this one counts.
        let alone = || section(&config, "default").filter(|_| self.profile == "default");
        Profile {
            config: section(&config, &format!("profile {}", self.profile)).or_else(alone),
            credentials: section(&read(&self.credentials), &self.profile),
        }
    }
}

impl Profile {
    /// Is there a profile of this name?
    pub(crate) fn exists(&self) -> bool {
        self.config.is_some() || self.credentials.is_some()
    }

    /// The value of a key; the credentials file wins.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let found = [&self.credentials, &self.config].into_iter().flatten().find_map(|keys| keys.get(key));
        found.map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Does it take the AWS CLI to make credentials of it?
    pub(crate) fn is_indirect(&self) -> bool {
        INDIRECT.iter().any(|key| self.get(key).is_some())
    }
}

/// The keys of a section, in lower case. Lines that are indented belong to the key before, and are passed over.
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

/// A comment after a value needs white space before it.
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
    fn a_section_is_read_as_aws_reads_it() {
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
    fn single_sign_on_takes_the_cli_and_a_region_alone_is_no_credential() {
        let of = |name| Profile { config: section(CONFIG, name), credentials: None };
        assert!(of("profile work").is_indirect());
        assert!(of("default").exists() && !of("default").is_indirect());
        assert!(!of("profile other").exists());
    }

    #[test]
    fn the_default_profile_may_be_called_a_profile_and_then_counts_alone() {
        let file = std::env::temp_dir().join(format!("isobar-aws-default-{}", std::process::id()));
        let environment = Environment::default()
            .with_var("HOME", "/nowhere/at/all")
            .with_var("AWS_CONFIG_FILE", file.to_str().unwrap());
        let region = |text: &str, profile: &str| {
            std::fs::write(&file, text).unwrap();
            let files = SharedFiles::from_environment(&environment.clone().with_var("AWS_PROFILE", profile)).unwrap();
            files.read().get("region").map(str::to_owned)
        };
        let (alone, called) = ("[default]\nregion = a\n", "[profile default]\nregion = b\n");
        let found = [alone, called, &format!("{alone}{called}")].map(|text| region(text, "default"));
        let other = region(&format!("{alone}{called}"), "work");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(found, ["a", "b", "b"].map(|region| Some(region.to_owned())));
        assert_eq!(other, None);
    }

    #[test]
    fn without_a_home_there_are_no_files() {
        assert!(SharedFiles::from_environment(&Environment::default()).is_none());
        let files = SharedFiles::from_environment(&Environment::default().with_var("HOME", "/nowhere/at/all")).unwrap();
        assert_eq!((files.profile.as_str(), files.asked_for), ("default", false));
        assert!(!files.read().exists());
    }
}
