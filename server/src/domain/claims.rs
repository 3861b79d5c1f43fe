//! What a token says somebody may be. Providers put roles in different places and shapes (domain part B4); a table for each
//! provider says where to look and what the values mean. Absent is not empty: a provider that left the roles out because they
//! were too many has not said that there are none. Where somebody may be it is not decided here, but in our organisation data.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Map, Value};

use super::principal::Role;

/// The claims of a token.
pub type Claims = Map<String, Value>;

/// How far the provider's clock may be from ours.
pub const CLOCK_SKEW: Duration = Duration::seconds(60);

/// Where one provider keeps the roles, and what its names for them mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleMapping {
    claim: Vec<String>,
    strip_prefix: String,
    values: BTreeMap<String, Vec<Role>>,
    cvr: Option<String>,
}

/// The table names a role that we do not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is mapped to {role:?}, which is not a role")]
pub struct UnknownRole {
    /// The provider's value.
    pub value: String,
    /// The role id that is not one.
    pub role: String,
}

/// Why somebody who proved who they are is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The provider says that there are roles, but not which ones; or they are in a shape we do not know.
    #[error("the roles are not in the token, or cannot be read")]
    RolesUnreadable,
    /// The token has the claim, and nothing in it gives a role here.
    #[error("none of the roles in the token gives one here")]
    NoRole,
    /// The token does not have the claim at all. Somebody without roles looks like this at some providers; so does a provider that
    /// was not told to send them (AD FS: scope `allatclaims` and a matching resource).
    #[error("the token does not have the claim that holds the roles")]
    NoClaim,
    /// The rights were given by another authority.
    #[error("the rights belong to another authority's CVR number")]
    WrongMunicipality,
}

impl RoleMapping {
    /// Roles are in `claim` (a dot steps into an object) and are called what `values` says.
    pub fn new(claim: &str, values: impl IntoIterator<Item = (String, Vec<String>)>) -> Result<Self, UnknownRole> {
        let values = values.into_iter().map(|(value, roles)| {
            let known = roles.into_iter().map(|role| Role::from_id(&role).ok_or_else(|| UnknownRole { value: value.clone(), role }));
            Ok((value.clone(), known.collect::<Result<_, _>>()?))
        });
        Ok(Self {
            claim: claim.split('.').map(str::to_owned).collect(),
            strip_prefix: String::new(),
            values: values.collect::<Result<_, _>>()?,
            cvr: None,
        })
    }

    /// Roles are in `claim` and are called what we call them, as the demo provider does.
    #[must_use]
    pub fn own_names(claim: &str) -> Self {
        let values = Role::all().map(|role| (role.id().to_owned(), vec![role])).collect();
        Self { claim: claim.split('.').map(str::to_owned).collect(), strip_prefix: String::new(), values, cvr: None }
    }

    /// Values start with this, and the table is written without it.
    #[must_use]
    pub fn strip_prefix(self, prefix: &str) -> Self {
        Self { strip_prefix: prefix.to_owned(), ..self }
    }

    /// Rights given under another CVR number are another authority's. Without it, values in privilege form give nothing.
    #[must_use]
    pub fn for_cvr(self, cvr: &str) -> Self {
        Self { cvr: Some(cvr.to_owned()), ..self }
    }

    /// The roles that these claims give; never an empty set.
    pub fn roles(&self, claims: &Claims) -> Result<BTreeSet<Role>, Denied> {
        if let (Some(ours), Some(theirs)) = (&self.cvr, claims.get("cvr"))
            && theirs.as_str() != Some(ours)
        {
            return Err(Denied::WrongMunicipality);
        }
        let Some(claim) = self.find(claims) else {
            return Err(if says_too_many(claims) { Denied::RolesUnreadable } else { Denied::NoClaim });
        };
        let mut names = BTreeSet::new();
        let mut foreign = false;
        for value in strings(claim)? {
            match Privilege::read(value) {
                None => _ = names.insert(value.to_owned()),
                // Whose right it is cannot be told when we have not been told who we are.
                Some(_) if self.cvr.is_none() => return Err(Denied::RolesUnreadable),
                Some(privilege) if privilege.cvr == self.cvr => names.extend(privilege.names),
                Some(_) => foreign = true,
            }
        }
        let roles: BTreeSet<_> =
            names.iter().filter_map(|name| self.values.get(name.strip_prefix(&self.strip_prefix)?)).flatten().collect();
        match (roles.is_empty(), foreign) {
            (false, _) => Ok(roles.into_iter().copied().collect()),
            (true, true) => Err(Denied::WrongMunicipality),
            (true, false) => Err(Denied::NoRole),
        }
    }

