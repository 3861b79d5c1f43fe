//! Ids are types, so that a person's can never stand where a document's belongs.

use std::fmt;

use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// A person in the organisation.
    PersonId,
    /// A node of the organisation.
    OrgId,
    /// A sign-in.
    SessionId,
    /// A version of a governance document: the live id.
    DocumentId,
    /// A unit and a period; its versions are documents.
    AgreementId,
}

/// The namespace in which readable ids of imported data become UUIDs (version 5).
pub const IMPORT_NAMESPACE: Uuid = Uuid::from_u128(0x7a0d_9c3e_51c4_4f0b_9f5e_2a6c_8e1d_4b70);

/// The UUID of something that was imported under a readable id.
#[must_use]
pub fn imported(slug: &str) -> Uuid {
    Uuid::new_v5(&IMPORT_NAMESPACE, slug.as_bytes())
}
