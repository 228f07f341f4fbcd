//! The yagura command line.
