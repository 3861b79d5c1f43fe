//! Sign-ins behind cookies.
