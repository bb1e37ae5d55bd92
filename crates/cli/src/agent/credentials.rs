//! Credentials in memory: given again for a minute, or for five while the server cannot be reached, never
//! past their end and never once Git has said that the provider refused them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::{Credential, CredentialRequest, Setup, code};
use secrecy::{ExposeSecret, SecretString};

use super::known::Known;
use super::locked;
use super::reports::{Outcome, Reports};
use crate::clock;
use crate::control::{Answer, Fared, Get, Given};
use crate::failure::Failure;
use crate::http::{CallError, Server};
use crate::matching::{self, Address};

/// A credential is given again for so long without asking the server.
const FRESH: Duration = Duration::from_secs(60);
/// The same while the server cannot be reached.
const STALE: Duration = Duration::from_secs(300);
/// Least remaining life, seconds, of what is given while the server cannot be reached.
const LAST_RESORT_TTL_S: i64 = 10;
/// Those who waited for the same answer share a failure for so long.
const SHARED_FAILURE: Duration = Duration::from_secs(1);
/// Set-up data of this age decides that a host is nobody's.
const KNOWN_HOSTS_AGE: Duration = Duration::from_secs(60);
/// How many tokens are remembered to match an older Git's `erase`.
const REMEMBERED: usize = 64;
/// How many places and refused tokens are kept at most.
const MAX_KEPT: usize = 4096;

/// The cache.
#[derive(Default)]
pub(super) struct Credentials {
    slots: Mutex<HashMap<Key, Arc<Mutex<Slot>>>>,
    /// Tokens that Git said were refused, by id.
    refused: Mutex<HashSet<String>>,
    /// What decided between the links, as last heard.
    choice: Mutex<Option<Choice>>,
    /// What was handed out lately, for a Git that does not send `state[]`.
    handed: Mutex<VecDeque<(SecretString, String)>>,
}

/// What decides which link answers.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    address: Address,
    path: Option<String>,
    username: Option<String>,
}

/// The rules of every link, the default of its provider first.
type Choice = Vec<(Option<String>, Vec<String>)>;

fn choice(setup: &Setup) -> Choice {
    let links = setup.providers.iter().flat_map(|provider| &provider.links);
    links
        .map(|link| (link.id.clone(), link.rules.clone()))
        .collect()
}

#[derive(Default)]
struct Slot {
    held: Option<Held>,
    failed: Option<(Instant, Answer)>,
}

/// A credential in memory.
struct Held {
    username: String,
    password: SecretString,
    expires_at: Option<i64>,
    state: String,
    link: String,
    since: Instant,
}

/// Where credentials come from and uses go to.
pub(super) struct Source<'a> {
    pub(super) server: &'a Server,
    pub(super) known: &'a Known,
    pub(super) reports: &'a Reports,
}

impl Credentials {
    /// Answers Git's `get`.
    pub(super) fn get(&self, get: &Get, source: &Source<'_>) -> Answer {
        let Some(address) = Address::https(&get.host) else {
            return Answer::NotOurs;
        };
        if !may_be_ours(&address, source) {
            return Answer::NotOurs;
        }
        let key = Key {
            address,
            path: get.path.clone(),
            username: get.username.clone(),
        };
        let address = key.address.clone();
        let slot = Arc::clone(locked(&self.slots).entry(key).or_default());
        // Held while asking, so that many questions at once make one request.
        let mut slot = locked(&slot);
        let refused = self.refused_token(get, &mut slot);
        if refused.is_none()
            && let Some(answer) = slot.remembered(get, source.reports)
        {
            return answer;
        }
        let is_refused = refused.is_some();
        match source
            .server
            .post("/api/v1/credential", &request(get, refused))
        {
            Ok(credential) => {
                if is_linked(&address, source) != Some(true) {
                    // Linked just now: Git's configuration must learn it too.
                    let _ = source.known.refresh(source.server);
                }
                self.keep(&mut slot, credential)
            }
            Err(error) => {
                let may_be_old = !is_refused && error.is_transient();
                let old = slot.held.as_ref().filter(|_| may_be_old);
                if let Some(old) = old.filter(|held| held.lives(STALE, LAST_RESORT_TTL_S)) {
                    return old.give_again(source.reports);
                }
                let answer = explain(error, &address, source);
                slot.failed = Some((Instant::now(), copy(&answer)));
                answer
            }
        }
    }

