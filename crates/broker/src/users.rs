//! Users: who may sign in, as what, and how a site manager lets them in and out.

use secrecy::SecretString;
use secrets::{new_bearer, random_id};
use store::{OneTimeLink, OneTimePurpose, Role, StoreError, Unique, User, UserChange, UserId};

use crate::{
    AsSiteManager, AsUser, Broker, Refused, Result, audit::Entry, authority::Via, lifetimes,
};

/// One user, without the password.
#[derive(Debug, Clone)]
pub struct UserView {
    /// `usr_…`.
    pub id: UserId,
    /// Sign-in name.
    pub name: String,
    /// E-mail address, where given.
    pub email: Option<String>,
    /// What they may do.
    pub role: Role,
    /// When they were added.
    pub created_at: i64,
    /// When they were suspended.
    pub suspended_at: Option<i64>,
    /// Whether they have set a password.
    pub active: bool,
}

/// A new or re-invited user with their one-time link, shown this once.
#[derive(Debug)]
pub struct Invitation {
    /// The user.
    pub user: UserView,
    /// The page where they set their password.
    pub url: SecretString,
    /// When the link dies, if not used.
    pub expires_at: i64,
}

/// Whether a user is shut out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspended {
    /// Nothing of theirs answers any more.
    Yes,
    /// They may sign in again.
    No,
}

/// Longest sign-in name, characters.
pub(crate) const LONGEST_NAME: usize = 64;
/// Longest e-mail address, bytes (RFC 5321 section 4.5.3.1).
const LONGEST_EMAIL: usize = 254;
/// Most users of one answer.
const LARGEST_PAGE: i64 = 200;

impl UserView {
    pub(crate) fn of(user: &User) -> Self {
        Self {
            id: user.id.clone(),
            name: user.name.clone(),
            email: user.email.clone(),
            role: user.role,
            created_at: user.created_at,
            suspended_at: user.suspended_at,
            active: user.password_hash.is_some(),
        }
    }
}

impl Broker {
    /// The authority of a named user, for the server's own command line, which the owner of the
    /// machine runs.
    ///
    /// # Errors
    /// `not-found` where there is no such user or they are suspended.
    pub async fn user_by_name(&self, name: &str) -> Result<AsUser> {
        let user = self
            .store()
            .user_by_name(&name.trim().to_ascii_lowercase())
            .await?;
        let user = user.filter(|user| user.suspended_at.is_none());
        let user = user.ok_or_else(|| Refused::not_found("user, or they are suspended"))?;
        Ok(AsUser {
            broker: self.clone(),
            user,
            via: Via::Owner,
        })
    }

    /// Adds a user on the word of the machine's owner, such as the first site manager of an
    /// unattended installation.
    ///
    /// # Errors
    /// `invalid` for name or e-mail address, `conflict` for a name in use.
    pub async fn add_user_as_owner(
        &self,
        name: &str,
        email: Option<&str>,
        role: Role,
    ) -> Result<Invitation> {
        self.add_user(name, email, role, None).await
    }

    /// A new one-time link on the word of the machine's owner, such as for a site manager who forgot
    /// their password.
    ///
    /// # Errors
    /// `not-found`; `conflict` where the user is suspended.
    pub async fn reinvite_as_owner(&self, name: &str) -> Result<Invitation> {
        self.reinvite(&self.named(name).await?, None).await
    }

    /// Another role on the word of the machine's owner.
    ///
    /// # Errors
    /// `not-found`; `conflict` where nobody could manage the site then.
    pub async fn set_role_as_owner(&self, name: &str, role: Role) -> Result<UserView> {
        self.set_role(&self.named(name).await?, role, None).await
    }

    /// Every user for the machine's owner, by name, after the name `after`; 200 at most.
    pub async fn users_as_owner(&self, after: Option<&str>) -> Result<Vec<UserView>> {
        self.find_users(None, after, LARGEST_PAGE).await
    }

