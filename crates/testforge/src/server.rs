//! Starts the servers of one stand-in and puts faults and the log around its routes.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    extract::{Request, State as Shared},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use axum_server::{Handle, tls_rustls::RustlsConfig};

use crate::{
    Forge, Shape, bitbucket, bitbucket_api, bitbucket_tokens, control,
    faults::{self, Effect},
    git_https, git_ssh, github, github_api, gitlab, gitlab_api,
    log::{Entry, Recognised, Refused},
    oauth1,
    shape::Software,
    state::{Addresses, Site},
    tls,
};

/// What runs for one stand-in; all of it ends when this is dropped.
pub(crate) struct Running {
    web: Handle<SocketAddr>,
    ssh: tokio::task::JoinHandle<Result<()>>,
    _folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.web.shutdown();
        self.ssh.abort();
    }
}

/// Starts a stand-in on free loopback ports.
///
/// # Errors
/// When a port cannot be bound or a key or certificate cannot be made.
pub async fn start(shape: Shape) -> Result<Forge> {
    // Another part of the process may have chosen this provider before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::Builder::new().prefix("testforge-").tempdir()?;
    let web = bind()?;
    let api = if shape == Shape::GitHubCom {
        Some(bind()?)
    } else {
        None
    };
    let ssh = bind()?;
    let host_key = git_ssh::host_key(shape)?;
    let url = format!(
        "https://localhost:{}{}",
        web.local_addr()?.port(),
        shape.sub_path()
    );
    let addresses = Addresses {
        api_url: match &api {
            Some(api) => format!("https://127.0.0.1:{}", api.local_addr()?.port()),
            None => format!("{url}{}", api_path(shape)),
        },
        url,
        ssh_address: ssh.local_addr()?.to_string(),
        ssh_host_key: host_key.public_key().to_openssh()?.trim().to_owned(),
    };
    let site = Arc::new(Site::new(shape, addresses, folder.path()));
    std::fs::create_dir_all(&site.repositories)?;
    std::fs::write(&site.ca_file, &tls::authority()?.pem)?;
    let handle = Handle::new();
    let web_router = web_router(&site);
    listen(web, web_router.clone(), &handle).await?;
    if let Some(api) = api {
        listen(api, api_router(&site), &handle).await?;
    }
    let ssh = tokio::net::TcpListener::from_std(ssh)?;
    let ssh = tokio::spawn(git_ssh::serve(site.clone(), ssh, host_key));
    Ok(Forge::new(
        site,
        web_router,
        Running {
            web: handle,
            ssh,
            _folder: folder,
        },
    ))
}

fn bind() -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("bind a loopback port")?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn listen(listener: TcpListener, router: Router, handle: &Handle<SocketAddr>) -> Result<()> {
    let tls = RustlsConfig::from_config(tls::server_config()?);
    let server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
    tokio::spawn(server.serve(router.into_make_service()));
    handle
        .listening()
        .await
        .context("the server did not start")?;
    Ok(())
}

/// Where the API is below the base URL, for sites that have it there.
fn api_path(shape: Shape) -> &'static str {
    match shape {
        Shape::GitHubEnterprise => "/api/v3",
        Shape::GitLab { .. } => "/api/v4",
        _ => "",
    }
}

/// All of the web host: the site below its sub-path, and the control API.
fn web_router(site: &Arc<Site>) -> Router {
    let pages = match site.shape.software() {
        Software::GitHub => github::web(),
        Software::GitLab => gitlab::web().nest("/api/v4", gitlab_api::api()),
        Software::Bitbucket => oauth1::web()
            .merge(bitbucket_api::api())
            .merge(bitbucket_tokens::api()),
        Software::Azure | Software::Plain => Router::new(),
    };
    let pages = match site.shape {
        Shape::GitHubEnterprise => pages.nest("/api/v3", github_api::api(site)),
        // The older site of the two has no OAuth 2.0 at all.
        Shape::BitbucketServer => pages.merge(bitbucket::web()),
        _ => pages,
    };
    let pages = pages.fallback(git_https::serve);
    let pages = match site.shape.sub_path() {
        "" => pages,
        path => Router::new().nest(path, pages),
    };
    let pages = pages.layer(from_fn_with_state((site.clone(), "web"), around));
    Router::new()
        .nest("/_testforge", control::routes())
        .merge(pages)
        .with_state(site.clone())
}

/// The API host of GitHub.com.
fn api_router(site: &Arc<Site>) -> Router {
    github_api::api(site)
        .layer(from_fn_with_state((site.clone(), "api"), around))
        .with_state(site.clone())
}

/// Runs the armed fault, if any, and writes the log.
async fn around(
    Shared((site, door)): Shared<(Arc<Site>, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let armed = faults::take(&mut site.lock(), &method, &path);
    let response = match armed.map(faults::Fault::effect) {
        None => next.run(request).await,
        Some(Effect::Instead(response)) => response,
        Some(Effect::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            next.run(request).await
        }
        Some(Effect::After(response)) => {
            let _lost = next.run(request).await;
            response.into_response()
        }
    };
    let extensions = response.extensions();
    let entry = Entry {
        door: door.to_owned(),
        method: method.to_string(),
        path,
        status: response.status().as_u16(),
        account: extensions.get::<Recognised>().map(|known| known.0.clone()),
        reason: extensions.get::<Refused>().map(|refused| refused.0.clone()),
    };
    site.lock().log.push(entry);
    response
}
