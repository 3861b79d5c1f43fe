//! Short plays.
