//! One request and its answer over a connection of its own, blocking, within a time limit: for a question from the command line.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// A longer answer than this is none that was asked for.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Sends a frame (without its length prefix) to the first of the hosts' addresses that accepts, and returns the frame that
/// comes back. Errors: of the last address tried; `TimedOut` once `timeout` is over, in whatever state.
pub fn round_trip(hosts: &[&str], port: u16, request: &[u8], timeout: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + timeout;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for host in hosts {
        for address in (*host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, left(deadline)?) {
                Ok(stream) => return exchange(stream, request, deadline),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

fn exchange(mut stream: TcpStream, request: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
    let length = u32::try_from(request.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let frame = [&length.to_be_bytes()[..], request].concat();
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(&frame)?;
    let mut prefix = [0; 4];
    read_whole(&mut stream, &mut prefix, deadline)?;
    let length = usize::try_from(u32::from_be_bytes(prefix)).map_err(|_| io::ErrorKind::InvalidData)?;
    if length > ANSWER_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut answer = vec![0; length];
    read_whole(&mut stream, &mut answer, deadline)?;
    Ok(answer)
}

/// A peer that sends a byte now and then must not outlast the deadline, so each read gets only what is left.
fn read_whole(stream: &mut TcpStream, buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}
