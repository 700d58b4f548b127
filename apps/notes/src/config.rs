//! The app's configuration. The only file that reads the environment.

/// The URL of the mirror. Nothing listens at the default, so that each activity becomes a dead letter of `mirror`.
pub(crate) fn mirror() -> String {
    std::env::var("NOTES_MIRROR").unwrap_or_else(|_| "http://127.0.0.1:9/".to_owned())
}
