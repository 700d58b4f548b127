//! The message of the host at start.

use std::io::{IsTerminal, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use isobar_abstraction::EventQueue;
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::manifest::Manifest;

use super::entry::Entry;
use crate::config::LocalConfig;
use crate::profile;
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

/// Prints at start what the host serves: as text to a terminal, else to the log, without the token.
pub(super) fn announce(state: &State, manifest: &Manifest, address: SocketAddr, entry: Option<&Entry>) {
    if !state.config.announce {
        return;
    }
    let data = state.store.folder();
    let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let text = describe(state, manifest, address, &data.display().to_string(), entry);
        // An error of stderr has no reader.
        let _ = stderr.write_all(text.as_bytes());
        return;
    }
    let dashboard = entry.map(|entry| format!("http://{}", entry.address));
    tracing::info!(app = manifest.app, url = %format!("http://{address}"), dashboard, data = %data.display(), "serving");
    for (what, text) in faults(&state.config) {
        tracing::info!("{what}: {text}");
    }
    let unhandled = unhandled(manifest);
    if !unhandled.is_empty() {
        tracing::warn!("{}", unhandled.trim());
    }
}

/// What is on purpose unlike a laptop.
fn faults(config: &LocalConfig) -> impl Iterator<Item = (&'static str, String)> {
    let imitates = config.imitates.as_ref().map(|target| ("as", profile::describe(target)));
    imitates.into_iter().chain(config.chaos.map(|seed| ("chaos", format!("seed {seed}"))))
}

fn describe(state: &State, manifest: &Manifest, address: SocketAddr, data: &str, entry: Option<&Entry>) -> String {
    let mut text = format!("\n  {} is running. Ctrl-C stops it, and the data stays.\n\n", manifest.app);
    let mut line = |what: &str, items: Vec<String>| {
        if !items.is_empty() {
            text.push_str(&format!("  {what:<10} {}\n", items.join(", ")));
        }
    };
    let url = reachable(address);
    line("http", manifest.http().then(|| format!("http://{url}/")).into_iter().collect());
    handled(manifest)
        .into_iter()
        .enumerate()
        .for_each(|(number, queue)| line(if number == 0 { "handles" } else { "" }, vec![queue]));
    line("schedules", manifest.schedules().map(|it| format!("{} ({} UTC)", it.name, it.cron)).collect());
    line("functions", manifest.functions().map(str::to_owned).collect());
    line("tables", manifest.tables().map(|it| it.name.clone()).collect());
    line("buckets", manifest.buckets().map(|it| it.name.clone()).collect());
    line("topics", manifest.topics().map(|it| it.name.clone()).collect());
    line("data", vec![data.to_owned()]);
    faults(&state.config).for_each(|(what, text)| line(what, vec![text]));
    line("dashboard", entry.map(Entry::url).into_iter().collect());
    text.push_str(&unhandled(manifest));
    text.push('\n');
    text
}

fn handled(manifest: &Manifest) -> Vec<String> {
    let describe = |queue: EventQueue| {
        let what = match queue.kind() {
            ResourceKind::Bucket => "objects",
            ResourceKind::Table => "writes",
            _ => "messages",
        };
        let name = if queue.is_default() { String::new() } else { format!(" ({})", queue.name()) };
        format!("{what} of {}{name}", queue.source())
    };
    manifest.queues().map(|(queue, _)| describe(queue)).collect()
}

/// Topics that the app publishes to and does not handle: the local provider drops their messages.
fn unhandled(manifest: &Manifest) -> String {
    let handled = |name: &str| manifest.messages().any(|trigger| trigger.topic == name);
    let unhandled = manifest.topics().filter(|topic| topic.access.includes(isobar_abstraction::driver::Access::Write));
    let unhandled: Vec<_> = unhandled.filter(|topic| !handled(&topic.name)).map(|topic| topic.name.as_str()).collect();
    if unhandled.is_empty() {
        return String::new();
    }
    format!("\n  No handler for messages of {}: they are dropped.\n", unhandled.join(", "))
}
