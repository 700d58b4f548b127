//! The return type of an app function.

use super::App;
use crate::{BoxError, Error, Result};

/// A type that an app function may return: [`App`], or a `Result` of it with any error.
///
/// The trait is sealed: other crates cannot implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an app",
    note = "an app is `App`, or `Result<App, E>` with any error; end an app with a state with `.build()`"
)]
pub trait IntoApp: sealed::Sealed {
    /// Returns the app.
    ///
    /// Errors: an isobar [`Error`] without change. Any other error becomes the source of a new error, which has the kind
    /// and the message of the first isobar error among its sources, or is a `Config` if there is none.
    fn into_app(self) -> Result<App>;
}

impl IntoApp for App {
    fn into_app(self) -> Result<App> {
        Ok(self)
    }
}

impl<E: Into<BoxError>> IntoApp for Result<App, E> {
    fn into_app(self) -> Result<App> {
        self.map_err(|error| Error::own(error, || Error::config("the app cannot be built")))
    }
}

mod sealed {
    use crate::{App, BoxError};

    pub trait Sealed {}

    impl Sealed for App {}

    impl<E: Into<BoxError>> Sealed for Result<App, E> {}
}
