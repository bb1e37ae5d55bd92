//! Address ranges: which proxies are believed.

use std::{net::IpAddr, str::FromStr};

/// An address range, such as `10.0.0.0/8`; a single address is its own range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// Whether `address` lies in the range. IPv4 addresses mapped into IPv6 count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(it)) => {
                let shift = 32 - self.prefix;
                u32::from(net).checked_shr(shift) == u32::from(it).checked_shr(shift)
            }
            (IpAddr::V6(net), IpAddr::V6(it)) => {
                let shift = 128 - self.prefix;
                u128::from(net).checked_shr(shift) == u128::from(it).checked_shr(shift)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let fault = || format!("{text:?} is no address or range such as 10.0.0.0/8");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().map_err(|_| fault())?)),
            None => (text, None),
        };
        let address = IpAddr::from_str(address.trim())
            .map_err(|_| fault())?
            .to_canonical();
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        if prefix > longest {
            return Err(fault());
        }
        Ok(Self { address, prefix })
    }
}
