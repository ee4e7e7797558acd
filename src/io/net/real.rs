//! Sockets of the operating system.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use rustix::net::{SendAncillaryBuffer, SendFlags};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// Binds and listens, but accepts nothing yet. An IPv6 wildcard takes IPv4 too.
///
/// Never shares its port: a second server on it must fail, not take half of the connections.
pub fn listen(address: SocketAddr, backlog: i32) -> io::Result<Listening> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let IpAddr::V6(ip) = address.ip() {
        socket.set_only_v6(!ip.is_unspecified())?;
    }
    // Connections of a server that has just stopped, in TIME_WAIT, must not keep its port from the next one.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(Listening { inner: socket.into() })
}

/// A socket that listens, on no runtime yet.
pub struct Listening {
    inner: std::net::TcpListener,
}

impl Listening {
    /// With the port that the system chose.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A listening socket on the calling thread's runtime.
pub struct Listener {
    inner: AsyncFd<std::net::TcpListener>,
}

impl Listener {
    /// Must be called on a runtime.
    pub fn new(listening: Listening) -> io::Result<Listener> {
        // SAFETY: the descriptor is the listener's own and lives as long as it does.
        let inner = unsafe { AsyncFd::register_with_interest(listening.inner, Interest::READABLE) };
        Ok(Listener { inner: inner.map_err(io::Error::from)? })
    }

    /// The next connection. It belongs to no runtime yet, so that another thread can serve it.
    pub async fn accept(&self) -> io::Result<(Accepted, SocketAddr)> {
        loop {
            match self.inner.async_io(Interest::READABLE, std::net::TcpListener::accept).await {
                Ok((stream, peer)) => {
                    stream.set_nonblocking(true)?;
                    return Ok((Accepted { stream }, peer));
                }
                // The client has gone before it was accepted: nobody's fault.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A connection on its way to the thread that will serve it.
pub struct Accepted {
    stream: std::net::TcpStream,
}

impl Accepted {
    /// Registers the connection with the calling thread's runtime. `keepalive` finds peers that vanished without a word.
    pub fn open(self, keepalive: Duration) -> io::Result<Stream> {
        prepare(&socket2::SockRef::from(&self.stream), keepalive)?;
        Ok(Stream { inner: TcpStream::from_std(self.stream)? })
    }
}

fn prepare(socket: &socket2::SockRef<'_>, keepalive: Duration) -> io::Result<()> {
    // Answers leave whole, by one write each turn: there is nothing to wait for and join.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(keepalive))
}

/// Connects to the first of the host's addresses that takes the connection. Runs on the calling thread's runtime, and waits as
/// long as the system does: the caller sets the limit.
pub async fn connect(host: &str, port: u16, keepalive: Duration) -> io::Result<Stream> {
    let inner = TcpStream::connect((host, port)).await?;
    prepare(&socket2::SockRef::from(&inner), keepalive)?;
    Ok(Stream { inner })
}

/// One connection.
pub struct Stream {
    inner: TcpStream,
}

impl Stream {
    /// The address that the peer has reached us by.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Whether a read would give something, without a buffer in hand.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_read_ready(cx)
    }

    /// Appends to the buffer what is there, up to its spare capacity, which must not be empty; 0 is the end of the stream.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        debug_assert!(buffer.capacity() > buffer.len());
        let spare = buffer.spare_capacity_mut();
        let mut target = ReadBuf::uninit(spare);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut target))?;
        let count = target.filled().len();
        // SAFETY: `target` is the spare capacity, and its first `count` bytes have just been filled.
        unsafe { buffer.advance_mut(count) };
        Poll::Ready(Ok(count))
    }

    /// Writes the slices, or the first part of them. `more` says that a file follows, so that the last segment is not sent
    /// half full.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>], more: bool) -> Poll<io::Result<usize>> {
        if !more {
            return Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        }
        let send = |stream: BorrowedFd<'_>| {
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            Ok(rustix::net::sendmsg(stream, slices, &mut SendAncillaryBuffer::default(), flags)?)
        };
        self.poll_with(cx, send)
    }

    /// Sends up to `count` bytes of a file from `position` on, without reading them into this process; 0 when the file ends.
    pub fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        position: u64,
        count: usize,
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |stream| {
            let mut position = position;
            Ok(rustix::fs::sendfile(stream, file, Some(&mut position), count)?)
        })
    }

    fn poll_with(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.inner.poll_write_ready(cx))?;
            match self.inner.try_io(Interest::WRITABLE, || write(self.inner.as_fd())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
