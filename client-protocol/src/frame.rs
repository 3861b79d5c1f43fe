//! Bytes and messages.
