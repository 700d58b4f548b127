//! The entry points of a process: from `main` to a running app.

use std::collections::HashMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use isobar_abstraction::driver::host::note_panic;
use isobar_abstraction::driver::{Adapter, Environment, Hosted, ResourceKind};
use isobar_abstraction::{Cloud, Error, IntoApp, Result};

use crate::adapters::{ADAPTERS, is_own};
use crate::config::{self, ISOBAR_MANIFEST};
use crate::{logs, selection};

/// Runs an app on the platform of the process, until the platform or a person stops it.
///
/// It starts the runtime and the logs, so a `main` needs nothing else. With `ISOBAR_MANIFEST=1` it prints the declaration of
/// the app as JSON instead, on any machine, and opens nothing.
///
/// An error of the app, or of its start, is printed with its sources, and the exit code is 1.
pub fn main<A: IntoApp>(app: impl FnOnce(&Cloud) -> A) -> ExitCode {
    main_with(ADAPTERS, app)
}

/// [`main`] with these providers: the compiled ones, which are [`ADAPTERS`], those of other crates, or both.
///
/// ```no_run
/// # use isobar::prelude::*;
/// # fn app(_: &Cloud) -> App { App::new("hello") }
/// # mod heap { pub const ADAPTER: isobar::driver::Adapter = isobar::driver::Adapter::new("heap", &["heap"], |_| todo!()); }
/// fn main() -> std::process::ExitCode {
///     isobar::main_with(&[isobar::ADAPTERS, &[heap::ADAPTER]].concat(), app)
/// }
/// ```
pub fn main_with<A: IntoApp>(adapters: &[Adapter], app: impl FnOnce(&Cloud) -> A) -> ExitCode {
    let environment = match environment(adapters) {
        Ok(environment) => environment,
        Err(error) => return fail(&error),
    };
    let asks_for_help = environment.args().iter().any(|arg| arg == "--help" || arg == "-h");
    // The platforms of isobar's providers log each request themselves. A laptop does not, and another platform may not.
    let logs_requests = |adapter: &Adapter| is_own(adapter.name) && !adapter.marks.is_empty();
    let host = selection::host(&environment, adapters);
    let has_dashboard = host.as_ref().is_ok_and(|host| host.name == "local");
    logs::start(&environment, !host.is_ok_and(logs_requests), has_dashboard);
    quiet_handlers();
    match start(&environment, adapters, app) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if asks_for_help => {
            print(error.message());
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &Error) -> ExitCode {
    // There is no other place for the error than stderr.
    let _ = writeln!(std::io::stderr(), "error: {}", report(error));
    ExitCode::FAILURE
}

/// Runs an app inside an existing tokio runtime, in the environment of the process.
///
/// It starts no logs. Errors: those of the app and of its start; `Config` if no provider can be selected.
pub async fn run<A: IntoApp>(app: impl FnOnce(&Cloud) -> A) -> Result<()> {
    run_with(ADAPTERS, app).await
}

/// [`run`] with these providers, as in [`main_with`].
pub async fn run_with<A: IntoApp>(adapters: &[Adapter], app: impl FnOnce(&Cloud) -> A) -> Result<()> {
    let environment = environment(adapters)?;
    if asks_for_manifest(&environment) {
        return print_manifest(app);
    }
    serve(selection::host(&environment, adapters)?, adapters, &environment, app).await
}

/// The environment of the process, completed by the host.
fn environment(adapters: &[Adapter]) -> Result<Environment> {
    config::check_encoding()?;
    let environment = config::environment();
    if asks_for_manifest(&environment) { Ok(environment) } else { selection::complete(environment, adapters) }
}

fn asks_for_manifest(environment: &Environment) -> bool {
    environment.var(ISOBAR_MANIFEST).is_some_and(|value| value != "0")
}

fn start<A: IntoApp>(environment: &Environment, adapters: &[Adapter], app: impl FnOnce(&Cloud) -> A) -> Result<()> {
    if asks_for_manifest(environment) {
        return print_manifest(app);
    }
    let host = selection::host(environment, adapters)?;
    runtime(host)?.block_on(serve(host, adapters, environment, app))
}

/// Sets a panic hook that does not print the panics of handlers: the log contains them, with place and invocation.
fn quiet_handlers() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !note_panic(panic) {
            print(panic);
        }
    }));
}

