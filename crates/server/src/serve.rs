//! `serve`: listens, prints where, and stops gracefully.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use anyhow::Context;
use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use broker::Broker;
use secrecy::ExposeSecret;
use tokio::sync::watch;

use crate::{
    app::{self, App, worded},
    config::{Config, Tls},
    start,
};

/// How long requests under way may take once the server is asked to stop.
const FAREWELL: Duration = Duration::from_secs(20);

/// Serves until a signal asks to stop.
///
/// # Errors
/// What keeps it from starting.
pub async fn run(config: Config) -> anyhow::Result<()> {
    // One provider for all of TLS; a second call finds it installed, which is as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind(config.listen)
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    let public_url = config.public_url(bound);
    let broker = start::broker(&config, public_url.clone()).await?;
    start::declare(&broker, &config).await?;
    let app = App::new(
        broker.clone(),
        &config.name,
        public_url,
        config.trusted_proxies.clone(),
    );
    let router = app::router(app.clone())?;
    announce(&app, &broker, bound).await?;

    let (stop, stopped) = watch::channel(false);
    let background = tokio::spawn(broker.run_background(until(stopped)));
    let served = listen(listener, router, config.tls.as_ref()).await;
    let _ = stop.send(true);
    background.await.context("the background work broke off")?;
    served
}

/// Tells the terminal where to go. The set-up link is a secret: it is printed and not logged.
async fn announce(app: &App, broker: &Broker, bound: SocketAddr) -> anyhow::Result<()> {
    tracing::info!(listen = %bound, public_url = app.public_url_text(), "listening");
    let setup = broker.setup_link().await.map_err(worded)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "Forgepass listens on {bound}: {}",
        app.public_url_text()
    )?;
    if let Some(link) = setup {
        writeln!(
            out,
            "Set it up here, within an hour: {}",
            link.expose_secret()
        )?;
    }
    out.flush()?;
    Ok(())
}

async fn listen(listener: TcpListener, router: Router, tls: Option<&Tls>) -> anyhow::Result<()> {
    let handle = Handle::new();
    let farewell = handle.clone();
    tokio::spawn(async move {
        signalled().await;
        tracing::info!("stopping; requests under way may finish");
        farewell.graceful_shutdown(Some(FAREWELL));
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    match tls {
        None => {
            axum_server::from_tcp(listener)?
                .handle(handle)
                .serve(service)
                .await?
        }
        Some(Tls { cert, key }) => {
            let config = RustlsConfig::from_pem_file(cert, key).await;
            let config = config.with_context(|| {
                format!("cannot use the certificate {} and its key", cert.display())
            })?;
            let server = axum_server::from_tcp_rustls(listener, config)?;
            server.handle(handle).serve(service).await?;
        }
    }
    Ok(())
}

/// Waits for SIGTERM or Ctrl-C.
async fn signalled() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}
