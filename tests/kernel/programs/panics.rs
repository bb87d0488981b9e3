//! Calls that panic every other time, and are caught two calls up.

use std::hint::black_box;
use std::panic::{catch_unwind, set_hook};

#[inline(never)]
fn f_risky(n: u64) -> u64 {
    if n % 2 == 1 {
        panic!("odd");
    }
    black_box(n * 3)
}

#[inline(never)]
fn f_middle(n: u64) -> u64 {
    black_box(f_risky(n)) + 1
}

#[inline(never)]
fn f_outer(n: u64) -> bool {
    catch_unwind(|| f_middle(n)).is_err()
}

fn main() {
    set_hook(Box::new(|_| {}));
    let caught = (0..200).filter(|n| black_box(f_outer(*n))).count();
    println!("{caught}");
}
