//! One packet where the SMTP client writes twice.
//!
//! lettre flushes after the message and again after its final dot. A server can do nothing with the first half, so here what is
//! written goes out when the client begins to wait for the answer: one system call and one wake-up of the server less for each
//! mail.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf},
    net::TcpStream,
};

/// A connection whose flush waits for the next read.
pub(super) struct WriteBehind {
    stream: BufWriter<TcpStream>,
}

impl WriteBehind {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream: BufWriter::new(stream),
        }
    }
}

impl fmt::Debug for WriteBehind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("WriteBehind")
            .field(self.stream.get_ref())
            .finish()
    }
}

impl AsyncRead for WriteBehind {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.stream.buffer().is_empty() {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for WriteBehind {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for WriteBehind {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().peer_addr()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::WriteBehind;

    #[tokio::test]
    async fn what_was_flushed_in_parts_goes_out_as_one_when_the_answer_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut client, mut server) = (WriteBehind::new(stream.unwrap()), accepted.unwrap().0);
        for part in ["the message", "\r\n.\r\n"] {
            client.write_all(part.as_bytes()).await.unwrap();
            client.flush().await.unwrap();
        }
        let nothing = server.try_read(&mut [0; 8]).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
        let answering = async {
            let mut seen = [0; 64];
            let count = server.read(&mut seen).await.unwrap();
            server.write_all(b"250 OK\r\n").await.unwrap();
            seen[..count].to_vec()
        };
        let mut answer = [0; 8];
        let (seen, read) = tokio::join!(answering, client.read_exact(&mut answer));
        read.unwrap();
        assert_eq!(seen, b"the message\r\n.\r\n");
        assert_eq!(&answer, b"250 OK\r\n");
    }
}
