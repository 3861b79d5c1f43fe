//! Who is asking. A sign-in at the identity provider becomes a row in our own session table behind a cookie; every request and
//! every socket is answered from that row, so that signing out anywhere ends it everywhere.

pub mod demo_idp;
pub mod oidc;
pub mod session;
pub mod sign_in;
pub mod step_up;

pub use session::{SessionExpiry, Sessions, SignedIn};
pub use sign_in::SignIns;
pub use step_up::StepUps;
