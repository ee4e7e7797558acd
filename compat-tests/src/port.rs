//! Ports for servers that are stopped, killed and started again on the same one.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

/// A port of 127.0.0.1 that the system gives to nobody else while this lives, also when no server listens there.
///
/// It is held by a socket that is bound and does not listen. A server that allows the reuse of its address, as Ottla and Apache
/// Kafka do, can listen there; whoever asks the system for any port, to listen or to connect from, gets another one.
pub struct Port {
    number: u16,
    address: String,
    _held: OwnedFd,
}

impl Port {
    pub fn reserve() -> anyhow::Result<Port> {
        let held = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseaddr(&held, true)?;
        bind(&held, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let number = SocketAddr::try_from(getsockname(&held)?)?.port();
        Ok(Port { number, address: format!("127.0.0.1:{number}"), _held: held })
    }

    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::Port;

    #[test]
    fn a_server_can_listen_on_a_reserved_port_again_and_again() {
        let port = Port::reserve().unwrap();
        for _ in 0..2 {
            let server = TcpListener::bind(port.address()).unwrap();
            assert_eq!(server.local_addr().unwrap().port(), port.number());
        }
    }

    /// As many as the system has to give are asked for, in one process's limit of open files.
    #[test]
    fn nobody_else_is_given_a_reserved_port() {
        let port = Port::reserve().unwrap();
        let others: Vec<TcpListener> = (0..500).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        assert!(others.iter().all(|other| other.local_addr().unwrap().port() != port.number()));
    }
}
