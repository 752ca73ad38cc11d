//! Which addresses a URL given by a user may lead to: public ones only.
//!
//! The check is made on the addresses that the client then connects to, after the name was resolved, so a name that resolves
//! to a private address is refused, and a name that changes its answer between check and connection gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::Deserialize;

/// What may be connected to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressPolicy {
    /// Networks allowed although they are not public (CIDR), for the local stack and for relays in one's own network.
    #[serde(default)]
    pub allow: Vec<IpNet>,
    /// `http` as well as `https`, for the local stack.
    #[serde(default)]
    pub allow_plain_http: bool,
}

/// IPv4 space that is not public (IANA special-purpose registry, RFC 6890 and its updates).
const REFUSED_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),           // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // carrier-grade NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, cloud metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, broadcast
];

/// The IPv6 space that is public; everything outside is refused (unspecified, loopback, mapped, ULA, link-local, multicast …).
const PUBLIC_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Parts of the public IPv6 space that are not.
const REFUSED_V6: &[(Ipv6Addr, u8)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo (wraps an IPv4 address)
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4 (wraps an IPv4 address)
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// NAT64 (RFC 6052): the last 32 bits are an IPv4 address.
const NAT64: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Whether the address must not be connected to.
pub fn refused(address: IpAddr, policy: &AddressPolicy) -> bool {
    let address = address.to_canonical();
    if policy.allow.iter().any(|network| network.contains(&address)) {
        return false;
    }
    match address {
        IpAddr::V4(address) => v4_refused(address),
        IpAddr::V6(address) if within_v6(address, NAT64) => {
            let [.., a, b, c, d] = address.octets();
            v4_refused(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(address) => {
            !within_v6(address, PUBLIC_V6) || REFUSED_V6.iter().any(|network| within_v6(address, *network))
        }
    }
}

fn v4_refused(address: Ipv4Addr) -> bool {
    REFUSED_V4
        .iter()
        .any(|&(network, bits)| Ipv4Net::new(network, bits).is_ok_and(|network| network.contains(&address)))
}

fn within_v6(address: Ipv6Addr, (network, bits): (Ipv6Addr, u8)) -> bool {
    Ipv6Net::new(network, bits).is_ok_and(|network| network.contains(&address))
}

/// A host that must not be connected to. Permanent: no retry changes it.
#[derive(Debug, thiserror::Error)]
#[error("the host resolves to an address that is not public")]
pub(super) struct Refused;

/// Resolves names for the HTTP client; one private address among the answers refuses them all.
#[derive(Clone, Debug)]
pub(super) struct GuardedResolver(pub(super) AddressPolicy);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().any(|address| refused(address.ip(), &policy)) {
                return Err(Refused.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_refused() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            let address = address.parse().expect("an address");
            assert!(
                refused(address, &AddressPolicy::default()),
                "{address} is let through"
            );
        }
    }

    #[test]
    fn public_addresses_are_not() {
        for address in [
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "64:ff9b::808:808",
        ] {
            let address = address.parse().expect("an address");
            assert!(
                !refused(address, &AddressPolicy::default()),
                "{address} is refused"
            );
        }
    }

    #[test]
    fn a_network_can_be_allowed_by_name() {
        let policy = AddressPolicy {
            allow: vec!["127.0.0.0/8".parse().expect("a network")],
            ..AddressPolicy::default()
        };
        assert!(!refused("127.0.0.1".parse().expect("an address"), &policy));
        assert!(refused("10.0.0.1".parse().expect("an address"), &policy));
    }
}
