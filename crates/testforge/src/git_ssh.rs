//! Git over SSH: a server that knows the uploaded keys and runs Git's own programs.

use std::{collections::HashMap, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use russh::{
    Channel, ChannelId, MethodKind,
    keys::{Algorithm, PrivateKey},
    server::{self, Auth, ChannelOpenHandle, Handle, Msg, Session, VerifiedPublicKey},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::{Child, Command},
};

use crate::{
    git::{self, Access},
    keys::Parsed,
    log::Entry,
    shape::{Shape, Software},
    state::{Account, Site, State},
};

/// A fresh host key: Ed25519, but RSA where the real site has nothing else.
pub(crate) fn host_key(shape: Shape) -> Result<PrivateKey> {
    use aws_lc_rs::{encoding::AsDer as _, rsa};
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    if shape != Shape::Azure {
        let seed = ed25519_seed()?;
        let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&seed);
        return Ok(PrivateKey::from(pair));
    }
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048)?;
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'static> = pair.as_der()?;
    let body = STANDARD.encode(der.as_ref());
    let armour = |word: &str| format!("-----{word} PRIVATE KEY-----");
    let pem = format!("{}\n{}\n{}\n", armour("BEGIN"), wrap(&body), armour("END"));
    Ok(russh::keys::decode_secret_key(&pem, None)?)
}

fn ed25519_seed() -> Result<[u8; 32]> {
    crate::world::random_bytes(32)
        .try_into()
        .map_err(|_| anyhow::anyhow!("no 32 bytes"))
}

fn wrap(base64: &str) -> String {
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    lines.join("\n")
}

/// Serves connections until the task is dropped.
pub(crate) async fn serve(site: Arc<Site>, listener: TcpListener, key: PrivateKey) -> Result<()> {
    let config = Arc::new(server::Config {
        keys: vec![key],
        methods: (&[MethodKind::PublicKey][..]).into(),
        auth_rejection_time: Duration::from_millis(20),
        auth_rejection_time_initial: Some(Duration::ZERO),
        nodelay: true,
        ..Default::default()
    });
    loop {
        let (stream, _) = listener
            .accept()
            .await
            .context("accept an SSH connection")?;
        let connection = Connection {
            site: site.clone(),
            channels: HashMap::new(),
            guest: None,
            protocol: None,
        };
        let config = config.clone();
        tokio::spawn(async move {
            if let Ok(session) = server::run_stream(config, stream, connection).await {
                // A client that leaves early is no event of note.
                let _ = session.await;
            }
        });
    }
}

/// Who signed in, and with which key.
#[derive(Clone)]
struct Guest {
    account: Account,
    fingerprint: String,
}

struct Connection {
    site: Arc<Site>,
    channels: HashMap<ChannelId, Channel<Msg>>,
    guest: Option<Guest>,
    /// `GIT_PROTOCOL`, the one variable a client may set.
    protocol: Option<String>,
}

