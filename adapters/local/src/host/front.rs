//! The process in front of this one, such as `isobar dev`. It has the ports that clients know, starts this process, and
//! stops it before it starts the next build.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;

use serde_json::json;
use tokio::sync::oneshot;

/// Reports the addresses that the process in front must send requests to: one line of JSON on stdout.
pub(super) fn report(app: SocketAddr, inspector: Option<SocketAddr>) {
    // Without a reader there is no process in front, which ends this one.
    let _ = writeln!(std::io::stdout(), "{}", json!({"isobar": {"app": app, "inspector": inspector}}));
}

/// Ends at the line `stop` on stdin. Where stdin ends without it, the process in front was killed, and this one exits.
pub(super) fn stop_line() -> impl Future<Output = ()> {
    let (stopping, stopped) = oneshot::channel::<()>();
    // Not a task: the runtime would wait for its read at the end.
    std::thread::spawn(move || {
        if !std::io::stdin().lock().lines().map_while(Result::ok).any(|line| line == "stop") {
            std::process::exit(1);
        }
        drop(stopping);
    });
    async move {
        let _ = stopped.await;
    }
}
