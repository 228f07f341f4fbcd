//! The `yagura` command.

fn main() {}
