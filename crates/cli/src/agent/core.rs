//! What the agent's connections share, and its answers to the control socket.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use api::Setup;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Event;
use super::activity::Activity;
use super::credentials::{self, Credentials, Source};
use super::keys;
use super::known::Known;
use super::notices::Notices;
use super::reports::Reports;
use super::sign_in::{Current, SignIn};
use super::ssh_plan::Plans;
use crate::control::{AgentStatus, Answer, Ask, Get};
use crate::failure::{Failure, Result};
use crate::http::Server;
use crate::matching;
use crate::places::Places;

/// Set-up data of this age is as good as new for ssh: keys and addresses seldom change.
pub(super) const FRESH: Duration = Duration::from_secs(60);
/// Set-up data of this age need not be asked for again because something is missing in it.
const JUST_NOW: Duration = Duration::from_secs(2);
/// The set-up data is kept up to date while somebody was here in this time.
const IN_USE: Duration = Duration::from_secs(600);

/// The agent's state.
pub(super) struct Core {
    pub(super) activity: Activity,
    pub(super) notices: Notices,
    pub(super) reports: Reports,
    sign_in: SignIn,
    known: Known,
    credentials: Credentials,
    plans: Plans,
    places: Places,
    events: Sender<Event>,
}

impl Core {
    pub(super) fn new(places: Places, events: Sender<Event>) -> Result<Self> {
        Ok(Self {
            activity: Activity::new(),
            notices: Notices::default(),
            reports: Reports::default(),
            sign_in: SignIn::new(places.clone()),
            known: Known::new(places.clone()),
            credentials: Credentials::default(),
            plans: Plans::new(places.clone()),
            places,
            events,
        })
    }

    /// Answers one question of the control socket.
    pub(super) fn answer(&self, question: Ask) -> Answer {
        let answered = match question {
            Ask::Get(get) => Ok(self.credential(&get)),
            Ask::Fared(fared) => {
                self.credentials.fared(&fared, &self.reports);
                Ok(Answer::Done)
            }
            Ask::Ssh {
                host,
                port,
                path,
                ssh,
            } => self.ssh((&host, port), path.as_deref(), &ssh),
            Ask::Owns { key } => self.owns(&key),
            Ask::SigningKey { remotes } => self.signing_key(&remotes),
            Ask::Refresh => self
                .server()
                .and_then(|server| self.known.refresh(&server))
                .map(|setup| {
                    self.credentials.keep_links(&setup);
                    Answer::Setup(Box::new(Setup::clone(&setup)))
                }),
            Ask::Status => Ok(Answer::Status(self.status())),
            Ask::Forget => {
                self.forget();
                Ok(Answer::Done)
            }
            Ask::Stop => {
                let _ = self.events.send(Event::Stop);
                Ok(Answer::Done)
            }
            Ask::Watch => Ok(Answer::Done),
        };
        answered.unwrap_or_else(|failure| refused(&failure))
    }

    fn credential(&self, get: &Get) -> Answer {
        match self.server() {
            Ok(server) => {
                let source = Source {
                    server: &server,
                    known: &self.known,
                    reports: &self.reports,
                };
                self.credentials.get(get, &source)
            }
            Err(failure) => {
                let setup = self.known.without_server();
                credentials::no_credential(&failure, get, setup.as_deref())
            }
        }
    }

    /// The server to ask. A changed sign-in drops whatever the former one has brought.
    pub(super) fn server(&self) -> Result<Arc<Server>> {
        match self.sign_in.current() {
            Ok(Current::Same(server)) => Ok(server),
            Ok(Current::Switched(server)) => {
                self.forget_answers();
                Ok(server)
            }
            Err(failure) => {
                self.credentials.forget();
                Err(failure)
            }
        }
    }

    /// The set-up data, no older than a minute where the server answers.
    pub(super) fn setup(&self) -> Option<Arc<Setup>> {
        let server = self.server().ok()?;
        self.known.within(FRESH, &server)
    }

    /// The set-up data that holds what `wanted` looks for: asks the server again if it is not there yet.
    pub(super) fn setup_with(&self, wanted: impl Fn(&Setup) -> bool) -> Option<Arc<Setup>> {
        let server = self.server().ok()?;
        let setup = self.known.within(FRESH, &server);
        match setup {
            Some(setup) if wanted(&setup) => Some(setup),
            _ => self.known.within(JUST_NOW, &server),
        }
    }

