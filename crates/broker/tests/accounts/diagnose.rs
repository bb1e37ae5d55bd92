//! What a site manager is told about a user, after a stand-in forge has done it to them.

use broker::{Finding, KeyId, Verdict};
use testforge::{Endpoint, Fault, Shape};

use crate::stage::{GITLAB, OVER, Stage, linked, refusal};

/// What is said of ann at the one provider.
async fn finding(stage: &Stage) -> Finding {
    let manager = stage.ann.site_manager().unwrap();
    let dossier = manager.dossier(&stage.ann.user().id).await.unwrap();
    let about = dossier.findings.into_iter().find(|it| it.about == "Forge");
    about.unwrap()
}

/// Has the provider asked, by whatever comes of a new key.
async fn regenerate(stage: &Stage) {
    let key = stage.ann.keys().await.unwrap().remove(0);
    let id = KeyId::from(key.id.as_str());
    stage.ann.regenerate_key(&id).await.unwrap();
}

#[tokio::test]
async fn a_provider_that_answers_again_is_no_longer_called_away() {
    let stage = Stage::new(GITLAB).await;
    stage.link().await;
    assert_eq!(finding(&stage).await.verdict, Verdict::Good);
    stage.advance(10).await;
    let too_much = Fault::Huge {
        bytes: 2 * 1024 * 1024,
    };
    stage.forge.fail_next(Endpoint::Any, too_much);
    regenerate(&stage).await;
    let away = finding(&stage).await;
    assert!(
        away.cause.starts_with("Forge could not be reached:"),
        "{away:?}"
    );
    stage.forge.clear_faults();
    stage.advance(10).await;
    regenerate(&stage).await;
    let back = finding(&stage).await;
    assert!(!back.cause.contains("could not be reached"), "{back:?}");
}

#[tokio::test]
async fn a_rate_limit_at_a_refresh_is_told_with_the_time_to_wait() {
    let (stage, workspace) = linked(GITLAB).await;
    stage.advance(OVER).await;
    let limit = Fault::RateLimited {
        status: 429,
        retry_after_s: 300,
    };
    stage.forge.fail_next(Endpoint::Token, limit);
    refusal(&stage, &workspace).await;
    let limited = finding(&stage).await;
    assert_eq!(limited.verdict, Verdict::Broken, "its token is over");
    assert!(limited.cause.ends_with("the provider asks us to slow down"));
    assert!(limited.fix.unwrap().contains("tries again in 5 minutes"));
}

#[tokio::test]
async fn a_key_that_an_organisation_wants_authorised_is_told_with_its_page() {
    let stage = Stage::new(Shape::GitHubCom).await;
    stage.link().await;
    let page = "https://example.com/orgs/acme/sso".to_owned();
    stage
        .forge
        .fail_next(Endpoint::Keys, Fault::Saml { url: page.clone() });
    regenerate(&stage).await;
    let saml = finding(&stage).await;
    assert_eq!(saml.verdict, Verdict::Broken, "{saml:?}");
    assert!(saml.fix.unwrap().ends_with(&page));
}

#[tokio::test]
async fn a_token_that_the_provider_ended_is_told_with_its_likely_causes() {
    let (stage, workspace) = linked(GITLAB).await;
    stage.advance(OVER).await;
    let over = Fault::OAuthError {
        error: "invalid_grant".to_owned(),
    };
    stage.forge.fail_next(Endpoint::Token, over);
    refusal(&stage, &workspace).await;
    let dead = finding(&stage).await;
    assert_eq!(dead.verdict, Verdict::Broken);
    assert!(dead.cause.contains("is dead:") && dead.cause.contains("invalid_grant"));
    assert!(dead.fix.unwrap().contains("ask ann to link again"));
}
