//! Runs a mail or an OTLP sink until told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use banyan_dev_sinks::mail::MailSink;
use banyan_dev_sinks::otlp::OtlpSink;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Mail and trace sinks of the local stack.
#[derive(Debug, Parser)]
#[command(name = "dev-sinks", version)]
enum Command {
    /// Takes mail by SMTP and keeps each message as a file.
    Mail {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:1025")]
        listen: SocketAddr,
        /// The Maildir; messages appear in its `new` folder.
        #[arg(long, default_value = ".banyan/mail")]
        maildir: PathBuf,
    },
    /// Takes traces by OTLP over HTTP, keeps each span as a JSON line and shows traces under /traces.
    Otlp {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:4318")]
        listen: SocketAddr,
        /// The folder of the files, one a day.
        #[arg(long, default_value = ".banyan/traces")]
        dir: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Command::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dev-sinks: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    match command {
        Command::Mail { listen, maildir } => {
            let sink = MailSink::start_on_disk(listen, &maildir).await;
            let sink =
                sink.with_context(|| format!("mail sink on {listen}, mail in {}", maildir.display()))?;
            println!(
                "mail sink ready on {}, mail in {}",
                sink.addr(),
                maildir.display()
            );
            stopped(&mut terminate).await?;
        }
        Command::Otlp { listen, dir } => {
            let sink = OtlpSink::start_on_disk(listen, &dir).await;
            let sink =
                sink.with_context(|| format!("trace sink on {listen}, traces in {}", dir.display()))?;
            println!("trace sink ready on {}, traces in {}", sink.addr(), dir.display());
            stopped(&mut terminate).await?;
        }
    }
    Ok(())
}

async fn stopped(terminate: &mut tokio::signal::unix::Signal) -> anyhow::Result<()> {
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted.context("waiting for a signal"),
    }
}