    /// The claim, down the dots. A claim whose own name has dots (a URL) is found, too.
    fn find<'a>(&self, claims: &'a Claims) -> Option<&'a Value> {
        let (first, rest) = self.claim.split_first()?;
        let nested = claims.get(first).and_then(|value| rest.iter().try_fold(value, |value, key| value.get(key)));
        nested.or_else(|| claims.get(&self.claim.join("."))).filter(|value| !value.is_null())
    }
}

/// Entra ID leaves groups out when there are more than 200 of them and says so in one of these ways.
fn says_too_many(claims: &Claims) -> bool {
    let names = claims.get("_claim_names").and_then(Value::as_object).is_some_and(|names| !names.is_empty());
    let has_groups = claims.get("hasgroups").is_some_and(|value| value == &Value::Bool(true) || value == "true");
    names || has_groups
}

/// One value comes as a string from some providers (AD FS), several as an array.
fn strings(claim: &Value) -> Result<Vec<&str>, Denied> {
    match claim {
        Value::String(value) => Ok(vec![value]),
        Value::Array(values) => values.iter().map(|value| value.as_str().ok_or(Denied::RolesUnreadable)).collect(),
        _ => Err(Denied::RolesUnreadable),
    }
}

/// A right from *Fælleskommunal Adgangsstyring*, as brokers pass it on: JSON, plain or in base64.
struct Privilege {
    cvr: Option<String>,
    names: Vec<String>,
}

impl Privilege {
    fn read(value: &str) -> Option<Self> {
        let json = if value.trim_start().starts_with('{') { value.as_bytes().to_vec() } else { BASE64_STANDARD.decode(value).ok()? };
        let Ok(Value::Object(privilege)) = serde_json::from_slice(&json) else { return None };
        let names = privilege.get("p")?.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Some(Self { cvr: privilege.get("cvr").and_then(Value::as_str).map(str::to_owned), names })
    }
}

/// What must be in a token for it to prove a fresh and strong enough sign-in. Asking is not checking: providers answer with less
/// than they were asked for (domain part B6), so this is checked on every answer and fails closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepUp {
    /// The claim (`acrs`) has this value, alone or among others.
    Contains {
        /// Which claim.
        claim: String,
        /// The value.
        value: String,
    },
    /// The claim (`acr`) is exactly this.
    Equals {
        /// Which claim.
        claim: String,
        /// The value.
        value: String,
    },
    /// The claim (`auth_time`) is at most so long ago.
    MaxAge {
        /// Which claim.
        claim: String,
        /// How long ago at most.
        age: Duration,
    },
    /// The claim (`loa`) is this NSIS level or a higher one.
    AtLeast {
        /// Which claim.
        claim: String,
        /// The level.
        level: Assurance,
    },
}

/// NSIS levels, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assurance {
    /// *Lav.*
    Low,
    /// *Betydelig.*
    Substantial,
    /// *Høj.*
    High,
}

impl Assurance {
    /// As attributes name it, in NSIS words or as the older NIST number.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "Low" | "2" => Some(Self::Low),
            "Substantial" | "3" => Some(Self::Substantial),
            "High" | "4" => Some(Self::High),
            _ => None,
        }
    }
}

impl StepUp {
    /// Do these claims prove it now?
    #[must_use]
    pub fn satisfied(&self, claims: &Claims, now: DateTime<Utc>) -> bool {
        match self {
            Self::Contains { claim, value } => match claims.get(claim) {
                Some(Value::String(only)) => only == value,
                Some(Value::Array(values)) => values.iter().any(|one| one.as_str() == Some(value)),
                _ => false,
            },
            Self::Equals { claim, value } => claims.get(claim).and_then(Value::as_str) == Some(value),
            Self::MaxAge { claim, age } => {
                claims.get(claim).and_then(moment).is_some_and(|at| now - at <= *age + CLOCK_SKEW && at - now <= CLOCK_SKEW)
            }
            Self::AtLeast { claim, level } => {
                claims.get(claim).and_then(Value::as_str).and_then(Assurance::from_name).is_some_and(|proved| proved >= *level)
            }
        }
    }
}

/// Seconds since 1970, as a number or (AD FS) in digits; or a moment written out.
fn moment(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::Number(seconds) => DateTime::from_timestamp(seconds.as_i64()?, 0),
        Value::String(text) => match text.parse() {
            Ok(seconds) => DateTime::from_timestamp(seconds, 0),
            Err(_) => DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
