//! Layers, errors and redaction.

use std::io::Write;

use banyan_db::DbConfig;
use banyan_messaging::{ConsumerConfig, RelayConfig};
use banyan_service_kit::config::{ConfigError, Loaded, load};
use secrecy::ExposeSecret;
use tempfile::NamedTempFile;

use crate::fixture::{Config, Fixture, env};

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn with_file(text: &str, keys: &[(&str, &str)]) -> (NamedTempFile, Result<Loaded<Config>, ConfigError>) {
    let file = file(text);
    let loaded = load::<Fixture>(Some(file.path()), env("fixture", keys));
    (file, loaded)
}

#[test]
fn each_layer_is_over_the_one_before() {
    let (_file, loaded) = with_file(
        "[greeting]\nword = \"from the file\"\ntimes = 2\n[greeting.careless]\nknown = \"yes\"\n[http]\nbody_limit_bytes = 10\n",
        &[("greeting.times", "3"), ("greeting.languages", r#"["de", "fr"]"#)],
    );
    let loaded = loaded.unwrap();
    assert_eq!(loaded.service.greeting.word, "from the file");
    assert_eq!(loaded.service.greeting.times, 3);
    assert_eq!(loaded.service.greeting.careless.known.as_deref(), Some("yes"));
    assert_eq!(loaded.service.greeting.languages, ["de", "fr"]);
    assert_eq!(loaded.kit.http.body_limit_bytes.get(), 10);
    assert_eq!(
        loaded.kit.shutdown.drain_seconds, 20,
        "what nobody sets has the kit's default"
    );
    assert_eq!(loaded.kit.broker.connection_name, "fixture");
}

/// The file, the environment, the key, and what else the message must hold; FILE stands for the file's name.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a [&'a str]);

#[rustfmt::skip]
const BAD: &[Case] = &[
    ("[http]\nlissten = \"x\"", &[], "`http.lissten`", &["unknown key", "FILE", "listen"]),
    ("[greeting]\nwrd = \"x\"", &[], "`greeting.wrd`", &["unknown key", "FILE", "word"]),
    ("[greetings]\nword = \"x\"", &[], "`greetings`", &["unknown key", "FILE", "greeting"]),
    ("[greeting.careless]\nknwon = \"x\"", &[], "`greeting.careless.knwon`", &["unknown key", "FILE"]),
    ("[database]\nurll = \"x\"", &[], "`database.urll`", &["unknown key", "FILE"]),
    ("top = 1", &[], "`top`", &["unknown key", "FILE"]),
    ("", &[("http.lissten", "x")], "`http.lissten`", &["unknown key", "BANYAN_FIXTURE__HTTP__LISSTEN"]),
    ("", &[("greeting", "x")], "`greeting`", &["bad value", "BANYAN_FIXTURE__GREETING"]),
    ("[greeting]\ntimes = \"many\"", &[], "`greeting.times`", &["bad value", "FILE", "many"]),
    ("[greeting]\ntimes = 300", &[], "`greeting.times`", &["bad value", "FILE", "300"]),
    ("[greeting]\nword = [1]", &[], "`greeting.word`", &["bad value", "FILE"]),
    ("", &[("greeting.times", "-1")], "`greeting.times`", &["bad value", "BANYAN_FIXTURE__GREETING__TIMES"]),
    ("", &[("http.request_timeout_ms", "0")], "`http.request_timeout_ms`", &["nonzero", "BANYAN_FIXTURE__HTTP__REQUEST_TIMEOUT_MS"]),
    ("", &[("auth.jwks_url", "not a url")], "`auth.jwks_url`", &["bad value", "BANYAN_FIXTURE__AUTH__JWKS_URL"]),
    ("", &[("runtime.worker_threads", "1.5")], "`runtime.worker_threads`", &["bad value"]),
    ("[greeting.token]\nsecret = \"s3cret\"", &[], "`greeting.token`", &["bad value", "FILE", "not shown"]),
];

#[test]
fn an_error_names_the_key_and_where_it_is() {
    for (text, keys, key, wanted) in BAD {
        let (file, loaded) = with_file(text, keys);
        let message = loaded.expect_err(text).to_string();
        for part in wanted.iter().chain([key]) {
            let part = part.replace("FILE", file.path().to_str().unwrap());
            assert!(
                message.contains(&part),
                "{text:?} {keys:?}: no {part:?} in {message:?}"
            );
        }
        assert!(!message.contains("s3cret"), "{message}");
    }
}

#[test]
fn a_missing_key_says_how_to_set_it() {
    let mut variables = env("fixture", &[]);
    variables.retain(|(name, _)| name != "BANYAN_FIXTURE__DATABASE__URL");
    let error = load::<Fixture>(None, variables).unwrap_err().to_string();
    assert!(error.contains("`database.url` is not set"), "{error}");
    assert!(error.contains("BANYAN_FIXTURE__DATABASE__URL "), "{error}");
    assert!(error.contains("BANYAN_FIXTURE__DATABASE__URL_FILE"), "{error}");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let error = load::<Fixture>(Some("/nowhere/at/all.toml".as_ref()), env("fixture", &[]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/nowhere/at/all.toml") && error.contains("--config"),
        "{error}"
    );

    let (file, loaded) = with_file("[greeting]\ntoken = s3cret-value\n", &[]);
    let error = loaded.unwrap_err().to_string();
    assert!(
        error.contains(file.path().to_str().unwrap()) && error.contains("line 2"),
        "{error}"
    );
    assert!(!error.contains("s3cret-value"), "the line is not quoted: {error}");

    let error =
        load::<Fixture>(None, env("fixture", &[("greeting.token_file", "/nowhere/token")])).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("/nowhere/token") && error.contains("BANYAN_FIXTURE__GREETING__TOKEN_FILE"),
        "{error}"
    );
}

#[test]
fn a_secret_comes_from_a_file() {
    let secret = file("from a file\n");
    let path = secret.path().to_str().unwrap();
    let (_file, loaded) = with_file(
        "[greeting]\ntoken = \"from the layer below\"",
        &[("greeting.token_file", path)],
    );
    assert_eq!(
        loaded.unwrap().service.greeting.token.unwrap().expose_secret(),
        "from a file"
    );

    let (_file, loaded) = with_file(
        &format!("[greeting]\ntoken_file = {path:?}\ntoken = \"twice\""),
        &[],
    );
    let error = loaded.unwrap_err().to_string();
    assert!(
        error.contains("both `greeting.token` and `greeting.token_file`"),
        "{error}"
    );
}

#[test]
fn numbers_and_brackets_in_a_secret_stay_text() {
    for text in ["007", "1e5", "true", "[1, 2"] {
        let loaded = load::<Fixture>(None, env("fixture", &[("greeting.token", text)])).unwrap();
        assert_eq!(loaded.service.greeting.token.unwrap().expose_secret(), text);
    }
}

#[test]
fn what_is_printed_is_the_truth_without_secrets() {
    let (file, loaded) = with_file(
        "[greeting]\nword = \"https://user:hidden@host/\"",
        &[
            ("greeting.token", "s3cret"),
            (
                "database.url",
                "postgres://me:s3cret@db:5432/mine?password=s3cret",
            ),
        ],
    );
    let loaded = loaded.unwrap();
    let printed = loaded.rendered();
    assert!(
        !printed.contains("s3cret") && !printed.contains("hidden"),
        "{printed}"
    );
    assert!(!format!("{loaded:?}").contains("s3cret"));
    for line in [
        "[http]".to_owned(),
        "body_limit_bytes = 65536 # the defaults of every service".to_owned(),
        "times = 1 # the defaults of fixture".to_owned(),
        format!("word = \"https://user:[redacted]@host/\" # {}", file.path().display()),
        "token = \"[redacted]\" # environment variable BANYAN_FIXTURE__GREETING__TOKEN".to_owned(),
        "url = \"postgres://me:[redacted]@db:5432/mine\" # environment variable BANYAN_FIXTURE__DATABASE__URL".to_owned(),
    ] {
        assert!(printed.lines().any(|printed| printed == line), "no line {line:?} in:\n{printed}");
    }
    let read: toml::Table = toml::from_str(printed).unwrap();
    assert_eq!(read["greeting"]["times"].as_integer(), Some(1));
}

#[test]
fn other_services_variables_are_not_ours() {
    let mut variables = env("fixture", &[]);
    variables.push(("BANYAN_PAYMENTS__HTTP__LISTEN".into(), "nonsense".into()));
    variables.push(("BANYAN_LOG".into(), "json".into()));
    load::<Fixture>(None, variables).unwrap();
}

/// The kit writes the defaults of the other crates down, so that `config` can show them; they must stay the same.
#[test]
fn the_defaults_are_those_of_the_crates() {
    let kit = load::<Fixture>(None, env("fixture", &[])).unwrap().kit;
    let database = DbConfig::new("postgres://elsewhere");
    assert_eq!(kit.database.max_connections, database.max_connections);
    assert_eq!(kit.database.acquire_timeout_ms, database.acquire_timeout_ms);
    assert_eq!(
        format!("{:?}", kit.relay),
        format!("{:?}", RelayConfig::default())
    );
    assert_eq!(
        format!("{:?}", kit.consumer),
        format!("{:?}", ConsumerConfig::default())
    );
}
