//! The conformance suite on a real account: `ISOBAR_ACCOUNT=aws cargo test --test account`. See docs/real-accounts.md: what it
//! makes there, and the cost.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use isobar_conformance::target::{Check, run_checks};
use isobar_conformance::{Absent, Suite, trials};
use isobar_e2e::backends::account::Account;
use isobar_e2e::emulators::Python;

fn main() -> ExitCode {
    let environment = isobar::config::environment();
    let Some(cloud) = environment.var("ISOBAR_ACCOUNT").map(str::to_owned) else {
        // One line in place of hundreds.
        let nothing: &[(&str, Check<()>)] = &[("the_suite", |()| Box::pin(async { Ok(()) }))];
        return run_checks("account", Duration::ZERO, nothing, || {
            Err::<((), ()), _>(Absent::new("account", "ISOBAR_ACCOUNT is not set: see docs/real-accounts.md"))
        });
    };
    let suite = Suite::new([trials::key_value::all(), trials::blob::all(), trials::pub_sub::all()].concat());
    // Programs that make resources at the same time.
    match Python::ready().map(|python| Account::new(&cloud, environment, &python, 8)) {
        Ok(Err(error)) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
        Ok(Ok(account)) => suite.run(account),
        Err(absent) => suite.run_if_present("account", || Err::<(Account, ()), _>(absent)),
    }
}
