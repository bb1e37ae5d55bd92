//! SSH key pairs of links, or of users where a provider has no OAuth.

use secrets::Sealed;

use crate::column::row;
use crate::db::{Number, Statement, sql};
use crate::error::Result;
use crate::{KeyId, LinkId, ProviderCount, ProviderId, Store, UserId};

row! {
    /// A key.
    pub struct SshKey {
        /// `key_…`.
        pub id: KeyId,
        /// Whose it is.
        pub user_id: UserId,
        /// The provider it is for.
        pub provider_id: ProviderId,
        /// The link it belongs to; none where the kind has no OAuth.
        pub link_id: Option<LinkId>,
        /// `ed25519`, `ecdsa-p256`, `rsa-3072` or `rsa-4096`.
        pub algorithm: String,
        /// OpenSSH line without a comment.
        pub public_key: String,
        /// SHA-256 of the public blob, hex.
        pub blob_hash: String,
        /// `SHA256:…`.
        pub fingerprint: String,
        /// The private half; none once deleted.
        pub private: Option<Sealed>,
        /// When it was made.
        pub created_at: i64,
        /// When a newer key replaced it.
        pub retired_at: Option<i64>,
        /// When it first signed: the proof that the provider accepts it.
        pub used_at: Option<i64>,
        /// When its private half was destroyed.
        pub deleted_at: Option<i64>,
    }
}

row! {
    /// That a public key stood for addresses, for `allowed_signers`.
    pub struct PastKey {
        /// The key; it may be gone.
        pub key_id: KeyId,
        /// OpenSSH line without a comment.
        pub public_key: String,
        /// Addresses that the provider has verified.
        pub emails: Vec<String>,
        /// From when its signatures count.
        pub valid_from: i64,
        /// Until when they do.
        pub valid_until: Option<i64>,
    }
}

row! {
    /// How many live keys have an algorithm.
    pub struct AlgorithmCount {
        /// `ed25519`, `ecdsa-p256`, `rsa-3072` or `rsa-4096`.
        pub algorithm: String,
        /// How many.
        pub number: i64,
    }
}

impl Store {
    /// Adds a key and begins its history. [`crate::Unique::CurrentKey`] where its link, or its
    /// user at its provider, has one that is not retired.
    pub async fn add_key(&self, key: &SshKey) -> Result<()> {
        let mut transaction = self.db.begin().await?;
        for statement in insert_key(key) {
            transaction.execute(statement).await?;
        }
        transaction.commit().await
    }

