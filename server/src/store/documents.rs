//! Documents: who may do what with them, their log and their snapshots.
