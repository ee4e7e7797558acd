//! Ports of the loopback for servers that a test starts later, or again.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A port that the system gives to nobody else while this lives, also when no server listens there: it is held by a socket that is
/// bound and does not listen. A server allows the reuse of its address, and so can listen there; whoever asks for any port, to
/// listen or to connect from, gets another one.
pub struct HeldPort {
    number: u16,
    _holder: Socket,
}

impl HeldPort {
    pub fn reserve() -> HeldPort {
        let holder = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        holder.set_reuse_address(true).expect("a port may be shared");
        holder.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        let address = holder.local_addr().expect("it is bound").as_socket().expect("an internet address");
        HeldPort { number: address.port(), _holder: holder }
    }

    pub fn number(&self) -> u16 {
        self.number
    }
}

impl std::fmt::Display for HeldPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_can_listen_on_a_held_port_again_and_again_and_nobody_else_is_given_it() {
        let port = HeldPort::reserve();
        for _ in 0..2 {
            TcpListener::bind(("127.0.0.1", port.number())).expect("it is ours");
        }
        let others: Vec<TcpListener> = (0..200).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        assert!(others.iter().all(|other| other.local_addr().expect("an address").port() != port.number()));
    }
}
