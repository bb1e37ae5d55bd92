//! `/manage/users/{id}`: one user: why Git does not work for them, what is theirs, and the suspension.

use askama::Template;
use axum::extract::Path;
use broker::{AsSiteManager, Dossier, UserId};
use url::form_urlencoded;

use super::{Answer, Frame, show};

#[derive(Template)]
#[template(path = "user.html")]
struct UserPage {
    frame: Frame,
    dossier: Dossier,
    /// Every event of this user, as an address.
    audit: String,
    /// Whether it is the viewer's own account, which cannot be suspended.
    is_own: bool,
}

/// `GET /manage/users/{id}`.
pub async fn page(manager: AsSiteManager, frame: Frame, Path(id): Path<String>) -> Answer {
    let id = UserId(id);
    let dossier = manager.dossier(&id).await?;
    let viewer = frame.viewer().map(|viewer| viewer.name.as_str());
    let is_own = viewer == Some(dossier.user.name.as_str());
    show(&UserPage {
        frame,
        audit: audit(&dossier.user.name),
        dossier,
        is_own,
    })
}

fn audit(user: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    format!("/manage/audit?{}", query.append_pair("user", user).finish())
}
