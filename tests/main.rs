//! The whole: the real server, real sockets, a real database.

#![cfg(test)]

mod oidc_judge;
