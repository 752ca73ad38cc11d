//! As much HTTP/1.1 as both ends of a measurement need: messages with a Content-Length on a connection that stays open.
//!
//! By hand, because the peers of the service share its two cores: what they spend is missing from what is measured.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One end of a connection.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: BytesMut,
}

/// A request or a response, read whole.
pub(crate) struct Message {
    bytes: Bytes,
    body_at: usize,
}

impl Message {
    /// The first line and the headers.
    pub(crate) fn head(&self) -> &[u8] {
        &self.bytes[..self.body_at]
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[self.body_at..]
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: BytesMut::with_capacity(4096),
        })
    }

    pub(crate) async fn send(&mut self, message: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(message).await
    }

    /// The next message; `None` when the peer has closed the connection.
    pub(crate) async fn receive(&mut self) -> std::io::Result<Option<Message>> {
        let mut ends = None;
        loop {
            ends = ends.or_else(|| ends_of(&self.buffer));
            if let Some((body_at, end)) = ends
                && self.buffer.len() >= end
            {
                return Ok(Some(Message {
                    bytes: self.buffer.split_to(end).freeze(),
                    body_at,
                }));
            }
            self.buffer.reserve(4096);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// Where the head of a message ends, and where its body does.
fn ends_of(bytes: &[u8]) -> Option<(usize, usize)> {
    let body_at = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let name = b"content-length:";
    let length = bytes[..body_at]
        .split(|byte| *byte == b'\n')
        .filter(|line| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name))
        .find_map(|line| {
            std::str::from_utf8(&line[name.len()..])
                .ok()?
                .trim()
                .parse::<usize>()
                .ok()
        });
    Some((body_at, body_at + length.unwrap_or(0)))
}
