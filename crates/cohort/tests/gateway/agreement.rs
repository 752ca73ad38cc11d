//! nginx, Python and Rust put the same users on the same side. Asks the real nginx and the real Python.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::nginx::{Gateway, Split, repository, token, unused_port};
use banyan_cohort::in_cohort;

const ROLLOUT: &str = "notifications-v2";

/// 0.01, 1, 5, 20, 50 and 100 percent.
const SHARES: [u16; 6] = [1, 100, 500, 2000, 5000, 10_000];

/// Ids of both ranges in use, and the users of golden.json whose hashes lie on a limit.
fn users() -> Vec<i64> {
    let born_in_a_service = 1_i64 << 40;
    let edges = [
        568_110_531,
        1_633_740_150,
        2_156_458_153,
        2_772_502_401,
        3_735_543_181,
        i64::MAX,
    ];
    let mut users: Vec<i64> = (1..=10_000)
        .chain(born_in_a_service..born_in_a_service + 10_000)
        .collect();
    users.extend(edges);
    users
}

fn gateway() -> Gateway {
    let splits = SHARES.map(|basis_points| Split {
        name: format!("at_{basis_points}"),
        prefix: format!("/api/at-{basis_points}/"),
        rollout: ROLLOUT.to_owned(),
        basis_points,
        upstream: unused_port(),
        shared: Vec::new(),
    });
    Gateway::start(unused_port(), &splits)
}

fn paths() -> Vec<String> {
    SHARES
        .map(|share| format!("/__gateway/cohort/at_{share}"))
        .to_vec()
}

/// The sides of all users at all shares: `1` is new.
fn in_rust(users: &[i64]) -> Vec<String> {
    let at = |share: u16| {
        users
            .iter()
            .map(|user| {
                if in_cohort(ROLLOUT, *user, share) {
                    '1'
                } else {
                    '0'
                }
            })
            .collect()
    };
    SHARES.map(at).to_vec()
}

#[test]
fn nginx_agrees_with_rust() {
    let gateway = gateway();
    let users = users();
    let tokens: Vec<String> = users
        .iter()
        .map(|user| token(&format!(r#"{{"sub":"{user}"}}"#)))
        .collect();
    let paths = paths();
    let found: Vec<String> = std::thread::scope(|scope| {
        let ask = |path: &String| {
            let (gateway, tokens, path) = (&gateway, &tokens, path.clone());
            scope.spawn(move || {
                let answers = gateway.backends(tokens.iter().map(|token| (path.as_str(), token.as_str())));
                answers
                    .iter()
                    .map(|backend| if backend == "new" { '1' } else { '0' })
                    .collect::<String>()
            })
        };
        let threads: Vec<_> = paths.iter().map(ask).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("answers"))
            .collect()
    });
    for ((share, nginx), rust) in SHARES.iter().zip(&found).zip(in_rust(&users)) {
        assert_eq!(nginx.len(), users.len());
        let other = users
            .iter()
            .zip(nginx.chars().zip(rust.chars()))
            .find(|(_, (nginx, rust))| nginx != rust);
        assert_eq!(other, None, "at {share} basis points");
    }
}

#[test]
fn python_agrees_with_rust() {
    // The module alone: the package around it needs Django, which this machine's Python need not have.
    let script = "import sys; from runpy import run_path
in_cohort = run_path(sys.argv[1])['in_cohort']
users = [int(line) for line in sys.stdin]
for share in sys.argv[3:]:
    print(''.join('1' if in_cohort(sys.argv[2], user, int(share)) else '0' for user in users))";
    let users = users();
    let mut python = Command::new("python3")
        .args(["-c", script])
        .arg(repository().join("clients/python/src/banyan/cohort.py"))
        .arg(ROLLOUT)
        .args(SHARES.map(|share| share.to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is not installed");
    let lines: Vec<String> = users.iter().map(i64::to_string).collect();
    python
        .stdin
        .take()
        .expect("stdin")
        .write_all(lines.join("\n").as_bytes())
        .expect("users");
    let output = python.wait_with_output().expect("python3");
    assert!(output.status.success());
    let found = String::from_utf8(output.stdout).expect("text");
    for ((share, python), rust) in SHARES.iter().zip(found.lines()).zip(in_rust(&users)) {
        assert_eq!(python, rust, "at {share} basis points");
    }
    assert_eq!(found.lines().count(), SHARES.len());
}

#[test]
fn whoever_is_nobody_is_legacy_at_every_share() {
    let gateway = gateway();
    let valid = token(r#"{"sub":"7"}"#);
    let mut nobodies = vec![
        String::new(),
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        "...".to_owned(),
        format!("{valid}.more"),
        format!("{valid} and more"),
        valid.replace('.', ""),
    ];
    let claims = [
        "",
        "null",
        "[]",
        "7",
        "{",
        r#"{"sub":7}"#,
        r#"{"sub":null}"#,
        r#"{"sub":""}"#,
        r#"{"sub":"0"}"#,
        r#"{"sub":"-7"}"#,
        r#"{"sub":"07"}"#,
        r#"{"sub":" 7"}"#,
        r#"{"sub":"7\n"}"#,
        r#"{"sub":"7e1"}"#,
        r#"{"sub":["7"]}"#,
        r#"{"sub":"9223372036854775808"}"#,
        r#"{"sub":"99999999999999999999"}"#,
        r#"{"id":"7"}"#,
        "{\"sub\":\"\u{0663}\"}",
    ];
    nobodies.extend(claims.iter().map(|claims| token(claims)));
    for path in paths() {
        let backends = gateway.backends(nobodies.iter().map(|token| (path.as_str(), token.as_str())));
        for (token, backend) in nobodies.iter().zip(backends) {
            assert_eq!(backend, "legacy", "{path} {token}");
        }
        for header in [
            "X-Nothing: here",
            "Authorization: Basic dXNlcjpwYXNz",
            &format!("Authorization: {valid}"),
        ] {
            let answer = gateway.get(&path, &[header]);
            assert!(
                answer.starts_with("HTTP/1.1 200") && answer.ends_with("legacy\n"),
                "{answer}"
            );
        }
    }
    let somebody = gateway.get(
        "/__gateway/cohort/at_10000",
        &[&format!("Authorization: bEARER {valid}")],
    );
    assert!(
        somebody.ends_with("new\n"),
        "the scheme's case does not matter: {somebody}"
    );
}
