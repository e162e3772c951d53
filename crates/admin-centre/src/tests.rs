//! The centre asked as a browser asks it.