/// The runtime: with one thread if the platform runs one event at a time, where more threads would have no use.
fn runtime(adapter: &Adapter) -> Result<tokio::runtime::Runtime> {
    let mut builder = match adapter.single_threaded {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| Error::internal("the runtime cannot be started").with_source(error))
}

async fn serve<A: IntoApp>(
    host: &Adapter,
    adapters: &[Adapter],
    environment: &Environment,
    app: impl FnOnce(&Cloud) -> A,
) -> Result<()> {
    let provider = (host.open)(environment)?;
    let mut opened = HashMap::from([(host.name, Arc::clone(&provider))]);
    let routes = selection::routes(environment, adapters, &mut opened)?;
    let mut cloud = Cloud::with_routes(Arc::clone(&provider), routes).with_openers(host.openers, environment);
    if let Some((provider, url)) = selection::secret_store(environment, adapters, &mut opened)? {
        cloud = cloud.with_secret_store(provider, url);
    }
    let mut app = app(&cloud).into_app()?;
    environment.set_app(app.name());
    let manifest = Arc::new(app.start(&cloud)?);
    let kinds = [selection::kinds(adapters), ResourceKind::VALUES.to_vec()].concat();
    for warning in selection::unused_variables(environment, &kinds, &manifest)? {
        tracing::warn!("{warning}");
    }
    provider.host(Hosted::new(app, manifest)).await
}

/// Prints the manifest. It needs no provider, so a binary for any platform can print it on any machine.
fn print_manifest<A: IntoApp>(app: impl FnOnce(&Cloud) -> A) -> Result<()> {
    let cloud = Cloud::declaration();
    let manifest = app(&cloud).into_app()?.start(&cloud)?;
    print(&manifest.to_json()?);
    Ok(())
}

fn print(text: &str) {
    // A reader that has closed the pipe, such as `head`, is not a failure.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn report(error: &Error) -> String {
    let mut text = match error.resource() {
        Some(resource) => format!("{resource}: {}", error.message()),
        None => error.message().to_owned(),
    };
    for cause in std::iter::successors(std::error::Error::source(error), |cause| cause.source()) {
        text.push_str(&format!("\n  because: {cause}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use isobar_abstraction::{App, ErrorKind, TestClient};

    use super::*;

    #[test]
    fn an_app_that_fails_is_reported_with_its_chain() {
        let failed = print_manifest(|_| Err::<App, _>(std::fmt::Error)).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Config);
        assert_eq!(report(&failed), format!("the app cannot be built\n  because: {}", std::fmt::Error));
        let own = print_manifest(|_| Err::<App, _>(Error::not_found("no key").with_source(std::fmt::Error)));
        assert_eq!(report(&own.unwrap_err()), format!("no key\n  because: {}", std::fmt::Error));
    }

    #[tokio::test]
    async fn the_panic_of_a_handler_is_not_printed_and_its_place_is_in_the_error() {
        let printed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&printed);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        }));
        quiet_handlers();
        let app = |_: &Cloud| {
            App::new("printer")
                .on_schedule("print", "0 3 * * *", |_, _cx| -> std::future::Ready<()> { panic!("no paper") })
        };
        let error = TestClient::new(app).unwrap().tick("print").await.unwrap_err();
        // The app catches the first panic. The second one calls no hook, so its place is unknown.
        let app = |_: &Cloud| {
            App::new("printer").on_schedule("print", "0 3 * * *", |_, _cx| async {
                let caught = std::panic::catch_unwind(|| -> () { panic!("no ink") }).is_err();
                tokio::task::yield_now().await;
                if caught {
                    std::panic::resume_unwind(Box::new("torn"));
                }
            })
        };
        let torn = TestClient::new(app).unwrap().tick("print").await.unwrap_err();
        assert_eq!(printed.load(Ordering::SeqCst), 0);
        let app = |_: &Cloud| {
            App::new("printer").on_schedule("print", "0 3 * * *", |_, _cx| async {
                assert!(crate::spawn(async { panic!("a task of its own") }).await.is_err());
            })
        };
        TestClient::new(app).unwrap().tick("print").await.unwrap();
        assert_eq!(printed.load(Ordering::SeqCst), 1);
        std::panic::set_hook(before);
        assert!(error.message().starts_with("the handler panicked: no paper (at src/run.rs:"), "{error}");
        assert_eq!(torn.message(), "the handler panicked: torn");
    }
}
