//! The child that keeps every core busy ends with its parent, and at its deadline.

use std::process::{Child, Command, Stdio};

fn spin(seconds: u64) -> Child {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["spin", "--seconds", &seconds.to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_spinning_child_ends_when_its_input_closes() {
    let mut child = spin(3_600);
    assert!(child.try_wait().unwrap().is_none(), "it spins while its input is open");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_spinning_child_ends_at_its_deadline() {
    let mut child = spin(0);
    // `Child::wait` closes the input first: it is kept open here.
    let input = child.stdin.take();
    assert!(child.wait().unwrap().success());
    drop(input);
}
