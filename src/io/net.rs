//! The network door: listening sockets and connections.
//!
//! A connection of a client is used by one task on one thread: it polls for reading and writing itself, so that reading,
//! working and answering are one turn without a second task or a channel. A connection to a peer is also a stream for tokio.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

#[cfg(not(feature = "sim"))]
mod real;
#[cfg(feature = "sim")]
mod simulated;

#[cfg(not(feature = "sim"))]
pub use real::{Accepted, Listener, Listening, Stream, connect, listen};
#[cfg(feature = "sim")]
pub use simulated::{Accepted, Listener, Listening, Stream, connect, listen};

/// The most slices one write takes; more would be refused by the system (`UIO_MAXIOV` is 1,024).
pub const SLICES_MAX: usize = 64;

/// The addresses of a host to listen on: itself when it is an address, else what the system's resolver says.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    Ok((host, port).to_socket_addrs()?.collect())
}

/// Whether an address cannot be bound because this machine does not have its kind: no IPv6 in many containers.
pub fn is_family_missing(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL))
}

/// Whether a host to listen on means every address of this machine, and so names none that could be connected to.
pub fn is_wildcard_host(host: &str) -> bool {
    host.is_empty() || host.parse().is_ok_and(|address: IpAddr| address.is_unspecified())
}

/// The name of this machine, by which others may reach it.
pub fn own_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether the address is one of this machine's.
#[cfg(not(feature = "sim"))]
pub fn is_here(ip: IpAddr) -> bool {
    // The system binds addresses that it has, and no others; a datagram socket takes no port from anyone.
    std::net::UdpSocket::bind((ip, 0)).is_ok()
}

/// Whether the address is the simulated host's own, as far as it can be told: by name hosts are told apart there.
#[cfg(feature = "sim")]
pub fn is_here(ip: IpAddr) -> bool {
    ip.is_loopback()
}

/// The wildcard address of IPv4, for machines without IPv6.
pub const fn any_v4(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)
}

/// Whether the address is of this machine; an IPv4 address in IPv6 clothes counts as itself.
pub fn is_loopback(ip: IpAddr) -> bool {
    plain(ip).is_loopback()
}

/// An address without the IPv6 clothes in which a dual-stack socket shows IPv4 peers.
pub fn plain(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// A wildcard of either family.
pub const fn is_unspecified(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(Ipv4Addr::UNSPECIFIED) | IpAddr::V6(Ipv6Addr::UNSPECIFIED))
}
