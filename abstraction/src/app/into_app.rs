//! What makes an app.

use super::App;
use crate::{BoxError, Error, Result};

/// What the function that makes an app may return: [`App`], or a `Result` of it with any error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no app",
    note = "an app is `App`, or `Result<App, E>` with any error; end an app with a state with `.build()`"
)]
pub trait IntoApp: sealed::Sealed {
    /// The app. Errors: an isobar [`Error`] as it is. Any other is the source: of an error with the kind and the message of
    /// the first isobar error inside it, or else of a `Config`.
    fn into_app(self) -> Result<App>;
}

impl IntoApp for App {
    fn into_app(self) -> Result<App> {
        Ok(self)
    }
}

impl<E: Into<BoxError>> IntoApp for Result<App, E> {
    fn into_app(self) -> Result<App> {
        self.map_err(|error| Error::own(error, || Error::config("the app cannot be made")))
    }
}

mod sealed {
    use crate::{App, BoxError};

    pub trait Sealed {}

    impl Sealed for App {}

    impl<E: Into<BoxError>> Sealed for Result<App, E> {}
}
