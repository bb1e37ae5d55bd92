//! How a Rust value stands in a column: the only places where text or number becomes a type.

use secrets::{Sealed, TokenHash};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

/// A value to bind; NULL keeps the type of its column, which PostgreSQL wants to know.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
}

/// The columns of a row of either database.
pub(crate) trait Columns {
    fn text(&self, name: &str) -> sqlx::Result<String>;
    fn text_or_none(&self, name: &str) -> sqlx::Result<Option<String>>;
    fn number(&self, name: &str) -> sqlx::Result<i64>;
    fn number_or_none(&self, name: &str) -> sqlx::Result<Option<i64>>;
}

macro_rules! columns {
    ($($row:ty)*) => {
        $(impl Columns for $row {
            fn text(&self, name: &str) -> sqlx::Result<String> {
                self.try_get(name)
            }

            fn text_or_none(&self, name: &str) -> sqlx::Result<Option<String>> {
                self.try_get(name)
            }

            fn number(&self, name: &str) -> sqlx::Result<i64> {
                self.try_get(name)
            }

            fn number_or_none(&self, name: &str) -> sqlx::Result<Option<i64>> {
                self.try_get(name)
            }
        })*
    };
}

columns! { SqliteRow PgRow }

/// A type that can be read from one column.
pub(crate) trait Column: Sized {
    fn read(row: &dyn Columns, name: &str) -> sqlx::Result<Self>;
}

/// A type that can be read from a column that may be NULL.
pub(crate) trait OptionalColumn: Sized {
    fn read_optional(row: &dyn Columns, name: &str) -> sqlx::Result<Option<Self>>;
}

impl<T: OptionalColumn> Column for Option<T> {
    fn read(row: &dyn Columns, name: &str) -> sqlx::Result<Self> {
        T::read_optional(row, name)
    }
}

/// A type that can be bound to a statement.
pub(crate) trait ToValue {
    fn to_value(&self) -> Value;
}

/// A type that can be bound as NULL when it is absent.
pub(crate) trait ToOptionalValue: ToValue {
    const NONE: Value;
}

impl<T: ToOptionalValue> ToValue for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(T::NONE, ToValue::to_value)
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value {
        (**self).to_value()
    }
}

impl<T: ToOptionalValue + ?Sized> ToOptionalValue for &T {
    const NONE: Value = T::NONE;
}

impl ToValue for str {
    fn to_value(&self) -> Value {
        Value::Text(Some(self.to_owned()))
    }
}

impl ToOptionalValue for str {
    const NONE: Value = Value::Text(None);
}

/// Hashes of bearer tokens are written and looked for, never read back.
impl ToValue for TokenHash {
    fn to_value(&self) -> Value {
        Value::Text(Some(self.as_str().to_owned()))
    }
}

impl ToOptionalValue for TokenHash {
    const NONE: Value = Value::Text(None);
}

impl Column for i64 {
    fn read(row: &dyn Columns, name: &str) -> sqlx::Result<Self> {
        row.number(name)
    }
}

impl OptionalColumn for i64 {
    fn read_optional(row: &dyn Columns, name: &str) -> sqlx::Result<Option<Self>> {
        row.number_or_none(name)
    }
}

impl ToValue for i64 {
    fn to_value(&self) -> Value {
        Value::Number(Some(*self))
    }
}

impl ToOptionalValue for i64 {
    const NONE: Value = Value::Number(None);
}

/// Columns that hold one text and are built from it without a check.
macro_rules! text_columns {
    ($($type:ty: $read:expr, $write:expr;)*) => {
        $(
            impl crate::column::Column for $type {
                fn read(row: &dyn crate::column::Columns, name: &str) -> sqlx::Result<Self> {
                    row.text(name).map($read)
                }
            }

            impl crate::column::OptionalColumn for $type {
                fn read_optional(
                    row: &dyn crate::column::Columns,
                    name: &str,
                ) -> sqlx::Result<Option<Self>> {
                    Ok(row.text_or_none(name)?.map($read))
                }
            }

            impl crate::column::ToValue for $type {
                fn to_value(&self) -> crate::column::Value {
                    let write: fn(&$type) -> String = $write;
                    crate::column::Value::Text(Some(write(self)))
                }
            }

            impl crate::column::ToOptionalValue for $type {
                const NONE: crate::column::Value = crate::column::Value::Text(None);
            }
        )*
    };
}

pub(crate) use text_columns;

text_columns! {
    String: std::convert::identity, String::clone;
    Sealed: Sealed::from_text, |sealed| sealed.as_str().to_owned();
    Vec<String>: |text: String| text.lines().map(str::to_owned).collect(), |lines| lines.join("\n");
}

/// Defines an enum that stands in a column as one of a few words.
macro_rules! words {
    (
        $(#[$doc:meta])*
        pub enum $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$word_doc])* $word,)* }

        impl $name {
            /// Every value, in the order of its definition.
            pub const ALL: &[Self] = &[$(Self::$word,)*];

            /// The word in the database, in URLs and in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)*
                }
            }

            /// The value of a word, where there is one.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl crate::column::Column for $name {
            fn read(row: &dyn crate::column::Columns, name: &str) -> sqlx::Result<Self> {
                let word = row.text(name)?;
                Self::from_word(&word).ok_or_else(|| crate::column::unknown_word(name, &word))
            }
        }

        impl crate::column::ToValue for $name {
            fn to_value(&self) -> crate::column::Value {
                crate::column::Value::Text(Some(self.as_str().to_owned()))
            }
        }

        impl crate::column::ToOptionalValue for $name {
            const NONE: crate::column::Value = crate::column::Value::Text(None);
        }
    };
}
pub(crate) use words;

/// The error of a column that holds none of its words.
pub(crate) fn unknown_word(column: &str, word: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: format!("{word:?} is not a word of this column").into(),
    }
}

/// Defines the struct of a row: every field is the column of its name.
macro_rules! row {
    (
        $(#[$doc:meta])*
        $vis:vis struct $name:ident { $($(#[$field_doc:meta])* $field_vis:vis $field:ident: $type:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        $vis struct $name { $($(#[$field_doc])* $field_vis $field: $type,)* }

        impl crate::column::FromColumns for $name {
            fn from_columns(
                row: &dyn crate::column::Columns,
                prefix: &str,
            ) -> sqlx::Result<Self> {
                Ok(Self {
                    $($field: crate::column::read(row, prefix, stringify!($field))?,)*
                })
            }
        }
    };
}
pub(crate) use row;

/// A type that can be read from the columns of a row whose names start with `prefix`.
pub(crate) trait FromColumns: Sized {
    fn from_columns(row: &dyn Columns, prefix: &str) -> sqlx::Result<Self>;
}

/// Reads the column `prefix` + `name`.
pub(crate) fn read<T: Column>(row: &dyn Columns, prefix: &str, name: &str) -> sqlx::Result<T> {
    if prefix.is_empty() {
        return T::read(row, name);
    }
    T::read(row, &format!("{prefix}{name}"))
}
