//! Which account a server runs as. PostgreSQL refuses root and RabbitMQ should not be root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::unistd::{Gid, Uid, User, chown};

use crate::error::{IoContext as _, StackError};

/// An account that a server is started as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs {
    /// Name in the passwd database.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
}

impl RunAs {
    /// The first of the accounts that exists, or `nobody`; `None` unless this process is root.
    pub fn unprivileged(preferred: &[&str]) -> Result<Option<Self>, StackError> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        for name in preferred.iter().chain(&["nobody"]) {
            if let Ok(Some(user)) = User::from_name(name) {
                return Ok(Some(Self {
                    name: (*name).to_owned(),
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                }));
            }
        }
        Err(StackError::Missing {
            program: "an unprivileged account".to_owned(),
            mend: "create the account `nobody`, or run as an ordinary user".to_owned(),
        })
    }

    /// Gives a file or directory to this account.
    pub fn own(&self, path: &Path) -> Result<(), StackError> {
        chown(path, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
            .map_err(std::io::Error::from)
            .at("give to the server's account", path)
    }

    /// Whether this account can enter every directory on the way to `dir`.
    pub fn can_reach(&self, dir: &Path) -> Result<(), StackError> {
        let mut way: Vec<&Path> = dir.ancestors().skip(1).collect();
        way.reverse();
        for step in way {
            if step.as_os_str().is_empty() {
                continue;
            }
            let metadata = fs::metadata(step).at("look at", step)?;
            let mode = metadata.mode();
            let enters = (metadata.uid() == self.uid && mode & 0o100 != 0)
                || (metadata.gid() == self.gid && mode & 0o010 != 0)
                || mode & 0o001 != 0;
            if !enters {
                return Err(StackError::NotTraversable {
                    user: self.name.clone(),
                    dir: step.to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// Creates a directory (mode 700) that belongs to the account, or to this user where there is none.
pub fn private_dir(dir: &Path, account: Option<&RunAs>) -> Result<(), StackError> {
    fs::create_dir_all(dir).at("create", dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).at("restrict", dir)?;
    if let Some(account) = account {
        account.own(dir)?;
        account.can_reach(&fs::canonicalize(dir).at("resolve", dir)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody() -> RunAs {
        RunAs {
            name: "somebody".to_owned(),
            uid: 4_000_000,
            gid: 4_000_000,
        }
    }

    #[test]
    fn a_closed_parent_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        fs::create_dir_all(closed.join("state")).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let error = somebody()
            .can_reach(&closed.join("state"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("chmod o+x") && error.contains("closed"), "{error}");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o711)).unwrap();
        somebody().can_reach(&closed.join("state")).unwrap();
    }
}
