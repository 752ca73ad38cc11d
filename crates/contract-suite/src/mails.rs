//! The mails that the system sends, as files of a Maildir.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mail_parser::{HeaderName, MessageParser};

use crate::api::{Api, Difference};

/// Mails are sent in the background.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(200);

impl Api {
    /// Waits for a mail to this address that links to `/<page>?token=…`, and returns the token.
    pub(crate) async fn mailed_token(&self, email: &str, page: &str) -> Result<String, Difference> {
        let Some(maildir) = self.shared.inputs.maildir.clone() else {
            return Err(Difference::new("no Maildir was given"));
        };
        let link = format!("/{page}?token=");
        let search = async {
            loop {
                let (maildir, email, link) = (maildir.clone(), email.to_owned(), link.clone());
                let since = self.shared.started;
                let found = tokio::task::spawn_blocking(move || find(&maildir, since, &email, &link)).await;
                if let Ok(Some(token)) = found {
                    return token;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await;
        found.map_err(|_| Difference::new(format!("no mail with a link to /{page} came within {PATIENCE:?}")))
    }
}

/// The newest token of a link in a mail to this address.
fn find(maildir: &Path, since: SystemTime, email: &str, link: &str) -> Option<String> {
    let mut mails: Vec<(SystemTime, PathBuf)> = std::fs::read_dir(maildir.join("new"))
        .ok()?
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .filter(|(modified, _)| *modified >= since)
        .collect();
    mails.sort();
    mails.iter().rev().find_map(|(_, path)| {
        let bytes = std::fs::read(path).ok()?;
        let mail = MessageParser::default().parse(&bytes)?;
        let to = mail.header(HeaderName::To)?.as_address()?.first()?.address()?;
        let text = mail.body_text(0)?;
        let (_, token) = text.split_once(link).filter(|_| to.eq_ignore_ascii_case(email))?;
        let end =
            token.find(|character: char| !(character.is_ascii_alphanumeric() || "-_.~%".contains(character)));
        Some(token[..end.unwrap_or(token.len())].to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_token_of_the_right_mail_is_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("new")).unwrap();
        let write = |name: &str, to: &str, body: &str| {
            let mail = format!("To: <{to}>\r\nSubject: x\r\nContent-Type: text/plain\r\n\r\n{body}\r\n");
            std::fs::write(dir.path().join("new").join(name), mail).unwrap();
        };
        write(
            "1",
            "a@example.com",
            "Go to http://x/reset-password?token=one-_1 now.",
        );
        write("2", "b@example.com", "Go to http://x/reset-password?token=two");
        write("3", "a@example.com", "Go to http://x/verify-email?token=three");
        let find = |email: &str| {
            find(
                dir.path(),
                SystemTime::UNIX_EPOCH,
                email,
                "/reset-password?token=",
            )
        };
        assert_eq!(find("A@example.com").as_deref(), Some("one-_1"));
        assert_eq!(find("c@example.com"), None);
    }
}
