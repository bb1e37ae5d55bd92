//! `/manage/admin/git-oauth/add/version`: where a kind and its sibling are one software, which of them to add.

use askama::Template;
use axum::extract::Query;
use axum_extra::extract::Form;
use broker::{AsSiteManager, KindView};
use serde::Deserialize;

use super::{Answer, Frame, git_oauth::ProviderForm, git_oauth_add::AddPage, show, show_as};
use crate::problem::Failure;

#[derive(Template)]
#[template(path = "git_oauth_version.html")]
struct VersionPage {
    frame: Frame,
    fault: Option<Failure>,
    kind: KindView,
    /// The kind and its sibling.
    ways: Vec<KindView>,
    form: ProviderForm,
}

impl VersionPage {
    fn of(manager: &AsSiteManager, frame: Frame, kind: &str) -> Result<Self, Failure> {
        let kinds = manager.kinds()?;
        let is_way = |way: &&KindView| way.id == kind || way.sibling == Some(kind);
        let ways: Vec<KindView> = kinds.iter().filter(is_way).cloned().collect();
        let kind = ways
            .iter()
            .find(|way| way.id == kind && way.sibling.is_some());
        Ok(Self {
            frame,
            fault: None,
            kind: kind.cloned().ok_or_else(Failure::not_found)?,
            ways,
            form: ProviderForm::default(),
        })
    }
}

/// The kind that was chosen.
#[derive(Debug, Deserialize)]
pub struct Asked {
    kind: String,
}

/// `GET /manage/admin/git-oauth/add/version?kind=`.
pub async fn page(manager: AsSiteManager, frame: Frame, Query(asked): Query<Asked>) -> Answer {
    show(&VersionPage::of(&manager, frame, &asked.kind)?)
}

/// `POST /manage/admin/git-oauth/add/version`: asks the installation, and shows the form of what it proposes.
pub async fn submit(
    manager: AsSiteManager,
    frame: Frame,
    Form(form): Form<ProviderForm>,
) -> Answer {
    match manager.propose_kind(&form.input(None)).await {
        Ok(proposal) => {
            let draft = manager.make_draft(proposal.kind).await?;
            let mut page = AddPage::of(&manager, frame, &draft.id, &form.url).await?;
            page.found = Some(proposal.found);
            page.place(form);
            show(&page)
        }
        Err(refused) => {
            let failure = Failure::from(refused).mendable()?;
            let status = failure.status;
            let mut page = VersionPage::of(&manager, frame, &form.kind)?;
            (page.fault, page.form) = (Some(failure), form);
            show_as(status, &page)
        }
    }
}
