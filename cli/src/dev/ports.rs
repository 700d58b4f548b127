//! The port of the app, and which process has it where it is in use.

use std::fs;
use std::io::ErrorKind;
use std::net::Ipv4Addr;

use tokio::net::TcpListener;

use crate::failure::Failure;

/// Listens on a port of 127.0.0.1. Failures: it is in use, with the process that has it.
pub(super) async fn listen(port: u16) -> Result<TcpListener, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            let by = holder(port).map(|holder| format!(" by {holder}")).unwrap_or_default();
            Failure::new(format!("port {port} is in use{by}"))
                .hint(format!("stop that process, or choose another port: isobar dev --port {}", port.wrapping_add(10)))
        }
        _ => Failure::new(format!("cannot listen on port {port}")).because(&error).hint("choose another with --port"),
    })
}

/// The name and the id of the process that listens on a port, where Linux has them and this user may read them.
fn holder(port: u16) -> Option<String> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().filter_map(|line| socket_on(port, line)).collect::<Vec<_>>())
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let has_one = |process: &fs::DirEntry| {
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { return false };
        let links = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        links.into_iter().any(|link| link.to_str().is_some_and(|link| sockets.iter().any(|socket| socket == link)))
    };
    let process =
        processes.filter(has_one).find(|process| process.file_name().to_string_lossy().parse::<u32>().is_ok())?;
    let name = fs::read_to_string(process.path().join("comm")).ok()?;
    Some(format!("`{}` (process {})", name.trim(), process.file_name().display()))
}

/// The link of a listening socket on this port, in a line of `/proc/net/tcp`.
fn socket_on(port: u16, line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let (_, hex) = local.rsplit_once(':')?;
    let listens = *state == "0A" && u16::from_str_radix(hex, 16) == Ok(port);
    listens.then(|| format!("socket:[{inode}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_socket_is_found_by_its_port() {
        let line =
            "   1: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 123456 1 0";
        assert_eq!(socket_on(3000, line).as_deref(), Some("socket:[123456]"));
        assert_eq!(socket_on(3001, line), None);
        assert_eq!(socket_on(3000, &line.replace(" 0A ", " 01 ")), None);
        assert_eq!(socket_on(3000, "  sl  local_address rem_address"), None);
    }
}
