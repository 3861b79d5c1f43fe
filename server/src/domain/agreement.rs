//! An agreement between a unit's leader and the director or head of department.
