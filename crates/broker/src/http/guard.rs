//! Which addresses a request may go to, decided after the name is resolved.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Name, Resolve, Resolving};
use url::{Host, Url};

/// How far requests of a provider may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guard {
    /// The public internet, over TLS.
    Public,
    /// Loopback and private networks too, and plain HTTP: for providers marked internal.
    Internal,
}

/// An address that requests may not go to.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Forbidden(String);

impl Guard {
    /// The guard of a provider by its internal flag.
    pub fn of(internal_at: Option<i64>) -> Self {
        match internal_at {
            Some(_) => Self::Internal,
            None => Self::Public,
        }
    }

    /// Refuses what can be seen before a name is resolved: plain HTTP and literal addresses.
    ///
    /// # Errors
    /// [`Forbidden`] with the reason.
    pub fn check_url(self, url: &Url) -> Result<(), Forbidden> {
        match (url.scheme(), self) {
            ("https", _) | ("http", Self::Internal) => {}
            _ => {
                return Err(Forbidden(
                    "plain http is for providers marked internal".to_owned(),
                ));
            }
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.check(IpAddr::V6(address)),
            Some(Host::Domain(_)) => Ok(()),
            None => Err(Forbidden("the address has no host".to_owned())),
        }
    }

    /// Refuses an address out of reach.
    ///
    /// # Errors
    /// [`Forbidden`] with the address and the reason.
    pub fn check(self, address: IpAddr) -> Result<(), Forbidden> {
        let inner = embedded(address);
        if never(inner) {
            let reason =
                format!("{address} is a link-local, metadata or otherwise special address");
            return Err(Forbidden(reason));
        }
        if self == Self::Public && private(inner) {
            let reason = format!("{address} is loopback or private: mark the provider internal");
            return Err(Forbidden(reason));
        }
        Ok(())
    }

    /// The addresses of `host` that requests may go to.
    ///
    /// # Errors
    /// [`std::io::Error`] when the name does not resolve, holding [`Forbidden`] when none is allowed.
    pub async fn resolve(self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
        let mut refused = Forbidden(format!("{host} has no address"));
        let mut allowed = Vec::with_capacity(found.len());
        for address in found {
            match self.check(address.ip()) {
                Ok(()) => allowed.push(address),
                Err(reason) => refused = reason,
            }
        }
        if allowed.is_empty() {
            return Err(std::io::Error::new(
                std::io::ErrorKind::PermissionDenied,
                refused,
            ));
        }
        Ok(allowed)
    }

    /// The resolver of one HTTP client; the proxy is the operator's own choice and may be anywhere.
    pub(super) fn resolver(self, proxy_host: Option<&str>) -> Arc<GuardedResolver> {
        Arc::new(GuardedResolver {
            guard: self,
            proxy_host: proxy_host.map(Arc::from),
        })
    }
}

/// Resolves names to allowed addresses only, so that what was checked is what is connected to.
pub(super) struct GuardedResolver {
    guard: Guard,
    proxy_host: Option<Arc<str>>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.guard;
        let is_proxy = self.proxy_host.as_deref() == Some(name.as_str());
        Box::pin(async move {
            let addresses = if is_proxy {
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect()
            } else {
                guard.resolve(name.as_str(), 0).await?
            };
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

/// The IPv4 address that an IPv6 one stands for (mapped, NAT64, 6to4), or the address itself.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| {
        IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
    };
    match (a, b, c, d, e, f) {
        (0x64, 0xff9b, 0, 0, 0, 0) => v4(g, h),
        (0x2002, high, low, ..) => v4(high, low),
        _ => address,
    }
}

/// Cloud metadata services that are not link-local: AWS over IPv6, Alibaba, Oracle.
const METADATA: [IpAddr; 3] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

fn never(address: IpAddr) -> bool {
    if address.is_unspecified() || address.is_multicast() || METADATA.contains(&address) {
        return true;
    }
    match address {
        // 0.0.0.0/8 is "this network", 240.0.0.0/4 reserved with broadcast in it.
        IpAddr::V4(v4) => v4.is_link_local() || v4.octets()[0] == 0 || v4.octets()[0] >= 240,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn private(address: IpAddr) -> bool {
    if address.is_loopback() {
        return true;
    }
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            v4.is_private()
                // Carrier-grade NAT, protocol assignments, benchmarks (often a proxy's fake addresses).
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19))
        }
        // Unique-local fc00::/7, and site-local fec0::/10 of old; ::/96 holds old embedded IPv4.
        IpAddr::V6(v6) => {
            v6.is_unique_local()
                || v6.segments()[0] & 0xffc0 == 0xfec0
                || v6.segments()[..6] == [0; 6]
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn allowed(guard: Guard, address: &str) -> bool {
        guard.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn refuses_special_addresses_even_for_internal_providers() {
        let special = [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "240.0.0.1",
        ];
        for address in special {
            assert!(!allowed(Guard::Internal, address), "{address}");
            assert!(!allowed(Guard::Public, address), "{address}");
        }
    }

    #[test]
    fn private_addresses_are_for_internal_providers_alone() {
        let private = [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "::ffff:127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "fd12::1",
            "fec0::1",
        ];
        for address in private {
            assert!(allowed(Guard::Internal, address), "{address}");
            assert!(!allowed(Guard::Public, address), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_allowed() {
        for address in [
            "140.82.121.4",
            "2606:50c0:8000::154",
            "172.32.0.1",
            "100.128.0.1",
        ] {
            assert!(allowed(Guard::Public, address), "{address}");
        }
    }

    #[test]
    fn plain_http_and_literal_addresses_are_checked_before_any_lookup() {
        let check = |guard: Guard, url: &str| guard.check_url(&Url::parse(url).unwrap()).is_ok();
        assert!(!check(Guard::Public, "http://git.example.com/"));
        assert!(check(Guard::Internal, "http://git.example.com/"));
        assert!(check(Guard::Public, "https://git.example.com/"));
        assert!(!check(Guard::Public, "https://127.0.0.1/"));
        assert!(
            !check(Guard::Public, "https://2130706433/"),
            "a number is an address too"
        );
        assert!(!check(Guard::Internal, "https://[fe80::1]/"));
        assert!(!check(Guard::Internal, "ftp://git.example.com/"));
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_loopback_is_refused_for_public_providers() {
        let refused = Guard::Public.resolve("localhost", 443).await.unwrap_err();
        assert!(refused.get_ref().unwrap().is::<Forbidden>());
        assert!(
            !Guard::Internal
                .resolve("localhost", 443)
                .await
                .unwrap()
                .is_empty()
        );
    }
}