impl server::Handler for Connection {
    type Error = anyhow::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth> {
        let mut state = self.site.lock();
        let verdict = recognise(self.site.shape, &state, user, &key);
        let path = format!("{} {}", key.algorithm.as_str(), fingerprint(&key));
        let (status, account, reason) = match &verdict {
            Ok(guest) => (0, Some(guest.account.login.clone()), None),
            Err(reason) => (255, None, Some(reason.clone())),
        };
        let door = "ssh".to_owned();
        state.log.push(Entry {
            door,
            method: "publickey".into(),
            path,
            status,
            account,
            reason,
        });
        self.guest = verdict.ok();
        Ok(if self.guest.is_some() {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<()> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<()> {
        if name == "GIT_PROTOCOL" {
            self.protocol = Some(value.to_owned());
            session.channel_success(channel)?;
        } else {
            session.channel_failure(channel)?;
        }
        Ok(())
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<()> {
        session.channel_success(channel)?;
        let login = self
            .guest
            .as_ref()
            .map_or("", |guest| guest.account.login.as_str());
        let (text, status) = greeting(self.site.shape.software(), login);
        say_and_close(session.handle(), channel, text, status).await
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<()> {
        session.channel_success(channel)?;
        let command = String::from_utf8_lossy(command).into_owned();
        let guest = self.guest.clone();
        let folder = self.open(&command, guest.as_ref());
        let (program, folder) = match folder {
            Ok(found) => found,
            Err(text) => {
                let text = format!("{text}\n");
                return say_and_close(session.handle(), channel, text, 1).await;
            }
        };
        let Some(stream) = self.channels.remove(&channel) else {
            return Ok(());
        };
        let child = Command::from(git::git())
            .arg(program)
            .arg(self.site.repositories.join(folder))
            .envs(self.protocol.as_ref().map(|value| ("GIT_PROTOCOL", value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("start git")?;
        tokio::spawn(connect(stream, child, session.handle()));
        Ok(())
    }
}

impl Connection {
    /// The program and repository folder of a command, or what the person is told instead.
    fn open(&self, command: &str, guest: Option<&Guest>) -> Result<(&'static str, String), String> {
        let mut state = self.site.lock();
        let (word, path) = command.split_once(' ').unwrap_or((command, ""));
        let path = unquote(path);
        let verdict = permit(&self.site, &state, word, &path, guest);
        state.log.push(Entry {
            door: "ssh".to_owned(),
            method: word.to_owned(),
            path,
            status: u16::from(verdict.is_err()),
            account: guest.map(|guest| guest.account.login.clone()),
            reason: verdict.as_ref().err().cloned(),
        });
        verdict
    }
}

fn fingerprint(key: &VerifiedPublicKey<'_>) -> String {
    key.public_key
        .fingerprint(russh::keys::HashAlg::Sha256)
        .to_string()
}

/// The account that a key signs in to, or why it does not.
fn recognise(
    shape: Shape,
    state: &State,
    user: &str,
    key: &VerifiedPublicKey<'_>,
) -> Result<Guest, String> {
    let parsed = Parsed::of(key.public_key).map_err(|problem| problem.reason())?;
    let azure = shape == Shape::Azure;
    // Old addresses of Azure Repos carry the organisation as the user.
    let organisation = azure
        && state
            .repositories
            .iter()
            .any(|known| known.owner.split('/').next() == Some(user));
    if user != "git" && !organisation {
        return Err(format!("the user is git, not {user}"));
    }
    if matches!(key.algorithm, Algorithm::Rsa { hash: None }) {
        return Err("signatures by ssh-rsa (SHA-1) are not accepted".to_owned());
    }
    if azure && parsed.algorithm != "ssh-rsa" {
        return Err("only RSA keys are accepted".to_owned());
    }
    let (account, _) = state
        .key_owner(&parsed.base64)
        .ok_or("the key is on no account")?;
    if account.suspended {
        return Err("the account is suspended".to_owned());
    }
    Ok(Guest {
        account: account.clone(),
        fingerprint: parsed.fingerprint,
    })
}

/// What a sign-in without a command gets.
fn greeting(software: Software, login: &str) -> (String, u32) {
    match software {
        Software::GitHub => (
            format!(
                "Hi {login}! You've successfully authenticated, but GitHub does not provide shell \
                 access.\n"
            ),
            1,
        ),
        Software::GitLab => (format!("Welcome to GitLab, @{login}!\n"), 0),
        Software::Bitbucket => (
            format!("Welcome {login}. Shell access is not supported.\n"),
            1,
        ),
        Software::Azure => ("remote: Shell access is not supported.\n".to_owned(), 1),
        Software::Plain => (format!("Hi {login}, there is no shell here.\n"), 1),
    }
}

/// Undoes the quoting that Git puts around a path.
fn unquote(path: &str) -> String {
    let path = path.trim();
    let inner = path
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''));
    inner
        .unwrap_or(path)
        .replace("'\\''", "'")
        .replace("'\\!'", "!")
}

/// Checks a command; an error is what the person reads.
fn permit(
    site: &Site,
    state: &State,
    word: &str,
    path: &str,
    guest: Option<&Guest>,
) -> Result<(&'static str, String), String> {
    let software = site.shape.software();
    let (program, access) = match word {
        "git-upload-pack" => ("upload-pack", Access::Read),
        "git-receive-pack" => ("receive-pack", Access::Write),
        _ => return Err("ERROR: only Git commands are accepted".to_owned()),
    };
    let missing = || match software {
        Software::Azure => "remote: Public key authentication failed.".to_owned(),
        _ => "ERROR: Repository not found.".to_owned(),
    };
    let guest = guest.ok_or_else(missing)?;
    let (owner, name) = git::parse_ssh(software, path).ok_or_else(missing)?;
    let repository = state.repository(&owner, &name).ok_or_else(missing)?;
    let member = git::is_member(repository, &guest.account);
    let readable = repository.public && access == Access::Read;
    if !member && !readable {
        return Err(missing());
    }
    if let Some(organisation) = git::organisation(state, repository)
        && organisation.saml
        && !organisation.authorised.contains(&guest.fingerprint)
    {
        let name = &organisation.name;
        return Err(format!(
            "ERROR: The '{name}' organization has enabled or enforced SAML SSO.\nTo access this \
             repository, you must use the HTTPS remote with a personal access token\nor SSH with \
             an SSH key and passphrase that has been authorized for this organization."
        ));
    }
    Ok((program, repository.folder.clone()))
}

/// Writes to the person's terminal and ends the channel.
async fn say_and_close(
    handle: Handle,
    channel: ChannelId,
    text: String,
    status: u32,
) -> Result<()> {
    tokio::spawn(async move {
        let _ = handle.extended_data(channel, 1, text.into_bytes()).await;
        let _ = handle.exit_status_request(channel, status).await;
        let _ = handle.eof(channel).await;
        let _ = handle.close(channel).await;
    });
    Ok(())
}

/// Moves bytes between a channel and a Git program until the program ends.
async fn connect(stream: Channel<Msg>, mut child: Child, handle: Handle) {
    let id = stream.id();
    let (mut from_client, to_client) = stream.split();
    let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return;
    };
    let input = tokio::spawn(async move {
        let mut reader = from_client.make_reader();
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(read) = reader.read(&mut buffer).await {
            if read == 0 || stdin.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    });
    let mut writer = to_client.make_writer();
    let _ = tokio::io::copy(&mut stdout, &mut writer).await;
    let _ = writer.flush().await;
    let code = child
        .wait()
        .await
        .ok()
        .and_then(|status| status.code())
        .unwrap_or(1);
    let _ = handle
        .exit_status_request(id, u32::try_from(code).unwrap_or(1))
        .await;
    let _ = handle.eof(id).await;
    let _ = handle.close(id).await;
    input.abort();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquotes_what_git_quotes() {
        assert_eq!(unquote("'ann/app.git'"), "ann/app.git");
        assert_eq!(unquote(r"'o'\''neil/app.git'"), "o'neil/app.git");
        assert_eq!(unquote("ann/app.git"), "ann/app.git");
    }
}
