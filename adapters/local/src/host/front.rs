//! The process in front of this one, such as `isobar dev`. It has the ports that clients know, starts this process, and
//! stops it before it starts the next build.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

/// Reports the addresses that the process in front must send requests to: one line of JSON on stdout.
pub(super) fn report(app: SocketAddr, inspector: Option<SocketAddr>) {
    // Without a reader there is no process in front, which ends this one.
    let _ = writeln!(std::io::stdout(), "{}", json!({"isobar": {"app": app, "inspector": inspector}}));
}

/// How long after the grace period the process may take to end.
const END: Duration = Duration::from_secs(4);

/// Ends at the line `stop` on stdin, and where stdin ends without it because the process in front was killed; some time after
/// the grace period the whole process ends.
pub(super) fn stop_line(grace: Duration) -> impl Future<Output = ()> {
    let (stopping, stopped) = oneshot::channel::<()>();
    // Not a task: the runtime would wait for its read at the end.
    std::thread::spawn(move || {
        std::io::stdin().lock().lines().map_while(Result::ok).any(|line| line == "stop");
        drop(stopping);
        std::thread::sleep(grace + END);
        std::process::exit(1);
    });
    async move {
        let _ = stopped.await;
    }
}