    /// Sends reports and keeps the set-up data up to date while the agent is in use.
    pub(super) fn housekeeping(&self) {
        self.flush_reports();
        self.credentials.tidy();
        if self.activity.within(IN_USE)
            && let Some(setup) = self.setup()
        {
            self.credentials.keep_links(&setup);
        }
    }

    /// Sends what has not been reported yet.
    pub(super) fn flush_reports(&self) {
        if !self.reports.is_empty()
            && let Ok(server) = self.server()
        {
            self.reports.send(&server);
        }
    }

    fn forget(&self) {
        self.sign_in.forget();
        self.forget_answers();
    }

    fn forget_answers(&self) {
        self.known.forget();
        self.credentials.forget();
        self.reports.forget();
    }

    fn ssh(
        &self,
        (host, port): (&str, u16),
        path: Option<&str>,
        ssh: &std::path::Path,
    ) -> Result<Answer> {
        let has_key = |setup: &Setup| {
            matching::ssh_provider(setup, host, port).is_some_and(matching::has_key)
        };
        let Some(setup) = self.setup_with(has_key) else {
            return Ok(Answer::NotOurs);
        };
        let setup = self.heard_of_link(setup, host, port);
        let Some(provider) = matching::ssh_provider(&setup, host, port) else {
            return Ok(Answer::NotOurs);
        };
        if !matching::has_key(provider) {
            return Ok(
                match provider.links.iter().find_map(|link| link.dead.as_deref()) {
                    Some(why) => Answer::Refused {
                        what: format!("the link to {} is dead: {why}", provider.name),
                        hint: format!("link it again with `forgepass link {}`", provider.name),
                    },
                    None => Answer::NotOurs,
                },
            );
        }
        let link = match matching::link_at(provider, path) {
            Ok(link) => link,
            Err(logins) => return Ok(several(&provider.name, &logins)),
        };
        self.plans
            .plan(&setup, provider, link, ssh)
            .map(|plan| Answer::Ssh(Box::new(plan)))
    }

    /// A provider's host without a key of this user: the link may be a second old, so the server is asked
    /// once more, however fresh the last answer is.
    fn heard_of_link(&self, setup: Arc<Setup>, host: &str, port: u16) -> Arc<Setup> {
        let lacks_key = matching::ssh_provider(&setup, host, port)
            .is_some_and(|provider| !matching::has_key(provider));
        let asked = lacks_key.then(|| self.server().ok()).flatten();
        let newer = asked.and_then(|server| self.known.refresh(&server).ok());
        newer.unwrap_or(setup)
    }

    fn owns(&self, key: &str) -> Result<Answer> {
        let blob = STANDARD.decode(key).map_err(|_| {
            Failure::usage("the key is not base64", "give the second field of its line")
        })?;
        let owns = |setup: &Setup| keys::owns(setup, &blob);
        let ours = self.setup_with(owns).is_some_and(|setup| owns(&setup));
        Ok(if ours { Answer::Done } else { Answer::NotOurs })
    }

    fn signing_key(&self, remotes: &[String]) -> Result<Answer> {
        let server = self.server()?;
        let setup = match self.known.within(FRESH, &server) {
            Some(setup) => setup,
            None => self.known.refresh(&server)?,
        };
        let of_remote = remotes.iter().find_map(|remote| {
            let provider = matching::remote_provider(&setup, remote)?;
            let path = matching::remote_path(provider, remote);
            let link = matching::link_at(provider, path.as_deref()).ok().flatten();
            link.and_then(|link| link.keys.first())
        });
        let mut links = setup.providers.iter().flat_map(|provider| &provider.links);
        let line = of_remote.or_else(|| links.find_map(|link| link.keys.first()));
        line.map(|line| Answer::Key { line: line.clone() }).ok_or_else(|| {
            Failure::user(
                "there is no SSH key to sign with",
                "link an account with `forgepass link PROVIDER`, or set user.signingKey to a key of your own",
            )
        })
    }

    fn status(&self) -> AgentStatus {
        AgentStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            socket: self.places.agent_socket(),
            cached: self.credentials.len(),
            refusals: self.notices.refusals(),
        }
    }
}

/// Rules of several links fit equally well.
fn several(provider: &str, logins: &[String]) -> Answer {
    Answer::Refused {
        what: format!(
            "several accounts at {provider} answer equally well: {}",
            logins.join(" and ")
        ),
        hint: "make one rule more specific; `forgepass account rule list` shows them".to_owned(),
    }
}

fn refused(failure: &Failure) -> Answer {
    Answer::Refused {
        what: failure.what().to_owned(),
        hint: failure.hint().to_owned(),
    }
}
