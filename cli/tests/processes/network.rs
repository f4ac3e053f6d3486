//! A network of its own for each test: a switch and hosts, each a network namespace with an address and a file of names.
//!
//! ```text
//! coordinator ─┐           ┌─ node-1        cut: disconnected from the switch, without notice
//!    client   ─┤  switch   ├─ node-0        part: two hosts that do not reach each other
//!              └───────────┴─ node-2        moved: another address
//! ```
//! The machine's own network is not changed. Networks left behind by a killed test are removed by the next one.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// The directory of the name files, one subdirectory for each namespace.
const ETC: &str = "/etc/netns";
/// The prefix of the namespaces of tests, followed by the id of the creating process and a number.
const PREFIX: &str = "entail-test";
/// The network prefix of every host's address.
const NET: &str = "10.91.7";
const SWITCH: &str = "switch";

/// A switch and its hosts.
pub struct Network {
    prefix: String,
    hosts: Vec<String>,
    /// Which name leads where.
    names: BTreeMap<String, u8>,
}

impl Network {
    /// Creates hosts by name, with the last byte of their addresses; `NAME.entail` resolves to them on every host.
    /// `None`, with a note, where this is not possible.
    pub fn of(hosts: &[(&str, u8)]) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        remove_abandoned();
        let prefix = format!("{PREFIX}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut network = Self { prefix, hosts: Vec::new(), names: BTreeMap::new() };
        if let Err(why) = network.build(hosts) {
            // Not by print, whose output is shown only when a test fails.
            let text = format!("skipped: no networks of our own on this system: {why}\n");
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            return None;
        }
        for (host, address) in hosts {
            network.name(host, *address);
        }
        Some(network)
    }

    fn build(&mut self, hosts: &[(&str, u8)]) -> Result<(), String> {
        let switch = self.namespace(SWITCH);
        try_ip(&["netns", "add", &switch])?;
        self.hosts.push(SWITCH.to_owned());
        try_ip(&["-n", &switch, "link", "add", "name", "hub", "type", "bridge"])?;
        try_ip(&["-n", &switch, "link", "set", "hub", "up"])?;
        for (host, address) in hosts {
            let namespace = self.namespace(host);
            try_ip(&["netns", "add", &namespace])?;
            self.hosts.push((*host).to_owned());
            let ends = ["type", "veth", "peer", "name", "eth0", "netns", &namespace];
            try_ip(&[&["-n", &switch, "link", "add", "name", host][..], &ends].concat())?;
            try_ip(&["-n", &switch, "link", "set", host, "master", "hub", "up"])?;
            try_ip(&["-n", &namespace, "addr", "add", &format!("{NET}.{address}/24"), "dev", "eth0"])?;
            try_ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
            try_ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
            fs::create_dir_all(self.etc(host)).map_err(|error| error.to_string())?;
            // No server listens there, so other names fail at once and are not looked up outside.
            fs::write(self.etc(host).join("resolv.conf"), "nameserver 127.0.0.1\n")
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }

    fn etc(&self, host: &str) -> PathBuf {
        Path::new(ETC).join(self.namespace(host))
    }

    /// The program and arguments that run what follows on a host.
    pub fn on(&self, host: &str) -> Vec<String> {
        ["ip", "netns", "exec", &self.namespace(host)].map(str::to_owned).to_vec()
    }

    /// Makes the host's name resolve to an address, on every host.
    pub fn name(&mut self, host: &str, address: u8) {
        self.names.insert(host.to_owned(), address);
        let line = |(host, address): (&String, &u8)| format!("{NET}.{address} {host}.entail\n");
        let text: String = self.names.iter().map(line).collect();
        for host in self.hosts.iter().filter(|host| *host != SWITCH) {
            // Overwritten in place: running programs have this very file mounted.
            fs::write(self.etc(host).join("hosts"), format!("127.0.0.1 localhost\n{text}")).unwrap();
        }
    }

    /// Disconnects the host from the switch, without notice to other hosts.
    pub fn cut(&self, host: &str) {
        self.at_switch(&["link", "set", host, "nomaster"]);
    }

    /// Undoes [`Self::cut`].
    pub fn heal(&self, host: &str) {
        self.at_switch(&["link", "set", host, "master", "hub"]);
    }

    /// Separates these hosts from each other, but not from the other hosts.
    pub fn part(&self, hosts: &[&str]) {
        hosts.iter().for_each(|host| self.at_switch(&["link", "set", host, "type", "bridge_slave", "isolated", "on"]));
    }

    /// Undoes [`Self::part`].
    pub fn join(&self, hosts: &[&str]) {
        hosts.iter().for_each(|host| self.at_switch(&["link", "set", host, "type", "bridge_slave", "isolated", "off"]));
    }

    /// Gives the host another address; its name still leads to the old one.
    pub fn move_to(&self, host: &str, address: u8) {
        let namespace = self.namespace(host);
        ip(&["-n", &namespace, "addr", "flush", "dev", "eth0"]);
        ip(&["-n", &namespace, "addr", "add", &format!("{NET}.{address}/24"), "dev", "eth0"]);
        // Hosts of a routed network, as in a cluster, keep no ARP entries of each other.
        for host in self.hosts.iter().filter(|host| *host != SWITCH) {
            ip(&["-n", &self.namespace(host), "neigh", "flush", "dev", "eth0"]);
        }
    }

    fn at_switch(&self, arguments: &[&str]) {
        ip(&[&["-n", &self.namespace(SWITCH)], arguments].concat());
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in &self.hosts {
            remove(&self.namespace(host));
        }
    }
}

/// Removes a namespace and its names, as far as they are there.
fn remove(namespace: &str) {
    let _ = try_ip(&["netns", "del", namespace]);
    let _ = fs::remove_dir_all(Path::new(ETC).join(namespace));
}

/// Removes the networks of tests that do not run any more.
fn remove_abandoned() {
    let Ok(list) = try_ip(&["netns", "list"]) else { return };
    for namespace in list.lines().filter_map(|line| line.split(' ').next()) {
        let made_by = namespace.strip_prefix(PREFIX).and_then(|rest| rest.split('-').nth(1));
        if made_by.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            remove(namespace);
        }
    }
}

fn ip(arguments: &[&str]) {
    if let Err(why) = try_ip(arguments) {
        panic!("ip {arguments:?}: {why}");
    }
}

/// Runs `ip`; returns its output, or the reason why it fails.
fn try_ip(arguments: &[&str]) -> Result<String, String> {
    let Output { status, stdout, stderr } =
        Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    match status.success() {
        true => Ok(String::from_utf8_lossy(&stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&stderr).trim().to_owned()),
    }
}