    /// Takes note of Git's `store` or `erase`.
    pub(super) fn fared(&self, fared: &Fared, reports: &Reports) {
        let outcome = if fared.accepted {
            Outcome::Accepted
        } else {
            Outcome::Refused
        };
        let state = fared.states.last().cloned().or_else(|| {
            let password = fared.password.as_deref()?;
            let handed = locked(&self.handed);
            handed
                .iter()
                .find(|(known, _)| known.expose_secret() == password)
                .map(|(_, id)| id.clone())
        });
        let Some(state) = state else { return };
        reports.note(outcome, &state);
        if outcome == Outcome::Refused {
            let mut refused = locked(&self.refused);
            if refused.len() < MAX_KEPT {
                refused.insert(state);
            }
        }
    }

    /// Drops what is of no use any more.
    pub(super) fn tidy(&self) {
        let mut slots = locked(&self.slots);
        slots.retain(|_, slot| {
            // Somebody is asking with it right now.
            let Ok(slot) = slot.try_lock() else {
                return true;
            };
            slot.held
                .as_ref()
                .is_some_and(|held| held.since.elapsed() < STALE)
        });
        if slots.is_empty() {
            locked(&self.refused).clear();
            locked(&self.handed).clear();
        }
    }

    /// Drops everything.
    pub(super) fn forget(&self) {
        locked(&self.slots).clear();
        locked(&self.refused).clear();
        locked(&self.handed).clear();
    }

    /// How many places have a credential in memory.
    pub(super) fn len(&self) -> usize {
        locked(&self.slots).len()
    }

    /// The id of the token that the server must replace: the one Git says it holds, or one it erased.
    /// It is not given again.
    fn refused_token(&self, get: &Get, slot: &mut Slot) -> Option<String> {
        let mut refused = locked(&self.refused);
        let held = slot.held.as_ref().map(|held| held.state.clone());
        let erased = held.filter(|state| refused.remove(state));
        let state = get.state.clone().or(erased)?;
        slot.held = None;
        Some(state)
    }

    fn keep(&self, slot: &mut Slot, credential: Credential) -> Answer {
        let held = Held {
            username: credential.username,
            password: SecretString::from(credential.password),
            expires_at: credential.expires_at,
            state: credential.state,
            link: credential.link,
            since: Instant::now(),
        };
        let mut handed = locked(&self.handed);
        handed.retain(|(_, state)| *state != held.state);
        handed.push_front((held.password.clone(), held.state.clone()));
        handed.truncate(REMEMBERED);
        let answer = held.give();
        slot.held = Some(held);
        slot.failed = None;
        answer
    }

    /// Drops credentials of links that are gone or dead, and all of them where another link may answer.
    pub(super) fn keep_links(&self, setup: &Setup) {
        let choice = choice(setup);
        let before = locked(&self.choice).replace(choice.clone());
        if before.is_some_and(|before| before != choice) {
            locked(&self.slots).clear();
        }
        let alive = |link: &str| {
            let mut links = setup.providers.iter().flat_map(|provider| &provider.links);
            links.any(|one| one.id.as_deref() == Some(link) && one.dead.is_none())
        };
        locked(&self.slots).retain(|_, slot| {
            let Ok(slot) = slot.try_lock() else {
                return true;
            };
            slot.held.as_ref().is_none_or(|held| alive(&held.link))
        });
    }
}

impl Slot {
    /// What can be answered without the server: a credential with enough life left, or the failure that
    /// somebody else has just been told.
    fn remembered(&self, get: &Get, reports: &Reports) -> Option<Answer> {
        if let Some(held) = self
            .held
            .as_ref()
            .filter(|held| held.lives(FRESH, get.min_ttl_s))
        {
            return Some(held.give_again(reports));
        }
        let (at, answer) = self.failed.as_ref()?;
        (at.elapsed() < SHARED_FAILURE).then(|| copy(answer))
    }
}

