//! Runs a mail sink, an OTLP sink or the front before localstripe until told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use banyan_dev_sinks::mail::MailSink;
use banyan_dev_sinks::otlp::OtlpSink;
use banyan_dev_sinks::stripe::{Settings, StripeFront, Target};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// The local stack's mail and trace sinks, and what stands before its Stripe.
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
    /// Stands before localstripe: idempotency keys, signed webhooks, faults on demand under /_front/faults.
    ///
    /// Its state is in memory; keys are forgotten when it ends.
    StripeFront {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:8420")]
        listen: SocketAddr,
        /// Where localstripe is.
        #[arg(long, default_value = "http://127.0.0.1:8421")]
        upstream: String,
        /// Who gets the webhooks; nobody where it is left out.
        #[arg(long, requires = "webhook_secret")]
        webhook_url: Option<String>,
        /// What webhooks are signed with.
        #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true)]
        webhook_secret: Option<String>,
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
        Command::StripeFront {
            listen,
            upstream,
            webhook_url,
            webhook_secret,
        } => {
            let webhook = webhook_url
                .zip(webhook_secret)
                .map(|(url, secret)| Target { url, secret });
            let settings = Settings {
                listen,
                upstream: upstream.clone(),
                webhook,
            };
            let front = StripeFront::start(settings).await;
            let front = front.with_context(|| format!("Stripe front on {listen}"))?;
            println!("Stripe front ready on {}, before {upstream}", front.addr());
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
