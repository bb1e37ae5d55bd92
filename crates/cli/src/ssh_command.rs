//! `…/forgepass/ssh`, as Git calls it, and `forgepass ssh`: the stock ssh, told where our keys are for
//! the servers of linked providers, and untouched for all others.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::control::{self, Answer, Ask, SshPlan};
use crate::env;
use crate::failure::{Failure, Result};
use crate::places::Places;
use crate::process;
use crate::say;
use crate::settings::Settings;
use crate::ssh_args::destination;
use crate::watch::{self, Heard, Watch};

/// Runs ssh with `args` (without the program's name).
pub(crate) fn run(args: &[OsString]) -> ExitCode {
    match ssh(args) {
        Ok(code) => code,
        Err(failure) => {
            say::err(&failure);
            // What ssh itself answers when it cannot connect; Git knows no other.
            ExitCode::from(255)
        }
    }
}

fn ssh(args: &[OsString]) -> Result<ExitCode> {
    let places = Places::find()?;
    let Some(destination) = destination(args) else {
        return Err(plain(&places, args));
    };
    let program = process::find("ssh")?;
    let question = Ask::Ssh {
        host: destination.host,
        port: destination.port,
        path: destination.path,
        ssh: program.clone(),
    };
    match control::ask(&places, &question) {
        Ok(Some(Answer::Ssh(plan))) => with_plan(&places, &program, &plan, args),
        Ok(Some(Answer::Refused { what, hint })) => Err(Failure::user(what, hint)),
        Ok(_) => Err(plain(&places, args)),
        Err(failure) => {
            say::err(&failure);
            Err(plain(&places, args))
        }
    }
}

/// Becomes what Git would have run without us: the user's own command, `GIT_SSH`, or ssh.
fn plain(places: &Places, args: &[OsString]) -> Failure {
    let own = Settings::load(places)
        .ok()
        .and_then(|settings| settings.setup?.ssh_command);
    if let Some(own) = own.filter(|own| !own.contains("forgepass/ssh")) {
        let mut shell = Command::new("/bin/sh");
        shell
            .arg("-c")
            .arg(format!("{own} \"$@\""))
            .arg(own)
            .args(args);
        return process::become_program(shell);
    }
    if let Some(program) = env::raw("GIT_SSH") {
        let mut command = Command::new(program);
        command.args(args);
        return process::become_program(command);
    }
    match process::find("ssh") {
        Ok(program) => process::become_plain(&program, args),
        Err(failure) => failure,
    }
}

fn with_plan(
    places: &Places,
    program: &Path,
    plan: &SshPlan,
    args: &[OsString],
) -> Result<ExitCode> {
    if !plan.pinned {
        return Err(Failure::user(
            format!(
                "no host key of {} is pinned, so its server cannot be told from another",
                plan.provider
            ),
            "ask your site manager to enter the host keys under Manage > Admin > Git OAuth",
        ));
    }
    let watch = Watch::begin(places);
    let mut command = Command::new(program);
    command.args(options(plan)).args(args);
    let status = process::run(&mut command, |child| {
        if let Some(watch) = &watch {
            watch.child(child);
        }
    })?;
    let heard = watch.map(Watch::end).unwrap_or_default();
    // 255 is ssh's own failure; other codes are those of the command at the other end.
    if status.code() == Some(255) {
        explain(plan, &heard);
    }
    Ok(process::exit_code(status))
}

/// Says what ssh itself does not know of its failure.
fn explain(plan: &SshPlan, heard: &Heard) {
    match &heard.refused {
        Some(notice) => watch::explain(notice),
        None if !heard.seen => say::err(format_args!(
            "hint: ssh did not get as far as signing in; for {} Forgepass trusts the host keys alone \
             that the site manager has pinned, so if ssh complains of the host key, compare it with them",
            plan.provider
        )),
        None => say::err(format_args!(
            "hint: {} did not accept your key; `forgepass status` shows whether it has been uploaded",
            plan.provider
        )),
    }
    for dead in &plan.dead {
        say::err(format_args!("forgepass: {}", say::clean(dead)));
        say::err(format_args!(
            "hint: link it again with `forgepass link {}`",
            plan.provider
        ));
    }
}

/// The options that beat any configuration of the user: ssh takes the first value it reads, and the
/// command line is read first.
fn options(plan: &SshPlan) -> Vec<OsString> {
    let fixed = [
        "IdentitiesOnly=yes",
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        "VerifyHostKeyDNS=no",
        "CheckHostIP=no",
        // Another account's connection must not be used, nor ours by others.
        "ControlMaster=no",
        "ControlPath=none",
        "ForwardAgent=no",
    ];
    let mut settings: Vec<OsString> = fixed.map(OsString::from).to_vec();
    settings.push(path_setting("IdentityAgent", &plan.agent));
    settings.push(path_setting("UserKnownHostsFile", &plan.known_hosts));
    settings.push(format!("HostKeyAlias={}", plan.alias).into());
    if plan.knows_known_hosts_command {
        settings.push("KnownHostsCommand=none".into());
    }
    settings.extend(
        plan.identity_files
            .iter()
            .map(|file| path_setting("IdentityFile", file)),
    );
    settings
        .into_iter()
        .flat_map(|setting| [OsString::from("-o"), setting])
        .collect()
}

/// `Name="path"`, with what ssh would expand taken literally (ssh_config(5), TOKENS).
fn path_setting(name: &str, path: &Path) -> OsString {
    let text = path.to_string_lossy().replace('%', "%%");
    format!("{name}=\"{text}\"").into()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn plan() -> SshPlan {
        SshPlan {
            provider: "Git".to_owned(),
            alias: "fp-prv_1".to_owned(),
            identity_files: vec![
                PathBuf::from("/run/a b/100%.pub"),
                PathBuf::from("/run/old.pub"),
            ],
            known_hosts: PathBuf::from("/run/known_hosts"),
            agent: PathBuf::from("/run/agent.sock"),
            knows_known_hosts_command: true,
            pinned: true,
            dead: vec![],
        }
    }

    fn words(plan: &SshPlan) -> Vec<String> {
        options(plan)
            .into_iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn sets_everything_that_the_user_could_have_set_otherwise() {
        let expected = [
            "IdentitiesOnly=yes",
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes",
            "UpdateHostKeys=no",
            "VerifyHostKeyDNS=no",
            "CheckHostIP=no",
            "ControlMaster=no",
            "ControlPath=none",
            "ForwardAgent=no",
            "IdentityAgent=\"/run/agent.sock\"",
            "UserKnownHostsFile=\"/run/known_hosts\"",
            "HostKeyAlias=fp-prv_1",
            "KnownHostsCommand=none",
            "IdentityFile=\"/run/a b/100%%.pub\"",
            "IdentityFile=\"/run/old.pub\"",
        ];
        let settings: Vec<String> = words(&plan())
            .into_iter()
            .filter(|word| word != "-o")
            .collect();
        assert_eq!(settings, expected);
    }

    #[test]
    fn tells_an_older_ssh_nothing_it_does_not_know() {
        let older = SshPlan {
            knows_known_hosts_command: false,
            ..plan()
        };
        assert!(
            !words(&older)
                .iter()
                .any(|word| word.starts_with("KnownHostsCommand"))
        );
    }
}
