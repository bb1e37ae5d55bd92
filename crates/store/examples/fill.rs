//! Fills a database of SQLite for `cargo xtask bench pages`: `fill FILE USERS`, with what that many users have.
//!
//! Sealed columns hold a text that nothing can open, so the rows serve pages alone, which open none.

use anyhow::Context as _;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

/// What is put in, in this order: `$1` is how many users there shall be, `$2` the time, unix seconds.
const STATEMENTS: &[&str] = &[
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
     INSERT INTO users (id, name, email, role, password_hash, created_at)
     SELECT printf('usr_%026d', i), printf('developer-%06d', i),
            printf('developer-%06d@example.com', i),
            CASE WHEN i % 500 = 0 THEN 'auditor' ELSE 'member' END,
            '$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$c29tZWhhc2g', $2 - i * 60
     FROM n",
    // Everybody, those who were there before too, with a number.
    "CREATE TEMP TABLE people AS
     SELECT id AS user_id, row_number() OVER (ORDER BY id) AS i FROM users",
    "WITH kinds (at, kind, name, url) AS (VALUES
       (1, 'github', 'Forge one', 'https://one.example.com'),
       (2, 'gitlab', 'Forge two', 'https://two.example.com'),
       (3, 'bitbucket-server', 'Forge three', 'https://three.example.com'),
       (4, 'other-git', 'Forge four', 'https://four.example.com'))
     INSERT INTO providers (id, kind, name, url, client_id, client_secret, ssh_user,
                            ssh_addresses, host_keys, last_success_at, version, created_at)
     SELECT printf('prv_%026d', at), kind, name, url, 'forgepass', 'sealed', 'git',
            substr(url, 9), 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHzm', $2, 1, $2 - $1
     FROM kinds",
    // Two links each, at two of the three providers that have accounts.
    "INSERT INTO links (id, user_id, provider_id, account_id, login, email, emails, created_at,
                        last_used_at, dead_at, dead_reason)
     SELECT printf('lnk_%026d', i * 2 + which), user_id,
            printf('prv_%026d', 1 + (i + which) % 3), printf('%d', i), printf('developer%d', i),
            printf('developer%d@example.com', i), printf('developer%d@example.com', i),
            $2 - i - $1, $2 - i % 86400,
            CASE WHEN i % 100 = 0 THEN $2 - 3600 END,
            CASE WHEN i % 100 = 0 THEN 'the refresh token was revoked' END
     FROM people, (SELECT 0 AS which UNION ALL SELECT 1)",
    // Two grants each, but for the few who did not finish.
    "INSERT INTO grants (id, link_id, purpose, access, refresh, scopes, expires_at, token_id,
                         obtained_at, version, failures)
     SELECT printf('grt_%s%s', substr(l.id, 5), purpose), l.id, purpose, 'sealed', 'sealed',
            scope, $2 + 3600, printf('tkn_%s', substr(l.id, 5)), $2 - 3600, 1, 0
     FROM links l, (SELECT 'manage' AS purpose, 'api' AS scope
                    UNION ALL SELECT 'git', 'write_repository')
     WHERE purpose = 'manage' OR CAST(substr(l.id, 5) AS INTEGER) % 100 <> 7",
    "INSERT INTO ssh_keys (id, user_id, provider_id, link_id, algorithm, public_key, blob_hash,
                           fingerprint, private, created_at)
     SELECT printf('key_%s', substr(id, 5)), user_id, provider_id, id, 'ed25519',
            printf('ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI%s', id), id, printf('SHA256:%s', id),
            'sealed', created_at
     FROM links",
    "INSERT INTO key_history (key_id, user_id, link_id, public_key, emails, valid_from)
     SELECT id, user_id, link_id, public_key, '', created_at FROM ssh_keys",
    "INSERT INTO uploads (id, key_id, usage, wanted, state, remote_id, failures, seen_at, version)
     SELECT printf('upl_%s', substr(id, 5)), id, 'auth-and-signing', 'present',
            CASE CAST(substr(id, 5) AS INTEGER) % 50 WHEN 0 THEN 'refused'
              WHEN 1 THEN 'needs-authorization' ELSE 'present' END,
            '1', 0, $2 - 3600, 1
     FROM ssh_keys",
    "INSERT INTO rules (id, user_id, link_id, pattern, created_at)
     SELECT printf('rul_%s', substr(l.id, 5)), user_id, l.id,
            printf('%s/team-%d', substr(p.url, 9), i), $2 - $1
     FROM (SELECT links.*, CAST(substr(id, 5) AS INTEGER) AS i FROM links) l
     JOIN providers p ON p.id = l.provider_id
     WHERE i % 4 = 0",
    "INSERT INTO workspaces (id, token_hash, user_id, name, address, machine_hash, created_at,
                             last_seen_at, last_used_at, expires_at)
     SELECT printf('wsp_%026d', i * 2 + which), printf('%064d', i * 2 + which), user_id,
            printf('workspace-%d', which), '192.0.2.7', printf('%064d', i), $2 - i - $1,
            $2 - i % 86400, $2 - i % 86400, $2 + 7776000
     FROM people, (SELECT 0 AS which UNION ALL SELECT 1)",
    "INSERT INTO sessions (id, token_hash, user_id, address, agent, created_at, last_seen_at,
                           expires_at)
     SELECT printf('ses_%026d', i), printf('%064d', i), user_id, '192.0.2.7',
            'Mozilla/5.0 (X11; Linux x86_64)', $2 - 3600, $2 - i % 3600, $2 + 86400
     FROM people",
    // Fifteen events each, evenly over thirty days: most are credentials and signatures.
    "WITH RECURSIVE n (e) AS (SELECT 0 UNION ALL SELECT e + 1 FROM n WHERE e < $1 * 15 - 1)
     INSERT INTO events (id, at, user_id, workspace_id, provider_id, action, detail, count)
     SELECT printf('evt_%026d', e), $2 - 2592000 + e * 2592000 / ($1 * 15), p.user_id,
            printf('wsp_%026d', p.i * 2), printf('prv_%026d', 1 + p.i % 3),
            CASE e % 20 WHEN 0 THEN 'session.begin' WHEN 1 THEN 'credential.refuse'
              WHEN 2 THEN 'grant.refresh' WHEN 3 THEN 'sign.refuse' WHEN 4 THEN 'key.upload'
              WHEN 5 THEN 'grant.refresh' WHEN 6 THEN 'grant.refresh' WHEN 7 THEN 'sign.give'
              WHEN 8 THEN 'sign.give' WHEN 9 THEN 'sign.give' ELSE 'credential.give' END,
            printf('token tkn_%d for developer%d', e, p.i), 1 + e % 4
     FROM n JOIN people p ON p.i = 1 + (e * 7919) % $1",
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().context("no database file is named")?;
    let users: i64 = arguments.next().context("no number of users")?.parse()?;
    let options = SqliteConnectOptions::new().filename(file);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let now: i64 = sqlx::query_scalar("SELECT unixepoch()")
        .fetch_one(&mut connection)
        .await?;
    let mut transaction = connection.begin().await?;
    for statement in STATEMENTS {
        sqlx::query(*statement)
            .bind(users)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction.commit().await?)
}
