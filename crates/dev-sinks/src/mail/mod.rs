//! An SMTP server that keeps what it is sent.

mod maildir;
mod message;
mod session;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::wait::{WaitTimeout, wait_for};
use maildir::Maildir;
pub use message::MailMessage;

/// What goes wrong with the mails to come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: every mail is taken at once.
    #[default]
    None,
    /// RCPT is answered with 450.
    Reject4xx,
    /// RCPT is answered with 550.
    Reject5xx,
    /// The end of DATA is answered with 451.
    RejectData4xx,
    /// The end of DATA is answered with 554.
    RejectData5xx,
    /// RCPT is answered this much later, so that a sender who gives up meanwhile has sent nothing.
    Delay(Duration),
    /// RCPT is answered once another fault, or none, is set.
    Hold,
    /// The connection is closed at RCPT, without an answer.
    Close,
    /// The message is kept, then the connection closed without the answer: the sender cannot know.
    LoseReply,
}

/// A running SMTP server on a real port. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct MailSink {
    addr: SocketAddr,
    shared: Arc<Shared>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

impl MailSink {
    /// Listens on `listen` (port 0 takes a free one) and keeps messages in memory, and in the Maildir `dir` if one is given.
    pub async fn start(listen: SocketAddr, dir: Option<&Path>) -> io::Result<Self> {
        Self::start_with(listen, dir, true).await
    }

    /// As [`start`](Self::start), but keeps messages in the Maildir only: for a process that runs for days.
    pub async fn start_on_disk(listen: SocketAddr, dir: &Path) -> io::Result<Self> {
        Self::start_with(listen, Some(dir), false).await
    }

    async fn start_with(listen: SocketAddr, dir: Option<&Path>, in_memory: bool) -> io::Result<Self> {
        let maildir = dir.map(Maildir::open).transpose()?;
        let shared = Arc::new(Shared {
            maildir,
            in_memory,
            messages: Mutex::default(),
            faults: watch::Sender::default(),
            arrivals: watch::Sender::new(0),
        });
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            addr,
            shared,
            listener: Mutex::new(Some(task)),
        })
    }

    /// Where it listens; stays the same over [`stop_listening`](Self::stop_listening) and [`resume`](Self::resume).
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The messages kept in memory, in order of arrival.
    pub fn messages(&self) -> Vec<MailMessage> {
        lock(&self.shared.messages).clone()
    }

    /// How many messages were taken since the start.
    pub fn count(&self) -> usize {
        *self.shared.arrivals.borrow()
    }

    /// Forgets the messages in memory; files and [`count`](Self::count) stay.
    pub fn clear(&self) {
        lock(&self.shared.messages).clear();
    }

    /// Sets what goes wrong with every mail from now on, also on open connections.
    pub fn set_fault(&self, fault: Fault) {
        self.shared.faults.send_modify(|faults| faults.general = fault);
    }

    /// Sets what goes wrong with mails to one recipient; goes before the general fault.
    pub fn set_fault_for(&self, recipient: &str, fault: Fault) {
        self.shared.faults.send_modify(|faults| {
            faults.by_recipient.insert(recipient.to_owned(), fault);
        });
    }

    /// Waits until `count` messages were taken since the start, and gives those in memory.
    pub async fn wait_for(&self, count: usize, limit: Duration) -> Result<Vec<MailMessage>, WaitTimeout> {
        let wanted = format!("{count} messages");
        let mut arrivals = self.shared.arrivals.subscribe();
        wait_for(&mut arrivals, limit, &wanted, || {
            (self.count() >= count).then(|| self.messages())
        })
        .await
    }

    /// Waits until a message in memory satisfies `wanted`, and gives the first that does.
    pub async fn wait_for_message(
        &self,
        limit: Duration,
        mut wanted: impl FnMut(&MailMessage) -> bool,
    ) -> Result<MailMessage, WaitTimeout> {
        let mut arrivals = self.shared.arrivals.subscribe();
        wait_for(&mut arrivals, limit, "a matching message", || {
            lock(&self.shared.messages)
                .iter()
                .find(|message| wanted(message))
                .cloned()
        })
        .await
    }

    /// Closes the port and every connection at once, as a killed server does. Messages are kept.
    pub async fn stop_listening(&self) {
        let task = lock(&self.listener).take();
        if let Some(task) = task {
            task.abort();
            // Cancelled is what it is meant to be; the port is closed when this returns.
            let _ = task.await;
        }
    }

    /// Listens on the same port again after [`stop_listening`](Self::stop_listening).
    pub async fn resume(&self) -> io::Result<()> {
        self.stop_listening().await;
        let listener = TcpListener::bind(self.addr).await?;
        *lock(&self.listener) = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        Ok(())
    }
}

impl Drop for MailSink {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.listener).take() {
            task.abort();
        }
    }
}

/// Takes connections until aborted; the connections end with it, because their tasks belong to its set.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, peer)) = accepted {
                sessions.spawn(session::run(stream, peer.ip(), Arc::clone(&shared)));
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}

#[derive(Debug)]
struct Shared {
    maildir: Option<Maildir>,
    in_memory: bool,
    messages: Mutex<Vec<MailMessage>>,
    faults: watch::Sender<Faults>,
    arrivals: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Faults {
    general: Fault,
    by_recipient: HashMap<String, Fault>,
}

impl Faults {
    fn of(&self, recipient: &str) -> Fault {
        let own = self.by_recipient.get(recipient);
        own.copied().unwrap_or(self.general)
    }
}

impl Shared {
    fn fault_for(&self, recipient: &str) -> Fault {
        self.faults.borrow().of(recipient)
    }

    /// Waits until mails to this recipient are not held.
    async fn let_go(&self, recipient: &str) {
        let mut faults = self.faults.subscribe();
        // The sender lives as long as `self`.
        let _ = faults
            .wait_for(|faults| faults.of(recipient) != Fault::Hold)
            .await;
    }

    fn keep(&self, message: MailMessage) -> io::Result<()> {
        if let Some(maildir) = &self.maildir {
            maildir.deliver(&message.bytes)?;
        }
        if self.in_memory {
            lock(&self.messages).push(message);
        }
        self.arrivals.send_modify(|count| *count += 1);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
