//! Waits for what an emulator or a process does in real time.

use std::time::{Duration, Instant};

use isobar::{Error, ErrorKind, Result};

/// Waits until `check` returns `true`; the longer it takes, the less often it is called. Errors: those of `check`, and
/// `Timeout` where `what` does not hold in time.
pub(super) async fn until<F: Future<Output = Result<bool>>>(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> F,
) -> Result<()> {
    let start = Instant::now();
    while !check().await? {
        if start.elapsed() > limit {
            return Err(Error::new(ErrorKind::Timeout, format!("not within {limit:?}: {what}")));
        }
        let pause = start.elapsed() / 8;
        tokio::time::sleep(pause.clamp(Duration::from_millis(2), Duration::from_millis(50))).await;
    }
    Ok(())
}
