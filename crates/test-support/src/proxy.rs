//! A TCP proxy that can be cut, slowed down and made to go silent.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

/// What the proxy does with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Open,
    Cut,
    Silent,
}

#[derive(Debug, Clone, Copy)]
struct State {
    mode: Mode,
    delay: Duration,
}

/// A proxy before one server, gone with this value.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    _stop: DropGuard,
}

impl TcpProxy {
    /// A proxy on a free port before `target`.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (state, seen) = watch::channel(State {
            mode: Mode::Open,
            delay: Duration::ZERO,
        });
        let stop = CancellationToken::new();
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(accept(listener, target, seen, stop.clone())),
        );
        Self {
            address,
            state,
            _stop: stop.drop_guard(),
        }
    }

    /// A proxy before the server of a URL; `default_port` where the URL names none.
    pub async fn before(url: &str, default_port: u16) -> Self {
        Self::start(address_of(url, default_port)).await
    }

    /// Where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL with the proxy in the place of the server.
    pub fn url(&self, url: &str) -> String {
        with_address(url, self.address)
    }

    /// Drops every connection, and each new one at once, until [`TcpProxy::heal`].
    pub fn cut(&self) {
        self.state.send_modify(|state| state.mode = Mode::Cut);
    }

    /// Lets connections stand and passes nothing on, as a network does that lost a route; until [`TcpProxy::heal`].
    pub fn go_silent(&self) {
        self.state.send_modify(|state| state.mode = Mode::Silent);
    }

    /// Passes each piece of data on only after `delay`, in both directions; zero for none.
    pub fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    /// Ends [`TcpProxy::cut`] and [`TcpProxy::go_silent`].
    pub fn heal(&self) {
        self.state.send_modify(|state| state.mode = Mode::Open);
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    state: watch::Receiver<State>,
    stop: CancellationToken,
) {
    while let Ok((client, _)) = listener.accept().await {
        if state.borrow().mode == Mode::Cut {
            continue;
        }
        let state = state.clone();
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            let Ok(server) = TcpStream::connect(target).await else {
                return;
            };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let ((client_in, client_out), (server_in, server_out)) =
                (client.into_split(), server.into_split());
            // Either direction's end, or a cut, ends the connection.
            tokio::select! {
                () = pass(client_in, server_out, state.clone()) => {}
                () = pass(server_in, client_out, state.clone()) => {}
                () = cut(state) => {}
            }
        }));
    }
}

async fn cut(mut state: watch::Receiver<State>) {
    // The sender lives as long as the proxy.
    let _ = state.wait_for(|state| state.mode == Mode::Cut).await;
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut state: watch::Receiver<State>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        let delay = state.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if state.wait_for(|state| state.mode != Mode::Silent).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// The socket address of a URL's server.
pub(crate) fn address_of(url: &str, default_port: u16) -> SocketAddr {
    let url = Url::parse(url).expect("a URL");
    let host = url.host_str().expect("a URL with a host");
    (host, url.port().unwrap_or(default_port))
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .unwrap_or_else(|| panic!("{host} has no address"))
}

/// The URL with another server.
pub(crate) fn with_address(url: &str, address: SocketAddr) -> String {
    let mut url = Url::parse(url).expect("a URL");
    url.set_ip_host(address.ip()).expect("a URL with a host");
    url.set_port(Some(address.port())).expect("a URL with a host");
    url.into()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::TcpProxy;

    /// Answers what it hears.
    async fn echo() -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await.ok();
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream) -> std::io::Result<u8> {
        stream.write_all(b"x").await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn it_passes_cuts_and_heals() {
        let proxy = TcpProxy::start(echo().await).await;
        let mut before = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut before).await.unwrap(), b'x');
        proxy.cut();
        assert!(
            ask(&mut before).await.is_err(),
            "a cut ends connections that stand"
        );
        let during = async { ask(&mut TcpStream::connect(proxy.address()).await?).await };
        assert!(during.await.is_err(), "a cut ends new connections");
        proxy.heal();
        assert_eq!(
            ask(&mut TcpStream::connect(proxy.address()).await.unwrap())
                .await
                .unwrap(),
            b'x'
        );
    }

    #[tokio::test]
    async fn it_goes_silent_and_is_slow() {
        let proxy = TcpProxy::start(echo().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        proxy.go_silent();
        let silence = tokio::time::timeout(Duration::from_millis(100), ask(&mut stream)).await;
        assert!(
            silence.is_err(),
            "nothing comes through, and the connection stands: {silence:?}"
        );
        proxy.heal();
        assert_eq!(
            stream.read_u8().await.unwrap(),
            b'x',
            "what was held comes through"
        );
        proxy.delay(Duration::from_millis(60));
        let started = Instant::now();
        ask(&mut stream).await.unwrap();
        assert!(
            started.elapsed() >= Duration::from_millis(120),
            "both directions are slow: {:?}",
            started.elapsed()
        );
    }
}