    /// Retires a user's key and adds the one that replaces it, at once: of many callers one
    /// succeeds. The retired one keeps working until it is deleted.
    pub async fn replace_key(&self, old: &KeyId, new: &SshKey, now: i64) -> Result<bool> {
        let mut transaction = self.db.begin().await?;
        let retire = sql("UPDATE ssh_keys SET retired_at = $3
             WHERE user_id = $1 AND id = $2 AND retired_at IS NULL AND deleted_at IS NULL")
        .bind(&new.user_id)
        .bind(old)
        .bind(&now);
        if transaction.execute(retire).await? == 0 {
            return Ok(false);
        }
        for statement in insert_key(new) {
            transaction.execute(statement).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// One key of a user, deleted or not.
    pub async fn key(&self, user: &UserId, key: &KeyId) -> Result<Option<SshKey>> {
        let statement = sql("SELECT * FROM ssh_keys WHERE user_id = $1 AND id = $2")
            .bind(user)
            .bind(key);
        self.db.optional(statement).await
    }

    /// Any key, for background work that acts for nobody.
    pub async fn any_key(&self, key: &KeyId) -> Result<Option<SshKey>> {
        self.db
            .optional(sql("SELECT * FROM ssh_keys WHERE id = $1").bind(key))
            .await
    }

    /// A user's keys that still work, newest first.
    pub async fn keys_of(&self, user: &UserId) -> Result<Vec<SshKey>> {
        let statement = sql("SELECT * FROM ssh_keys
             WHERE user_id = $1 AND deleted_at IS NULL
             ORDER BY created_at DESC, id DESC")
        .bind(user);
        self.db.all(statement).await
    }

    /// The working keys of a link, or of a user at a provider without OAuth, newest first.
    pub async fn live_keys(
        &self,
        user: &UserId,
        provider: &ProviderId,
        link: Option<&LinkId>,
    ) -> Result<Vec<SshKey>> {
        let statement = sql("SELECT * FROM ssh_keys
             WHERE user_id = $1 AND provider_id = $2
               AND COALESCE(link_id, '') = $3 AND deleted_at IS NULL
             ORDER BY created_at DESC, id DESC")
        .bind(user)
        .bind(provider)
        .bind(link.map_or("", LinkId::as_str));
        self.db.all(statement).await
    }

    /// A user's working key by its fingerprint, `SHA256:…`.
    pub async fn key_by_fingerprint(
        &self,
        user: &UserId,
        fingerprint: &str,
    ) -> Result<Option<SshKey>> {
        let statement = sql("SELECT * FROM ssh_keys
             WHERE user_id = $1 AND fingerprint = $2 AND deleted_at IS NULL")
        .bind(user)
        .bind(fingerprint);
        self.db.optional(statement).await
    }

    /// Retires a user's key without a successor.
    pub async fn retire_key(&self, user: &UserId, key: &KeyId, now: i64) -> Result<bool> {
        let statement = sql("UPDATE ssh_keys SET retired_at = $3
             WHERE user_id = $1 AND id = $2 AND retired_at IS NULL")
        .bind(user)
        .bind(key)
        .bind(&now);
        self.db.changed(statement).await
    }

    /// Notes a key's first signature. True for the first alone.
    pub async fn note_key_used(&self, key: &KeyId, now: i64) -> Result<bool> {
        let statement = sql("UPDATE ssh_keys SET used_at = $2 WHERE id = $1 AND used_at IS NULL")
            .bind(key)
            .bind(&now);
        self.db.changed(statement).await
    }

    /// Destroys the private half of a user's key and ends its history.
    pub async fn delete_key(&self, user: &UserId, key: &KeyId, now: i64) -> Result<bool> {
        let mut transaction = self.db.begin().await?;
        let statement = sql("UPDATE ssh_keys
             SET deleted_at = $3, retired_at = COALESCE(retired_at, $3), private = NULL
             WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL")
        .bind(user)
        .bind(key)
        .bind(&now);
        if transaction.execute(statement).await? == 0 {
            return Ok(false);
        }
        let history = sql(
            "UPDATE key_history SET valid_until = COALESCE(valid_until, $2)
             WHERE key_id = $1",
        )
        .bind(key)
        .bind(&now);
        transaction.execute(history).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Every key that ever signed for a user, with the addresses it stood for, oldest first.
    /// Addresses are those of its link now, or when the link was removed.
    pub async fn key_history(&self, user: &UserId) -> Result<Vec<PastKey>> {
        let statement = sql(
            "SELECT h.key_id, h.public_key, COALESCE(l.emails, h.emails) AS emails,
                    h.valid_from, h.valid_until
             FROM key_history h
             LEFT JOIN links l ON l.id = h.link_id
             WHERE h.user_id = $1
             ORDER BY h.valid_from, h.key_id",
        )
        .bind(user);
        self.db.all(statement).await
    }

    /// Working keys by algorithm.
    pub async fn count_keys_by_algorithm(&self) -> Result<Vec<AlgorithmCount>> {
        let statement = sql("SELECT algorithm, count(*) AS number FROM ssh_keys
             WHERE deleted_at IS NULL
             GROUP BY algorithm
             ORDER BY algorithm");
        self.db.all(statement).await
    }

    /// Working keys of every provider that has some, in one read.
    pub async fn count_keys_by_provider(&self) -> Result<Vec<ProviderCount>> {
        let statement = sql("SELECT provider_id, count(*) AS number FROM ssh_keys
             WHERE deleted_at IS NULL
             GROUP BY provider_id
             ORDER BY provider_id");
        self.db.all(statement).await
    }

    /// Working keys at a provider.
    pub async fn count_keys_at(&self, provider: &ProviderId) -> Result<i64> {
        let statement = sql("SELECT count(*) AS number FROM ssh_keys
             WHERE provider_id = $1 AND deleted_at IS NULL");
        Ok(self
            .db
            .one::<Number>(statement.bind(provider))
            .await?
            .number)
    }
}

fn insert_key(key: &SshKey) -> [Statement; 2] {
    [
        sql("INSERT INTO ssh_keys
               (id, user_id, provider_id, link_id, algorithm, public_key, blob_hash, fingerprint,
                private, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
        .bind(&key.id)
        .bind(&key.user_id)
        .bind(&key.provider_id)
        .bind(&key.link_id)
        .bind(&key.algorithm)
        .bind(&key.public_key)
        .bind(&key.blob_hash)
        .bind(&key.fingerprint)
        .bind(&key.private)
        .bind(&key.created_at),
        sql(
            "INSERT INTO key_history (key_id, user_id, link_id, public_key, emails, valid_from)
             VALUES ($1, $2, $3, $4, '', $5)",
        )
        .bind(&key.id)
        .bind(&key.user_id)
        .bind(&key.link_id)
        .bind(&key.public_key)
        .bind(&key.created_at),
    ]
}
