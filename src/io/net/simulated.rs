//! Sockets of a simulated network, with the same surface as those of the operating system.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

/// Bytes taken from the simulated network at once.
const READ_BYTES: usize = 64 << 10;

/// Linux sends its first SYN again after this.
const SYN_AGAIN: Duration = Duration::from_secs(1);

/// Remembers the address; it is bound when the host begins to accept.
pub fn listen(address: SocketAddr, _backlog: i32) -> io::Result<Listening> {
    Ok(Listening { address })
}

/// An address to listen on.
pub struct Listening {
    address: SocketAddr,
}

impl Listening {
    pub fn address(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// A listening socket of the host.
pub struct Listener {
    address: SocketAddr,
    inner: tokio::sync::OnceCell<TcpListener>,
}

impl Listener {
    pub fn new(listening: Listening) -> io::Result<Listener> {
        Ok(Listener { address: listening.address, inner: tokio::sync::OnceCell::new() })
    }

    /// The next connection.
    pub async fn accept(&self) -> io::Result<(Accepted, SocketAddr)> {
        let listener = self.inner.get_or_try_init(|| TcpListener::bind(self.address)).await?;
        let (stream, peer) = listener.accept().await?;
        Ok((Accepted { stream }, peer))
    }
}

/// A connection that was accepted.
pub struct Accepted {
    stream: TcpStream,
}

impl Accepted {
    pub fn open(self, _keepalive: Duration) -> io::Result<Stream> {
        Ok(Stream { inner: self.stream })
    }
}

/// Connects to a host of the simulation. Asks again after a while, as systems do: the simulated network loses what is sent over
/// a cut link for good.
pub async fn connect(host: &str, port: u16, _keepalive: Duration) -> io::Result<Stream> {
    loop {
        if let Ok(connected) = tokio::time::timeout(SYN_AGAIN, TcpStream::connect((host, port))).await {
            return Ok(Stream { inner: connected? });
        }
    }
}

/// One connection.
pub struct Stream {
    inner: TcpStream,
}

impl Stream {
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut byte = [0];
        self.inner.poll_peek(cx, &mut ReadBuf::new(&mut byte)).map_ok(|_| ())
    }

    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        debug_assert!(buffer.capacity() > buffer.len());
        let mut bytes = vec![0; READ_BYTES.min(buffer.capacity() - buffer.len())];
        let mut target = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut target))?;
        buffer.extend_from_slice(target.filled());
        Poll::Ready(Ok(target.filled().len()))
    }

    pub fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>], _more: bool) -> Poll<io::Result<usize>> {
        // One segment, as one `writev` would be; the network counts segments, not bytes.
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        Pin::new(&mut self.inner).poll_write(cx, &bytes)
    }

    /// Never called: files of a simulated disk have no descriptor.
    pub fn poll_send_file(
        &mut self,
        _cx: &mut Context<'_>,
        _file: BorrowedFd<'_>,
        _position: u64,
        _count: usize,
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
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
