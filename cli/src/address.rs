//! Parses addresses: where a role listens, and where a cluster is.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// The default port for clients.
const CLIENTS_PORT: u16 = 7400;
/// The default port for nodes.
const PEERS_PORT: u16 = 7401;

/// The URL of a server. Accepts `http://host:7400`, `host:7400`, `host`, and a port of this machine: `7400`.
///
/// # Errors
/// What is wrong with the text, and the right form.
pub fn server(text: &str) -> Result<String, String> {
    url(text, CLIENTS_PORT)
}

/// The URL of a coordinator's port for nodes. Accepts `http://host:7401`, `host:7401`, `host`, and a port of this
/// machine: `7401`.
///
/// # Errors
/// What is wrong with the text, and the right form.
pub fn coordinator(text: &str) -> Result<String, String> {
    url(text, PEERS_PORT)
}

/// An address to listen on: `127.0.0.1:7400`, `localhost:7400`, `[::1]:7400`; a port alone means the loopback address.
///
/// # Errors
/// What is wrong with the text, and the right form.
pub fn listen(text: &str) -> Result<SocketAddr, String> {
    let place = text.trim().trim_start_matches("http://").trim_end_matches('/');
    if let Ok(address) = place.parse() {
        return Ok(address);
    }
    if let Ok(port) = place.parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    if !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("`{text}` is not a port: ports go up to 65535"));
    }
    match host_and_port(place).ok_or_else(|| format!("`{text}` is not an address such as 127.0.0.1:7400"))? {
        ("" | "*", Some(port)) => Err(format!(
            "`{text}` names no network: 127.0.0.1:{port} is this machine alone, 0.0.0.0:{port} every network"
        )),
        (host, None) => Err(format!("`{text}` has no port, as in {host}:7400")),
        (host, Some(port)) => found(host, port),
    }
}

/// The address of a host name. IPv4 addresses take precedence, since the defaults use IPv4.
fn found(host: &str, port: u16) -> Result<SocketAddr, String> {
    let unknown = |why: &dyn Display| format!("the host `{host}` has no address: {why}");
    let all: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(|error| unknown(&error))?.collect();
    let best = all.iter().find(|address| address.is_ipv4()).or(all.first());
    best.copied().ok_or_else(|| unknown(&"its name is not known"))
}

/// The address that a node advertises to others: `HOST:PORT`.
///
/// # Errors
/// What is wrong with the text, and the right form.
pub fn advertised(text: &str) -> Result<String, String> {
    let place = text.trim().trim_start_matches("http://").trim_end_matches('/');
    match host_and_port(place) {
        Some((host, Some(_))) if is_unspecified(host) => {
            Err(format!("`{text}` is every network of a machine, and no other process can reach it by that"))
        }
        Some((host, Some(0))) if !host.is_empty() => Err(format!("`{text}` has port 0, which nobody can reach")),
        Some((host, Some(_))) if !host.is_empty() => Ok(place.to_owned()),
        Some((host, None)) if !host.is_empty() => Err(format!("`{text}` has no port, as in {host}:7401")),
        _ => Err(format!("`{text}` is not an address such as node-1:7401")),
    }
}

fn url(text: &str, port_default: u16) -> Result<String, String> {
    let place = text.trim().trim_end_matches('/');
    let bad = |why: &str| format!("`{text}` is not the URL of a server such as http://127.0.0.1:{port_default}{why}");
    match place.split_once("://") {
        Some(("http", rest)) if host_and_port(rest).is_some_and(|(host, _)| !host.is_empty()) => Ok(place.to_owned()),
        Some(("https", _)) => Err(bad(": only http:// is supported, there is no TLS yet")),
        Some(_) => Err(bad("")),
        None => {
            let (host, port) = host_and_port(place).ok_or_else(|| bad(""))?;
            let host = if host.is_empty() { "127.0.0.1" } else { host };
            let host = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() };
            Ok(format!("http://{host}:{}", port.unwrap_or(port_default)))
        }
    }
}

/// Is the host the address that stands for all addresses of a machine?
fn is_unspecified(host: &str) -> bool {
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    inside == "*" || inside.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
}

/// Splits an address into host and port, each of which may be missing; `None` if the text is not an address.
fn host_and_port(place: &str) -> Option<(&str, Option<u16>)> {
    if let Ok(port) = place.parse() {
        return Some(("", Some(port)));
    }
    if place.parse::<IpAddr>().is_ok() {
        return Some((place, None));
    }
    // A port that is too large is no host.
    if !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A colon inside of brackets belongs to an IPv6 address.
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
        _ => (place, None),
    };
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_bracketed = inside.is_some_and(|inside| inside.parse::<Ipv6Addr>().is_ok());
    let is_name = host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    (!place.is_empty() && (is_bracketed || is_name || host == "*")).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_found_however_they_are_written() {
        for (text, expected) in [
            ("http://127.0.0.1:7400", "http://127.0.0.1:7400"),
            ("http://entail.example/", "http://entail.example"),
            ("localhost", "http://localhost:7400"),
            ("localhost:7500", "http://localhost:7500"),
            ("7500", "http://127.0.0.1:7500"),
            (":7500", "http://127.0.0.1:7500"),
            ("10.0.0.7", "http://10.0.0.7:7400"),
            ("::1", "http://[::1]:7400"),
            ("[::1]:7500", "http://[::1]:7500"),
            (" entail_1.svc ", "http://entail_1.svc:7400"),
        ] {
            assert_eq!(server(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(coordinator("c").as_deref(), Ok("http://c:7401"));
        assert!(server("https://c").unwrap_err().contains("only http:// is supported"));
        for bad in ["", "not a url", "ftp://c", "http://", "c:port", "c:99999", "99999", ":99999", "a/b", "[::1"] {
            assert!(server(bad).unwrap_err().contains("is not the URL of a server such as http://"), "{bad}");
        }
    }

    #[test]
    fn roles_listen_however_it_is_written() {
        for (text, expected) in [
            ("127.0.0.1:7400", "127.0.0.1:7400"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("localhost:7500", "127.0.0.1:7500"),
            ("7500", "127.0.0.1:7500"),
            ("http://127.0.0.1:7400/", "127.0.0.1:7400"),
            ("[::1]:7400", "[::1]:7400"),
        ] {
            assert_eq!(listen(text).map(|address| address.to_string()).as_deref(), Ok(expected), "{text}");
        }
        for (bad, expected) in [
            (":7500", "127.0.0.1:7500 is this machine alone, 0.0.0.0:7500 every network"),
            ("*:7500", "0.0.0.0:7500"),
            ("localhost", "has no port, as in localhost:7400"),
            ("99999", "is not a port: ports go up to 65535"),
            ("127.0.0.1", "has no port, as in 127.0.0.1:7400"),
            ("no host", "is not an address such as 127.0.0.1:7400"),
            ("", "is not an address such as"),
            ("host:port", "is not an address such as"),
        ] {
            let why = listen(bad).unwrap_err();
            assert!(why.contains(expected), "{bad}: {why}");
        }
    }

    #[test]
    fn what_others_are_told_has_a_port() {
        assert_eq!(advertised("http://node-1:7401").as_deref(), Ok("node-1:7401"));
        assert!(advertised("node-1").unwrap_err().contains("has no port, as in node-1:7401"));
        for bad in [":7401", "", "0.0.0.0:7401", "[::]:7401", "*:7401", "node-1:0", "7401"] {
            assert!(advertised(bad).is_err(), "{bad}");
        }
    }
}
