//! The app's configuration. The only file that reads the environment.

/// The key that signs tokens; empty where the environment has none.
pub(crate) fn auth_key() -> String {
    std::env::var("TODO_AUTH_KEY").unwrap_or_default()
}