impl Held {
    /// Whether it is younger than `age` and has at least `ttl_s` seconds of life left.
    fn lives(&self, age: Duration, ttl_s: i64) -> bool {
        self.since.elapsed() < age && self.expires_at.is_none_or(|at| at - clock::now() >= ttl_s)
    }

    fn give_again(&self, reports: &Reports) -> Answer {
        reports.note(Outcome::CacheHit, &self.state);
        self.give()
    }

    fn give(&self) -> Answer {
        Answer::Credential(Given {
            username: self.username.clone(),
            password: self.password.expose_secret().to_owned(),
            expires_at: self.expires_at,
            state: self.state.clone(),
        })
    }
}

fn request(get: &Get, state: Option<String>) -> CredentialRequest {
    CredentialRequest {
        protocol: "https".to_owned(),
        host: get.host.clone(),
        path: get.path.clone(),
        username: get.username.clone(),
        min_ttl_s: Some(get.min_ttl_s),
        state,
    }
}

/// Whether some provider has this address; asks the server again before it says no.
fn may_be_ours(address: &Address, source: &Source<'_>) -> bool {
    let has = |setup: &Setup| matching::https_providers(setup, address).next().is_some();
    if source
        .known
        .last(source.server.url())
        .is_some_and(|setup| has(&setup))
    {
        return true;
    }
    // Without any list the server decides.
    source
        .known
        .within(KNOWN_HOSTS_AGE, source.server)
        .is_none_or(|setup| has(&setup))
}

/// Whether this user has a link at the address, by the last known list; none without a list.
fn is_linked(address: &Address, source: &Source<'_>) -> Option<bool> {
    let setup = source.known.last(source.server.url())?;
    Some(has_link(&setup, address))
}

fn has_link(setup: &Setup, address: &Address) -> bool {
    matching::https_providers(setup, address).any(|provider| !provider.links.is_empty())
}

/// What to tell Git where no server can be asked, by the last known list of links.
pub(super) fn no_credential(failure: &Failure, get: &Get, setup: Option<&Setup>) -> Answer {
    let address = Address::https(&get.host);
    match setup.zip(address) {
        Some((setup, address)) if has_link(setup, &address) => refused(failure),
        _ => as_if_not_there(failure),
    }
}

/// An error, for where there is a link.
fn refused(failure: &Failure) -> Answer {
    Answer::Refused {
        what: failure.what().to_owned(),
        hint: failure.hint().to_owned(),
    }
}

/// A hint, for where there is none: other helpers and anonymous access work as if we were not there.
fn as_if_not_there(failure: &Failure) -> Answer {
    Answer::NotLinked {
        hint: format!("{}; {}", failure.what(), failure.hint()),
        page: None,
    }
}

/// What to tell Git and the person when the server gives no credential.
fn explain(error: CallError, address: &Address, source: &Source<'_>) -> Answer {
    match error.code() {
        code::NOT_OURS => return Answer::NotOurs,
        code::NOT_LINKED => {
            let CallError::Problem(problem) = error else {
                return Answer::NotOurs;
            };
            let page = problem.help_url.clone();
            let next = problem
                .hint
                .as_deref()
                .unwrap_or("link the account in the Forgepass console");
            return Answer::NotLinked {
                hint: format!("{}; {next}", problem.detail),
                page,
            };
        }
        _ => {}
    }
    // The server answers, so it can also tell of a link that is younger than our list.
    if matches!(error, CallError::Problem(_)) && is_linked(address, source) != Some(true) {
        let _ = source.known.refresh(source.server);
    }
    let failure = Failure::from(error);
    match is_linked(address, source) {
        Some(true) => refused(&failure),
        _ => as_if_not_there(&failure),
    }
}

/// A failure for the next one who asks. It never holds a credential.
fn copy(answer: &Answer) -> Answer {
    match answer {
        Answer::NotLinked { hint, page } => Answer::NotLinked {
            hint: hint.clone(),
            page: page.clone(),
        },
        Answer::Refused { what, hint } => Answer::Refused {
            what: what.clone(),
            hint: hint.clone(),
        },
        _ => Answer::NotOurs,
    }
}
