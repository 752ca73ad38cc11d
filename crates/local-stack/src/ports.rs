//! Ports on 127.0.0.1: finding a free one, and naming who holds a taken one.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use rand::Rng as _;

use crate::error::StackError;

/// Private servers take ports below the ephemeral range (32768 and up), so that no outgoing connection can hold
/// the port of a server that was killed and is about to come back.
const FROM: u16 = 20_000;
const TO: u16 = 32_000;

/// A port that nothing listens on now.
pub fn free_port() -> Result<u16, StackError> {
    let mut rng = rand::rng();
    (0..500)
        .map(|_| rng.random_range(FROM..=TO))
        .find(|port| is_free(*port))
        .ok_or(StackError::NoFreePort { from: FROM, to: TO })
}

/// The port a server gets: the wanted one; or, where 0 is wanted, the one it had before if that is still free, and any
/// free one else.
pub(crate) fn choose(wanted: u16, before: u16) -> Result<u16, StackError> {
    match (wanted, before) {
        (0, before) if before != 0 && is_free(before) => Ok(before),
        (0, _) => free_port(),
        (wanted, _) => Ok(wanted),
    }
}

/// Whether a server could listen on the port of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// An error that names the holder when the port is taken.
pub fn require_free(name: &str, port: u16) -> Result<(), StackError> {
    if is_free(port) {
        return Ok(());
    }
    Err(StackError::PortTaken {
        name: name.to_owned(),
        port,
        holder: holder(port),
    })
}

/// Describes the process that listens on the port.
pub fn holder(port: u16) -> String {
    let inodes: Vec<u64> = kernel_listeners()
        .iter()
        .filter(|listener| listener.address.port() == port)
        .map(|found| found.inode)
        .collect();
    if inodes.is_empty() {
        return "an outgoing connection or another network namespace".to_owned();
    }
    pids()
        .find(|pid| sockets_of(*pid).iter().any(|socket| inodes.contains(socket)))
        .map_or_else(
            || "a process of another user".to_owned(),
            |pid| format!("pid {pid} ({})", command_line(pid)),
        )
}

/// Every TCP address that a process listens on.
pub fn listeners_of(pid: u32) -> Vec<SocketAddr> {
    let sockets = sockets_of(pid);
    kernel_listeners()
        .into_iter()
        .filter(|listener| sockets.contains(&listener.inode))
        .map(|listener| listener.address)
        .collect()
}

/// A listening socket in the kernel's TCP tables.
struct Listener {
    address: SocketAddr,
    inode: u64,
}

fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Inodes of the sockets that a process has open.
fn sockets_of(pid: u32) -> Vec<u64> {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .filter_map(|target| {
            target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?
                .parse()
                .ok()
        })
        .collect()
}

fn command_line(pid: u32) -> String {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&raw).replace('\0', " ");
    text.trim().chars().take(100).collect()
}

fn kernel_listeners() -> Vec<Listener> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| parse_listeners(&table))
        .collect()
}

fn parse_listeners(table: &str) -> Vec<Listener> {
    const LISTEN: &str = "0A";
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if *fields.get(3)? != LISTEN {
                return None;
            }
            Some(Listener {
                address: parse_address(fields.get(1)?)?,
                inode: fields.get(9)?.parse().ok()?,
            })
        })
        .collect()
}

/// `0100007F:1F90` is 127.0.0.1:8080: the address in 32-bit words of the machine's byte order.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words: Vec<[u8; 4]> = (0..address.len() / 8)
        .map(|word| {
            u32::from_str_radix(&address[word * 8..word * 8 + 8], 16)
                .map(u32::to_ne_bytes)
                .ok()
        })
        .collect::<Option<_>>()?;
    let ip = match words.as_slice() {
        [four] => IpAddr::from(*four),
        [_, _, _, _] => IpAddr::from(<[u8; 16]>::try_from(words.concat()).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_holder() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = require_free("postgres", port).unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} for postgres")), "{error}");
        assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
        assert!(error.contains("BANYAN_PORT_OFFSET"), "{error}");
    }

    #[test]
    fn addresses_of_both_families_are_parsed() {
        assert_eq!(
            parse_address("0100007F:1F90").unwrap().to_string(),
            "127.0.0.1:8080"
        );
        assert_eq!(
            parse_address("00000000000000000000000001000000:0050")
                .unwrap()
                .to_string(),
            "[::1]:80"
        );
    }

    #[test]
    fn free_ports_lie_below_the_ephemeral_range() {
        let port = free_port().unwrap();
        assert!((FROM..=TO).contains(&port));
        require_free("x", port).unwrap();
    }
}
