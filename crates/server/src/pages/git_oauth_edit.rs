//! `/manage/admin/git-oauth/{id}`: settings of one provider, with what a change does said before it is done.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
};
use axum_extra::extract::Form;
use broker::{AsSiteManager, Force, KindView, ProviderId, ProviderView, TestReport};
use serde::Deserialize;

use super::{
    Answer, Frame, done,
    git_oauth::{GIT_OAUTH, ProviderForm},
    show, show_as,
};
use crate::{app::App, problem::Failure};

#[derive(Template)]
#[template(path = "git_oauth_edit.html")]
struct EditPage {
    frame: Frame,
    fault: Option<Failure>,
    provider: ProviderView,
    /// The kind that the form is for: the provider's own, or the one it is moved to.
    kind: KindView,
    /// The kind that the provider may be moved to.
    sibling: Option<KindView>,
    form: ProviderForm,
    report: Option<TestReport>,
    /// What the change does to existing links, once it was asked for and not yet confirmed.
    consequences: Option<Vec<String>>,
    has_client_secret: bool,
}

/// Which kind the form is for, where it is not the provider's own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    kind: Option<String>,
}

impl EditPage {
    async fn of(manager: &AsSiteManager, frame: Frame, id: &ProviderId) -> Result<Self, Failure> {
        let provider = manager.provider(id).await?;
        let kinds = manager.kinds()?;
        let find = |id: &str| kinds.iter().find(|kind| kind.id == id).cloned();
        let mut kind = find(&provider.kind).ok_or_else(Failure::not_found)?;
        kind.guide = provider.guide.clone();
        // An RSA pair has to be pasted before it can be used, so nothing is moved to OAuth 1.0a.
        let sibling = kind
            .sibling
            .and_then(find)
            .filter(|sibling| sibling.auth != "oauth1");
        Ok(Self {
            form: ProviderForm::of(&provider),
            has_client_secret: provider.has_client_secret,
            frame,
            fault: None,
            provider,
            kind,
            sibling,
            report: None,
            consequences: None,
        })
    }

    /// Makes it the form of the sibling, if that is the kind asked for.
    fn move_to(&mut self, kind: &str) {
        if let Some(sibling) = self.sibling.take_if(|sibling| sibling.id == kind) {
            self.form.kind = sibling.id.to_owned();
            self.form.client_id = String::new();
            self.form.consumer_name = String::new();
            self.has_client_secret = false;
            self.kind = sibling;
        }
    }
}

/// `GET /manage/admin/git-oauth/{id}`, with `?kind=` to move it to the sibling of its kind.
pub async fn form(
    manager: AsSiteManager,
    frame: Frame,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer {
    let mut page = EditPage::of(&manager, frame, &ProviderId(id)).await?;
    page.move_to(asked.kind.as_deref().unwrap_or_default());
    show(&page)
}

/// `POST /manage/admin/git-oauth/{id}`: asks back where links are touched, else saves.
pub async fn submit(
    State(app): State<App>,
    manager: AsSiteManager,
    frame: Frame,
    Path(id): Path<String>,
    Form(form): Form<ProviderForm>,
) -> Answer {
    let id = ProviderId(id);
    let mut page = EditPage::of(&manager, frame, &id).await?;
    page.move_to(&form.kind);
    page.form = form;
    let input = match page.form.input_kept(&manager, id.as_str(), None).await {
        Ok(input) => input,
        Err(failure) => return again(page, failure),
    };
    let found = match manager.preview_change(&id, &input).await {
        Ok(found) => found,
        Err(refused) => return again(page, refused.into()),
    };
    if found.needs_confirm && !input.confirm {
        page.consequences = Some(found.text);
        return show_as(StatusCode::CONFLICT, &page);
    }
    match manager.change_provider(&id, input).await {
        Ok(saved) => Ok(done(&app, GIT_OAUTH, &format!("{} is saved.", saved.name))),
        Err(refused) => again(page, refused.into()),
    }
}

/// The form again, with what is wrong with it.
fn again(mut page: EditPage, failure: Failure) -> Answer {
    let failure = failure.mendable()?;
    let status = failure.status;
    page.fault = Some(failure);
    show_as(status, &page)
}

/// `POST /manage/admin/git-oauth/{id}/test`: tests what is stored.
pub async fn test(manager: AsSiteManager, frame: Frame, Path(id): Path<String>) -> Answer {
    let id = ProviderId(id);
    let report = manager.test_provider(&id).await?;
    let mut page = EditPage::of(&manager, frame, &id).await?;
    page.report = Some(report);
    show(&page)
}

#[derive(Template)]
#[template(path = "git_oauth_delete.html")]
struct DeletePage {
    frame: Frame,
    fault: Option<Failure>,
    provider: ProviderView,
}

/// `GET /manage/admin/git-oauth/{id}/delete`: says how many links end.
pub async fn confirm_delete(
    manager: AsSiteManager,
    frame: Frame,
    Path(id): Path<String>,
) -> Answer {
    let provider = manager.provider(&ProviderId(id)).await?;
    show(&DeletePage {
        frame,
        fault: None,
        provider,
    })
}

/// The form of the page above.
#[derive(Debug, Deserialize)]
pub struct Deletion {
    force: Option<String>,
}

/// `POST /manage/admin/git-oauth/{id}/delete`.
pub async fn delete(
    State(app): State<App>,
    manager: AsSiteManager,
    frame: Frame,
    Path(id): Path<String>,
    Form(form): Form<Deletion>,
) -> Answer {
    let id = ProviderId(id);
    let force = if form.force.is_some() {
        Force::Yes
    } else {
        Force::No
    };
    if let Err(refused) = manager.delete_provider(&id, force).await {
        let failure = Failure::from(refused).mendable()?;
        let (status, fault) = (failure.status, Some(failure));
        let provider = manager.provider(&id).await?;
        return show_as(
            status,
            &DeletePage {
                frame,
                fault,
                provider,
            },
        );
    }
    Ok(done(&app, GIT_OAUTH, "The provider is deleted."))
}
