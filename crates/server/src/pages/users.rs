//! `/manage/users`: search, add, roles, new one-time links, suspension.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
};
use axum_extra::extract::Form;
use broker::{AsSiteManager, Invitation, Role, Suspended, UserId, UserView};
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::form_urlencoded;

use super::{Answer, Frame, done, show_as, text};
use crate::{app::App, problem::Failure};

/// Every role, the usual one first.
pub const ROLES: &[&str] = &["member", "auditor", "site-manager"];

const USERS: &str = "/manage/users";

/// Users of one page; as many means there may be more. Each has three forms, so more of them would be slow to
/// make and to read.
const PAGE: i64 = 50;

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    frame: Frame,
    fault: Option<Failure>,
    invitation: Option<Invitation>,
    users: Vec<UserView>,
    search: String,
    next: Option<String>,
    entered: NewUser,
    /// Whether the form for a user is unfolded.
    open: bool,
}

/// Which users to show.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    search: String,
    after: String,
}

/// The form for a user.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NewUser {
    name: String,
    email: String,
    role: String,
}

impl UsersPage {
    async fn of(manager: &AsSiteManager, frame: Frame, asked: Asked) -> Result<Self, Failure> {
        let after = text::filled(&asked.after);
        let search = Some(asked.search.as_str());
        let users = manager.users(search, after.as_deref(), PAGE).await?;
        let is_full = i64::try_from(users.len()).is_ok_and(|count| count >= PAGE);
        let next = users.last().filter(|_| is_full).map(|last| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query
                .append_pair("search", &asked.search)
                .append_pair("after", &last.name);
            format!("{USERS}?{}", query.finish())
        });
        let (entered, search) = (NewUser::default(), asked.search);
        let (fault, invitation) = (None, None);
        Ok(Self {
            frame,
            fault,
            invitation,
            users,
            search,
            next,
            entered,
            open: false,
        })
    }
}

/// `GET /manage/users`.
pub async fn page(manager: AsSiteManager, frame: Frame, Query(asked): Query<Asked>) -> Answer {
    show_as(
        StatusCode::OK,
        &UsersPage::of(&manager, frame, asked).await?,
    )
}

/// `POST /manage/users`: shows the one-time link this once.
pub async fn add(manager: AsSiteManager, frame: Frame, Form(form): Form<NewUser>) -> Answer {
    let role = role(&form.role)?;
    match manager
        .add_user(&form.name, text::filled(&form.email).as_deref(), role)
        .await
    {
        Ok(invitation) => invited(&manager, frame, invitation).await,
        Err(refused) => {
            let failure = Failure::from(refused).mendable()?;
            let status = failure.status;
            let mut page = UsersPage::of(&manager, frame, Asked::default()).await?;
            page.fault = Some(failure);
            (page.entered, page.open) = (form, true);
            show_as(status, &page)
        }
    }
}

/// `POST /manage/users/{id}/invitation`: shows the new one-time link this once.
pub async fn reinvite(manager: AsSiteManager, frame: Frame, Path(id): Path<String>) -> Answer {
    let invitation = manager.reinvite(&UserId(id)).await?;
    invited(&manager, frame, invitation).await
}

async fn invited(manager: &AsSiteManager, frame: Frame, invitation: Invitation) -> Answer {
    let mut page = UsersPage::of(manager, frame, Asked::default()).await?;
    page.invitation = Some(invitation);
    show_as(StatusCode::OK, &page)
}

/// The form of a user's role.
#[derive(Debug, Deserialize)]
pub struct NewRole {
    role: String,
}

/// `POST /manage/users/{id}/role`.
pub async fn set_role(
    State(app): State<App>,
    manager: AsSiteManager,
    Path(id): Path<String>,
    Form(form): Form<NewRole>,
) -> Answer {
    let user = manager.set_role(&UserId(id), role(&form.role)?).await?;
    let notice = format!("{} is now: {}.", user.name, text::role(user.role.as_str()));
    Ok(done(&app, USERS, &notice))
}

/// The form of a suspension.
#[derive(Debug, Deserialize)]
pub struct NewSuspension {
    suspended: String,
    /// Whether the box was ticked that a suspension asks for.
    sure: Option<String>,
}

/// `POST /manage/users/{id}/suspended`.
pub async fn set_suspended(
    State(app): State<App>,
    manager: AsSiteManager,
    Path(id): Path<String>,
    Form(form): Form<NewSuspension>,
) -> Answer {
    let (suspended, word) = match (form.suspended.as_str(), form.sure) {
        ("yes", Some(_)) => (Suspended::Yes, "suspended"),
        ("yes", None) => return Err(Failure::invalid("sure: tick the box to suspend somebody")),
        ("no", _) => (Suspended::No, "restored"),
        _ => return Err(Failure::invalid("suspended: it is neither `yes` nor `no`")),
    };
    let user = manager.set_suspended(&UserId(id), suspended).await?;
    let path = format!("{USERS}/{}", user.id);
    Ok(done(&app, &path, &format!("{} is {word}.", user.name)))
}

/// The role of a form or an API call.
pub(crate) fn role(word: &str) -> Result<Role, Failure> {
    Role::from_word(word)
        .ok_or_else(|| Failure::invalid(format!("role: {word:?} is none of {}", ROLES.join(", "))))
}
