//! The app's configuration. The only file that reads the environment.

/// The URL of the service that labels files.
pub(crate) fn labeller() -> String {
    std::env::var("LABEL_SERVICE").unwrap_or_else(|_| "http://127.0.0.1:8010/labels".to_owned())
}
