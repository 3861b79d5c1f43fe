//! Samspil.
