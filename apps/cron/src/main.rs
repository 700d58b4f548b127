//! Runs the app wherever it is: see the library.

fn main() -> std::process::ExitCode {
    isobar::main(cron::app)
}
