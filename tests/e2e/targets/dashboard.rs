//! The dashboard of the local provider in Chromium, used as a person does. The trials are the functions of
//! `emulators/browser/trials`; each starts its own apps, as users build them.
#![allow(clippy::unwrap_used)] // a trial fails by panicking

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use isobar_conformance::target::run;
use isobar_e2e::built;
use isobar_e2e::emulators::Browser;
use libtest_mimic::Completion;
use parking_lot::Mutex;

fn main() -> ExitCode {
    let start = || {
        let browser = Browser::ready()?;
        let apps = built::apps("local").unwrap();
        Ok((Arc::new(Mutex::new(browser.start(&apps).unwrap())), ()))
    };
    let trials = Browser::trials().unwrap().into_iter().map(|name| (name.clone(), name));
    // One at a time: they measure.
    run("dashboard", start, trials, |browser, name| {
        let figures = browser.lock().run(&name)?;
        if !figures.is_empty() {
            // Not captured: a reader compares the figures.
            let _ = writeln!(std::io::stderr(), "{name}: {figures}");
        }
        Ok(Completion::Completed)
    })
}
