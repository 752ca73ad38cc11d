//! Verbs of the service's own: templates, checked and changed from the command line.

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};
use sqlx::PgPool;

use crate::{
    storage::templates,
    templates::{Compiled, Source},
    use_cases::install_templates,
};

/// The verbs.
pub fn verbs() -> Vec<Command> {
    let name = || {
        Arg::new("name")
            .required(true)
            .help("The template: payment-completed …")
    };
    let locale = || Arg::new("locale").required(true).help("The language: en, de …");
    let folder = Arg::new("folder")
        .required(true)
        .value_parser(value_parser!(std::path::PathBuf))
        .help("A folder with subject.txt, body.html, body.txt and sms.txt");
    vec![
        Command::new("template")
            .about("Lists, checks and changes templates")
            .subcommand_required(true)
            .subcommand(Command::new("list").about("Lists the templates in use, and what is wrong with broken ones"))
            .subcommand(
                Command::new("show").about("Prints the texts in use").args([name(), locale()]),
            )
            .subcommand(
                Command::new("set")
                    .about("Checks a template against the sample of its event and puts it in use as a new version")
                    .args([name(), locale(), folder]),
            ),
    ]
}

/// Runs one of [`verbs`].
///
/// # Errors
/// What is wrong with the template, or the database.
pub async fn run(pool: &PgPool, verb: &str, args: &ArgMatches) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(verb == "template", "unknown verb `{verb}`");
    match args.subcommand() {
        Some(("list", _)) => list(pool).await,
        Some(("show", args)) => show(pool, text(args, "name"), text(args, "locale")).await,
        Some(("set", args)) => {
            let folder = args
                .get_one::<std::path::PathBuf>("folder")
                .context("no folder")?;
            set(pool, text(args, "name"), text(args, "locale"), folder).await
        }
        _ => anyhow::bail!("no such template command"),
    }
}

fn text<'a>(args: &'a ArgMatches, name: &str) -> &'a str {
    args.get_one::<String>(name).map_or("", String::as_str)
}

async fn list(pool: &PgPool) -> anyhow::Result<ExitCode> {
    let mut broken = false;
    let (_, mut sources) = templates::active(pool).await?;
    sources.sort_by(|(a, _), (b, _)| (&a.name, &a.locale).cmp(&(&b.name, &b.locale)));
    for (source, version) in sources {
        let (name, locale) = (source.name.clone(), source.locale.clone());
        let state = Compiled::checked(source).err().map(|error| error.to_string());
        broken |= state.is_some();
        println!(
            "{name:24} {locale:6} version {version:<4} {}",
            state.as_deref().unwrap_or("ok")
        );
    }
    Ok(if broken {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn show(pool: &PgPool, name: &str, locale: &str) -> anyhow::Result<ExitCode> {
    let (_, sources) = templates::active(pool).await?;
    let found = sources
        .into_iter()
        .find(|(source, _)| source.name == name && source.locale == locale);
    let (source, version) = found.with_context(|| format!("no template {name} ({locale}) is in use"))?;
    println!("# {name} ({locale}), version {version}");
    let parts = [
        ("subject.txt", source.subject),
        ("body.html", source.html),
        ("body.txt", source.text),
        ("sms.txt", source.sms),
    ];
    for (part, text) in parts {
        println!("## {part}\n{text}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(pool: &PgPool, name: &str, locale: &str, folder: &Path) -> anyhow::Result<ExitCode> {
    let read = async |part: &str| {
        let path = folder.join(part);
        tokio::fs::read_to_string(&path)
            .await
            .with_context(|| format!("reading {}", path.display()))
    };
    let source = Source {
        name: name.into(),
        locale: locale.into(),
        subject: read("subject.txt").await?,
        html: read("body.html").await?,
        text: read("body.txt").await?,
        sms: read("sms.txt").await?,
    };
    match install_templates::change(pool, &source).await? {
        Some(added) => println!("{name} ({locale}) version {} is in use", added.version),
        None => println!("{name} ({locale}): these texts are in use already"),
    }
    Ok(ExitCode::SUCCESS)
}
