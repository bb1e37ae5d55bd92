//! List and sign: our agent and broker beside OpenSSH's `ssh-agent`, over the same protocol.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use ssh::agent::{Request, Response, read_frame, write_frame};

use super::{Figures, Line};
use crate::demo::Demo;
use crate::shell;
use crate::world::wait_until;

const ROUNDS: usize = 1000;

/// An `ssh-agent` with one Ed25519 key, ended when dropped.
struct SshAgent {
    process: Child,
    socket: PathBuf,
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

pub(super) fn measure(demo: &Demo) -> Result<Vec<Line>> {
    let theirs = start_ssh_agent(&demo.workspace.folder)?;
    let ours = demo.workspace.folder.join("run/forgepass/agent.sock");
    let mut connections = [
        UnixStream::connect(&ours)?,
        UnixStream::connect(&theirs.socket)?,
    ];
    for connection in &mut connections {
        list_and_sign(connection)?;
    }
    let [ours, theirs] =
        Figures::take_turns(ROUNDS, |which| list_and_sign(&mut connections[which]))?;
    let line = |share, name: &str, budget| Line {
        what: format!("SSH list and sign, Ed25519, {name}, beside ssh-agent"),
        ours: ours.quantile_ms(share),
        yardstick: Some(theirs.quantile_ms(share)),
        unit: "ms",
        budget,
    };
    Ok(vec![line(0.5, "p50", "≤ 3×"), line(0.99, "p99", "")])
}

fn start_ssh_agent(folder: &Path) -> Result<SshAgent> {
    let socket = folder.join("ssh-agent.sock");
    let key = folder.join("bench-key");
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key);
    shell::read(&mut keygen)?;
    let mut agent = Command::new("ssh-agent");
    agent.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null());
    let process = agent.spawn().context("cannot start ssh-agent")?;
    let agent = SshAgent { process, socket };
    wait_until(|| Ok(agent.socket.exists()))?;
    let mut add = Command::new("ssh-add");
    shell::read(add.arg("-q").arg(&key).env("SSH_AUTH_SOCK", &agent.socket))?;
    Ok(agent)
}

/// What `ssh-keygen -Y sign` asks of an agent for one commit.
fn list_and_sign(connection: &mut UnixStream) -> Result<()> {
    let Response::Identities(keys) = ask(connection, &Request::List)? else {
        bail!("the agent does not list its keys");
    };
    let key = keys.into_iter().next().context("the agent has no key")?.key;
    let request = Request::Sign {
        key,
        data: signature_request(),
        flags: 0,
    };
    match ask(connection, &request)? {
        Response::Signature(_) => Ok(()),
        _ => bail!("the agent does not sign"),
    }
}

fn ask(connection: &mut UnixStream, request: &Request) -> Result<Response> {
    write_frame(connection, &request.encode())?;
    let frame = read_frame(connection)?.context("the agent closed the connection")?;
    Ok(Response::decode(&frame)?)
}

/// What is signed for a commit (PROTOCOL.sshsig): preamble, namespace, reserved, hash, digest.
fn signature_request() -> Vec<u8> {
    let mut data = b"SSHSIG".to_vec();
    for part in [b"git".as_slice(), b"", b"sha512", &[7; 64]] {
        data.extend(u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
        data.extend(part);
    }
    data
}
