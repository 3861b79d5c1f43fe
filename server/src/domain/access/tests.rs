//! A table of cases.