    async fn named(&self, name: &str) -> Result<User> {
        let user = self
            .store()
            .user_by_name(&name.trim().to_ascii_lowercase())
            .await?;
        user.ok_or_else(|| Refused::not_found("user"))
    }

    async fn find_users(
        &self,
        search: Option<&str>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<UserView>> {
        let limit = limit.clamp(1, LARGEST_PAGE);
        let found = self.store().users(search, after, limit).await?;
        Ok(found.iter().map(UserView::of).collect())
    }

    async fn reinvite(&self, user: &User, by: Option<&UserId>) -> Result<Invitation> {
        if user.suspended_at.is_some() {
            return Err(Refused::conflict(format!("{} is suspended", user.name))
                .hint("restore the user first"));
        }
        let detail = format!("new one-time link for {}", user.name);
        self.record([Entry::new("user.invite", detail).maybe_by(by)])
            .await;
        self.invite(user).await
    }

    async fn set_role(&self, user: &User, role: Role, by: Option<&UserId>) -> Result<UserView> {
        changed(self.store().set_role(&user.id, role).await?)?;
        let detail = format!("{}: {} becomes {role}", user.name, user.role);
        self.record([Entry::new("user.role", detail).maybe_by(by)])
            .await;
        Ok(UserView {
            role,
            ..UserView::of(user)
        })
    }

    async fn add_user(
        &self,
        given: &str,
        given_email: Option<&str>,
        role: Role,
        by: Option<&UserId>,
    ) -> Result<Invitation> {
        let user = User {
            id: UserId(random_id("usr")),
            name: name(given)?,
            email: email(given_email)?,
            role,
            password_hash: None,
            created_at: self.now().await?,
            suspended_at: None,
        };
        self.store()
            .add_user(&user)
            .await
            .map_err(|error| taken(error, &user.name))?;
        let detail = format!("{} added as {role}", user.name);
        self.record([Entry::new("user.add", detail).maybe_by(by)])
            .await;
        self.invite(&user).await
    }

    async fn invite(&self, user: &User) -> Result<Invitation> {
        let bearer = new_bearer("fpi");
        let expires_at = self.now().await? + lifetimes::INVITATION;
        let user_id = Some(user.id.clone());
        let link = OneTimeLink {
            user_id,
            purpose: OneTimePurpose::Password,
            expires_at,
        };
        self.store().add_one_time_link(&bearer.hash, &link).await?;
        let url = self.one_time_page("/invitation", &bearer.plain);
        Ok(Invitation {
            user: UserView::of(user),
            url,
            expires_at,
        })
    }
}

impl AsUser {
    /// Who this is.
    pub fn user(&self) -> UserView {
        UserView::of(&self.user)
    }
}

impl AsSiteManager {
    /// Users whose name or e-mail address contains `search`, by name, after the name `after`; `limit` at
    /// most, and 200 at most.
    pub async fn users(
        &self,
        search: Option<&str>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<UserView>> {
        let search = search.map(str::trim).filter(|search| !search.is_empty());
        self.broker.find_users(search, after, limit).await
    }

    /// Adds a user, who sets their own password by the one-time link.
    ///
    /// # Errors
    /// `invalid` for name or e-mail address, `conflict` for a name in use.
    pub async fn add_user(
        &self,
        name: &str,
        email: Option<&str>,
        role: Role,
    ) -> Result<Invitation> {
        self.broker
            .add_user(name, email, role, Some(&self.user.id))
            .await
    }

    /// A new one-time link, for an invitation that was lost or a password that was forgotten. Earlier
    /// links of the user die; the password works until the link is used.
    ///
    /// # Errors
    /// `not-found`; `conflict` where the user is suspended.
    pub async fn reinvite(&self, id: &UserId) -> Result<Invitation> {
        self.broker
            .reinvite(&self.known(id).await?, Some(&self.user.id))
            .await
    }

    /// Gives a user another role, in force at once.
    ///
    /// # Errors
    /// `not-found`; `conflict` where nobody could manage the site then.
    pub async fn set_role(&self, id: &UserId, role: Role) -> Result<UserView> {
        self.broker
            .set_role(&self.known(id).await?, role, Some(&self.user.id))
            .await
    }

    /// Shuts a user out, or lets them in again. Sessions, API tokens and workspaces of a suspended
    /// user stop answering at once, and the provider tokens that those workspaces were handed end.
    ///
    /// # Errors
    /// `not-found`; `conflict` where it is the site manager's own account, or nobody could manage the
    /// site then.
    pub async fn set_suspended(&self, id: &UserId, suspended: Suspended) -> Result<UserView> {
        let user = self.known(id).await?;
        if suspended == Suspended::Yes && user.id == self.user.id {
            return Err(Refused::conflict("you cannot suspend yourself")
                .hint("ask another site manager to do it"));
        }
        let store = self.broker.store();
        match suspended {
            Suspended::Yes => {
                let now = self.broker.now().await?;
                changed(store.suspend_user(id, now).await?)?;
                store.drop_sessions_of(id).await?;
                for workspace in store.workspaces_of(id, now).await? {
                    self.broker.call_in(&workspace.id);
                }
                self.note("user.suspend", format!("{} suspended", user.name))
                    .await;
            }
            Suspended::No => {
                store.restore_user(id).await?;
                self.note("user.restore", format!("{} restored", user.name))
                    .await;
            }
        }
        Ok(UserView::of(&self.known(id).await?))
    }

    /// Records what this site manager did.
    pub(crate) async fn note(&self, action: &'static str, detail: impl Into<String>) {
        self.broker
            .record([Entry::new(action, detail).by(&self.user.id)])
            .await;
    }

    pub(crate) async fn known(&self, id: &UserId) -> Result<User> {
        self.broker
            .store()
            .user(id)
            .await?
            .ok_or_else(|| Refused::not_found("user"))
    }
}

fn changed(change: UserChange) -> Result<()> {
    match change {
        UserChange::Done => Ok(()),
        UserChange::NotFound => Err(Refused::not_found("user")),
        UserChange::LastSiteManager => Err(Refused::conflict("this is the last site manager")
            .hint("make another user a site manager first")),
    }
}

/// A sign-in name: `a–z 0–9 . _ -`, 1 to 64 characters, beginning with a letter or digit.
///
/// # Errors
/// `invalid` with the rule.
pub(crate) fn name(given: &str) -> Result<String> {
    let name = given.trim().to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if name.len() > LONGEST_NAME || !begins || !name.chars().all(plain) {
        return Err(
            Refused::invalid("name: it may hold a–z, 0–9, `.`, `_` and `-`").hint(format!(
                "choose 1 to {LONGEST_NAME} characters that begin with a letter or digit"
            )),
        );
    }
    Ok(name)
}

/// An e-mail address, where one is given. It goes into commits, so it must fit on their line.
///
/// # Errors
/// `invalid` where it cannot be one.
pub(crate) fn email(given: Option<&str>) -> Result<Option<String>> {
    let Some(email) = given.map(str::trim).filter(|email| !email.is_empty()) else {
        return Ok(None);
    };
    let odd = |c: char| c.is_control() || c.is_whitespace() || "<>,\"".contains(c);
    let parts = email
        .rsplit_once('@')
        .filter(|(user, host)| !user.is_empty() && !host.is_empty());
    if email.len() > LONGEST_EMAIL || email.contains(odd) || parts.is_none() {
        return Err(Refused::invalid("e-mail address: it is not one")
            .hint("enter one such as ann@example.com or leave it empty"));
    }
    Ok(Some(email.to_owned()))
}

/// What a store error means when a user is added.
pub(crate) fn taken(error: StoreError, name: &str) -> Refused {
    match error {
        StoreError::Duplicate(Unique::UserName) => {
            Refused::conflict(format!("there is a user called {name} already"))
                .hint("choose another name")
        }
        error => error.into(),
    }
}
