//! What the host says when it starts.

use std::io::{IsTerminal, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use isobar_abstraction::manifest::Manifest;

use super::entry::Entry;
use crate::state::State;

/// The address that a person on this machine can reach.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Tells a person on stderr, and a log otherwise, what is served. A log has no token in it.
pub(super) fn announce(state: &State, manifest: &Manifest, address: SocketAddr, entry: Option<&Entry>) {
    if !state.config.announce {
        return;
    }
    let data = state.store.folder();
    let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let text = describe(manifest, address, &data.display().to_string(), entry);
        // Nobody reads it, then nobody misses it.
        let _ = stderr.write_all(text.as_bytes());
        return;
    }
    let inspector = entry.map(|entry| format!("http://{}", entry.address));
    tracing::info!(app = manifest.app, url = %format!("http://{address}"), inspector, data = %data.display(), "serving");
}

fn describe(manifest: &Manifest, address: SocketAddr, data: &str, entry: Option<&Entry>) -> String {
    let mut text = format!("\n  {} is running. Ctrl-C stops it, and the data stays.\n\n", manifest.app);
    let mut line = |what: &str, items: Vec<String>| {
        if !items.is_empty() {
            text.push_str(&format!("  {what:<10} {}\n", items.join(", ")));
        }
    };
    let url = reachable(address);
    line("http", manifest.http().then(|| format!("http://{url}/")).into_iter().collect());
    line("handles", handled(manifest));
    line("schedules", manifest.schedules().map(|it| format!("{} ({} UTC)", it.name, it.cron)).collect());
    line("functions", manifest.functions().map(str::to_owned).collect());
    line("tables", manifest.tables().map(|it| it.name.clone()).collect());
    line("buckets", manifest.buckets().map(|it| it.name.clone()).collect());
    line("topics", manifest.topics().map(|it| it.name.clone()).collect());
    line("data", vec![data.to_owned()]);
    line("inspector", entry.map(Entry::url).into_iter().collect());
    text.push_str(&unheard(manifest));
    text.push('\n');
    text
}

fn handled(manifest: &Manifest) -> Vec<String> {
    let topics = manifest.messages().map(|it| format!("messages of {}", it.topic));
    topics.chain(manifest.objects().map(|it| format!("objects of {}", it.bucket))).collect()
}

/// Messages that the app publishes and does not handle go nowhere on a laptop.
fn unheard(manifest: &Manifest) -> String {
    let handled = |name: &str| manifest.messages().any(|trigger| trigger.topic == name);
    let unheard = manifest.topics().filter(|topic| topic.access.includes(isobar_abstraction::driver::Access::Write));
    let unheard: Vec<_> = unheard.filter(|topic| !handled(&topic.name)).map(|topic| topic.name.as_str()).collect();
    if unheard.is_empty() {
        return String::new();
    }
    format!("\n  Nobody here handles messages of {}: they go nowhere.\n", unheard.join(", "))
}
