//! The typed ids of rows: text such as `lnk_…`, made by the caller.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub String);

            impl $name {
                /// The id as text.
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl std::fmt::Display for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(&self.0)
                }
            }

            impl From<String> for $name {
                fn from(text: String) -> Self {
                    Self(text)
                }
            }

            impl From<&str> for $name {
                fn from(text: &str) -> Self {
                    Self(text.to_owned())
                }
            }

            impl crate::column::Column for $name {
                fn read(row: &dyn crate::column::Columns, name: &str) -> sqlx::Result<Self> {
                    row.text(name).map(Self)
                }
            }

            impl crate::column::OptionalColumn for $name {
                fn read_optional(
                    row: &dyn crate::column::Columns,
                    name: &str,
                ) -> sqlx::Result<Option<Self>> {
                    Ok(row.text_or_none(name)?.map(Self))
                }
            }

            impl crate::column::ToValue for $name {
                fn to_value(&self) -> crate::column::Value {
                    crate::column::Value::Text(Some(self.0.clone()))
                }
            }

            impl crate::column::ToOptionalValue for $name {
                const NONE: crate::column::Value = crate::column::Value::Text(None);
            }
        )*
    };
}

ids! {
    /// A user, `usr_…`.
    UserId
    /// A browser session, `ses_…`.
    SessionId
    /// An API token, `tok_…`.
    ApiTokenId
    /// A workspace, `wsp_…`.
    WorkspaceId
    /// A device sign-in under way, `dev_…`.
    DeviceId
    /// A provider, `prv_…`.
    ProviderId
    /// A provider being prepared, `drf_…`.
    DraftId
    /// An OAuth dance under way, `att_…`.
    AttemptId
    /// A link, `lnk_…`.
    LinkId
    /// A grant of a link, `grt_…`.
    GrantId
    /// An SSH key, `key_…`.
    KeyId
    /// The placing of a key at its provider, `upl_…`.
    UploadId
    /// Something still to be undone at a provider, `rvk_…`.
    RevocationId
    /// A line of the audit log, `evt_…`.
    EventId
    /// A rule that chooses between links, `rul_…`.
    RuleId
}
