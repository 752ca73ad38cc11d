//! One SMTP connection: `mailin` does the protocol, this does the bytes and the faults.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use mailin::{Action, Handler, Response, SessionBuilder, response};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Fault, MailMessage, Shared};

/// A line longer than this is no mail (RFC 5321 allows 1,000 octets; some senders exceed it).
const LINE_LIMIT: usize = 1024 * 1024;

/// What the handler wants done beside or instead of `mailin`'s own answer.
#[derive(Debug, Default)]
struct Effect {
    fault: Option<Fault>,
    /// Whose mail waits for another fault before it is answered.
    held: Option<String>,
    /// The answer to the end of DATA. `mailin` would stay in the DATA state after a rejection by the handler, and take the
    /// client's QUIT for a line of text; so the handler accepts and the answer is replaced.
    instead: Option<Response>,
}

pub(super) async fn run(stream: TcpStream, peer: IpAddr, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let effect = Arc::new(Mutex::new(Effect::default()));
    let receiver = Receiver::new(Arc::clone(&shared), Arc::clone(&effect));
    let mut session = SessionBuilder::new("banyan.test").build(peer, receiver);

    writer.write_all(&session.greeting().buffer()?).await?;
    let mut line = Vec::with_capacity(1024);
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        if line.len() > LINE_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "line too long"));
        }
        let answer = session.process(&line);
        let done = std::mem::take(&mut *effect.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(recipient) = done.held {
            shared.let_go(&recipient).await;
        }
        match done.fault {
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            Some(Fault::Close | Fault::LoseReply) => return Ok(()),
            _ => {}
        }
        let answer = done.instead.unwrap_or(answer);
        match answer.action {
            Action::NoReply => {}
            Action::Reply => writer.write_all(&answer.buffer()?).await?,
            Action::Close | Action::UpgradeTls => return writer.write_all(&answer.buffer()?).await,
        }
    }
}

/// Collects one transaction after the other.
struct Receiver {
    shared: Arc<Shared>,
    effect: Arc<Mutex<Effect>>,
    from: String,
    to: Vec<String>,
    bytes: Vec<u8>,
    fault: Fault,
}

impl Receiver {
    fn new(shared: Arc<Shared>, effect: Arc<Mutex<Effect>>) -> Self {
        Self {
            shared,
            effect,
            from: String::new(),
            to: Vec::new(),
            bytes: Vec::new(),
            fault: Fault::None,
        }
    }

    fn affect(&self, change: impl FnOnce(&mut Effect)) {
        change(&mut self.effect.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Handler for Receiver {
    fn mail(&mut self, _: IpAddr, _: &str, from: &str) -> Response {
        from.clone_into(&mut self.from);
        self.to.clear();
        self.bytes.clear();
        self.fault = Fault::None;
        response::OK
    }

    fn rcpt(&mut self, to: &str) -> Response {
        match self.shared.fault_for(to) {
            Fault::Reject4xx => return Response::custom(450, "4.2.0 Mailbox unavailable, try later".into()),
            Fault::Reject5xx => return Response::custom(550, "5.1.1 No such mailbox".into()),
            fault @ (Fault::Delay(_) | Fault::Close) => self.affect(|effect| effect.fault = Some(fault)),
            fault @ (Fault::RejectData4xx | Fault::RejectData5xx | Fault::LoseReply) => self.fault = fault,
            Fault::Hold => self.affect(|effect| effect.held = Some(to.to_owned())),
            Fault::None => {}
        }
        self.to.push(to.to_owned());
        response::OK
    }

    fn data(&mut self, buf: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(buf);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let rejection = match self.fault {
            Fault::RejectData4xx => Some(Response::custom(451, "4.3.0 Local error, try later".into())),
            Fault::RejectData5xx => Some(Response::custom(554, "5.6.0 Message refused".into())),
            _ => None,
        };
        if rejection.is_some() {
            self.affect(|effect| effect.instead = rejection);
            return response::OK;
        }
        let to = std::mem::take(&mut self.to);
        let message = MailMessage::new(
            std::mem::take(&mut self.from),
            to,
            std::mem::take(&mut self.bytes),
        );
        if let Err(error) = self.shared.keep(message) {
            let rejection = Response::custom(452, format!("4.3.1 {error}"));
            self.affect(|effect| effect.instead = Some(rejection));
        } else if self.fault == Fault::LoseReply {
            self.affect(|effect| effect.fault = Some(Fault::LoseReply));
        }
        response::OK
    }
}
