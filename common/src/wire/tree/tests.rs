//! The same tree always has the same code, another one another, and repetitions count once.

use proptest::prelude::*;

use super::*;

/// A call and its children.
#[derive(Clone, Debug, PartialEq)]
struct Call(u64, Vec<Call>);

fn call(function: u64) -> Call {
    Call(function, Vec::new())
}

/// Trees of up to 40 calls over six functions.
fn trees() -> impl Strategy<Value = Call> {
    let leaf = (1_u64..7).prop_map(call);
    leaf.prop_recursive(5, 40, 5, |inner| {
        (1_u64..7, proptest::collection::vec(inner, 0..5)).prop_map(|(function, calls)| Call(function, calls))
    })
}

fn run(fold: &mut Fold, tree: &Call) -> u32 {
    fold.enter(tree.0);
    tree.1.iter().for_each(|child| assert_ne!(run(fold, child), ROOT));
    fold.leave(RETURNED)
}

fn folded(tree: &Call) -> Box<Fold> {
    let mut fold = Box::new(Fold::new());
    assert_eq!(run(&mut fold, tree), ROOT);
    fold
}

fn code(tree: &Call) -> Code {
    folded(tree).code()
}

/// The definition: repetitions taken out as they come, without any bound.
fn reduced(tree: &Call) -> Call {
    let mut children: Vec<Call> = Vec::new();
    for child in &tree.1 {
        children.push(reduced(child));
        for period in 1..=MAX_PERIOD {
            let len = children.len();
            if len >= 2 * period && children[len - period..] == children[len - 2 * period..len - period] {
                children.truncate(len - period);
                break;
            }
        }
    }
    Call(tree.0, children)
}

fn preorder(tree: &Call, depth: u8, out: &mut Vec<(u64, u8)>) {
    out.push((tree.0, depth));
    tree.1.iter().for_each(|child| preorder(child, depth + 1, out));
}

fn size(tree: &Call) -> usize {
    1 + tree.1.iter().map(size).sum::<usize>()
}

/// The `n`th call in preorder.
fn nth<'a>(tree: &'a mut Call, n: &mut usize) -> Option<&'a mut Call> {
    if *n == 0 {
        return Some(tree);
    }
    *n -= 1;
    tree.1.iter_mut().find_map(|child| nth(child, n))
}

/// Every sequence of up to `longest` of the functions `1..=kinds`.
fn sequences(kinds: u64, longest: usize) -> Vec<Vec<u64>> {
    let mut all = vec![Vec::new()];
    let mut from = 0;
    for _ in 0..longest {
        let to = all.len();
        for at in from..to {
            for kind in 1..=kinds {
                let mut next: Vec<u64> = all[at].clone();
                next.push(kind);
                all.push(next);
            }
        }
        from = to;
    }
    all
}

proptest! {
    #[test]
    fn trees_have_equal_codes_if_they_are_equal_without_repetitions(a in trees(), b in trees()) {
        prop_assert_eq!(reduced(&a) == reduced(&b), code(&a).ordered == code(&b).ordered);
    }

    #[test]
    fn a_tree_has_the_code_and_the_shape_of_what_it_is_without_repetitions(tree in trees()) {
        let fold = folded(&tree);
        let plain = reduced(&tree);
        prop_assert_eq!(fold.code(), code(&plain));
        let mut expected = Vec::new();
        preorder(&plain, 0, &mut expected);
        prop_assert_eq!(fold.nodes().collect::<Vec<_>>(), expected);
        prop_assert_eq!(fold.flags() & (TRUNCATED | SHAPE_CUT), 0);
    }

    #[test]
    fn what_was_folded_before_does_not_matter(first in trees(), second in trees()) {
        let mut fold = folded(&first);
        run(&mut fold, &second);
        prop_assert_eq!(fold.code(), code(&second));
    }

    #[test]
    fn one_other_function_makes_another_code(tree in trees(), which: prop::sample::Index) {
        let plain = reduced(&tree);
        let mut other = plain.clone();
        if let Some(place) = nth(&mut other, &mut which.index(size(&plain))) {
            place.0 += 100;
        }
        let (before, after) = (code(&plain), code(&other));
        prop_assert_ne!(before.ordered, after.ordered);
        prop_assert_ne!(before.unordered, after.unordered);
    }

    #[test]
    fn order_is_in_the_ordered_code_only(calls in proptest::collection::vec(trees(), 1..6), by: u64) {
        let mut shuffled = calls.clone();
        let len = shuffled.len() as u64;
        shuffled.rotate_left((by % len) as usize);
        shuffled.swap(0, (by / len % len) as usize);
        let (one, other) = (Call(1, calls), Call(1, shuffled));
        prop_assert_eq!(code(&one).unordered, code(&other).unordered);
        prop_assert_eq!(reduced(&one) == reduced(&other), code(&one).ordered == code(&other).ordered);
    }

    #[test]
    fn a_call_that_never_returned_is_another_one(tree in trees()) {
        let mut fold = Fold::new();
        fold.enter(9);
        run(&mut fold, &tree);
        prop_assert_eq!(fold.leave(DEAD), ROOT);
        let whole = code(&Call(9, vec![tree]));
        prop_assert_ne!(fold.code().ordered, whole.ordered);
        prop_assert_ne!(fold.code().unordered, whole.unordered);
        prop_assert_eq!(fold.flags() & UNRETURNED, UNRETURNED);
        prop_assert_eq!(fold.nodes().next(), Some((9, NODE_DEAD)));
    }

    #[test]
    fn no_order_of_calls_breaks_the_fold(steps in proptest::collection::vec(0_u64..9, 0..2000)) {
        let mut fold = Fold::new();
        for step in steps {
            match step {
                0..5 => fold.enter(step + 1),
                5..8 => _ = fold.leave(RETURNED),
                _ => _ = fold.leave(DEAD),
            }
            prop_assert!(fold.depth() as usize <= MAX_DEPTH);
        }
    }
}

#[test]
fn loops_have_one_code_from_1_to_10_000_iterations() {
    for body in sequences(4, MAX_PERIOD).into_iter().skip(1) {
        let times = |n: usize| Call(9, body.iter().copied().cycle().take(n * body.len()).map(call).collect());
        let once = code(&times(1));
        for n in [2, 3, 4, 5, 7, 10, 100] {
            assert_eq!(code(&times(n)), once, "{n} times {body:?}");
        }
    }
    for body in [&[1_u64][..], &[1, 2], &[1, 2, 3], &[1, 2, 3, 4], &[1, 2, 2, 1]] {
        let times = |n: usize| Call(9, body.iter().copied().cycle().take(n * body.len()).map(call).collect());
        assert_eq!(code(&times(10_000)), code(&times(1)), "10,000 times {body:?}");
        assert_eq!(folded(&times(10_000)).nodes().len(), folded(&times(1)).nodes().len());
    }
}

#[test]
fn loops_between_other_calls_have_one_code() {
    for body in sequences(3, MAX_PERIOD).into_iter().skip(1) {
        for before in sequences(3, 2) {
            for after in sequences(3, 2) {
                let times = |n: usize| {
                    let looped = body.iter().cycle().take(n * body.len());
                    Call(9, before.iter().chain(looped).chain(&after).copied().map(call).collect())
                };
                // What stands before a loop may look like its beginning: then the first time round counts as well.
                let overlaps = before.iter().chain(&after).any(|call| body.contains(call));
                let few = code(&times(if overlaps { 2 } else { 1 }));
                for n in [2, 3, 4, 9] {
                    assert_eq!(code(&times(n)), few, "{before:?} {n} times {body:?} {after:?}");
                }
            }
        }
    }
}

#[test]
fn recursion_is_told_by_its_depth_up_to_the_bound() {
    let deep = |n: usize| (1..n).fold(call(1), |inner, _| Call(1, vec![inner]));
    let codes: std::collections::HashSet<u64> = (1..=MAX_DEPTH).map(|n| code(&deep(n)).ordered).collect();
    assert_eq!(codes.len(), MAX_DEPTH);
    let too_deep = folded(&deep(200));
    assert_eq!(too_deep.code(), code(&deep(MAX_DEPTH)));
    assert_eq!(too_deep.flags(), TRUNCATED);
}

#[test]
fn too_many_open_calls_with_children_are_marked() {
    let deep = (1..100).fold(Call(1, vec![call(2)]), |inner, _| Call(1, vec![call(2), inner]));
    let fold = folded(&deep);
    assert_eq!(fold.flags() & TRUNCATED, TRUNCATED);
    assert_eq!(fold.code(), code(&deep));
}

#[test]
fn a_shape_that_is_too_large_is_marked_and_its_code_is_whole() {
    let wide = |last: u64| Call(1, (2..400).chain([last]).map(call).collect());
    let fold = folded(&wide(1000));
    assert_eq!(fold.nodes().len(), MAX_NODES);
    assert_eq!(fold.flags(), SHAPE_CUT | WIDE);
    assert_ne!(fold.code().ordered, code(&wide(1001)).ordered);
}

#[test]
fn a_fold_fits_the_memory_that_the_kernel_gives_a_thread() {
    assert!(size_of::<Fold>() <= 15 * 1024 + 512, "{} bytes", size_of::<Fold>());
}

mod places {
    use super::*;

    /// A thread as the kernel sees it: calls at places of a stack.
    #[derive(Default)]
    struct Thread {
        fold: Fold,
        ended: Vec<(Code, u32)>,
    }

    impl Thread {
        fn close(&mut self, how: u32) {
            if self.fold.leave_tracked(how) == ROOT {
                self.ended.push((self.fold.code(), self.fold.flags()));
            }
        }

        fn call(&mut self, function: u64, place: u64, link: u16) {
            let mark = Fold::mark_of(place);
            while self.fold.is_dead(mark) {
                self.close(DEAD);
            }
            while self.fold.is_at(mark) && !self.fold.is_tail_call(function, link) {
                self.close(DEAD);
            }
            self.fold.enter_at(function, mark, link);
        }

        fn ret(&mut self, function: u64, place: u64) {
            let inside = self.fold.ends(function, Fold::mark_of(place));
            (1..inside).for_each(|_| self.close(DEAD));
            if inside > 0 {
                self.close(RETURNED);
            }
        }
    }

    const TOP: u64 = 0x7ffd_0000_1000;
    const TRAMPOLINE: u16 = 0x2000;

    #[test]
    fn a_long_jump_over_calls_ends_them() {
        let mut thread = Thread::default();
        thread.call(1, TOP, 0x11);
        thread.call(2, TOP - 64, 0x22);
        thread.call(3, TOP - 128, 0x33);
        // Out of 3 and 2, back into 1, which calls 4 at the place where 2 was.
        thread.call(4, TOP - 64, 0x44);
        thread.ret(4, TOP - 64);
        thread.ret(1, TOP);
        let mut fold = Fold::new();
        fold.enter(1);
        fold.enter(2);
        fold.enter(3);
        fold.leave(DEAD);
        fold.leave(DEAD);
        fold.enter(4);
        fold.leave(RETURNED);
        fold.leave(RETURNED);
        assert_eq!(thread.ended, [(fold.code(), 0)]);
    }

    #[test]
    fn a_return_ends_what_was_jumped_over() {
        let mut thread = Thread::default();
        thread.call(1, TOP, 0x11);
        thread.call(2, TOP - 64, 0x22);
        thread.ret(1, TOP);
        assert_eq!(thread.fold.depth(), 0);
        assert_eq!(thread.ended.len(), 1);
    }

    #[test]
    fn a_root_that_was_jumped_over_ends_with_the_next_call() {
        let mut thread = Thread::default();
        for _ in 0..3 {
            thread.call(1, TOP, 0x11);
            thread.call(2, TOP - 64, 0x22);
        }
        thread.call(3, TOP + 8, 0x33);
        thread.ret(3, TOP + 8);
        let flags: Vec<u32> = thread.ended.iter().map(|ended| ended.1).collect();
        assert_eq!(flags, [UNRETURNED, UNRETURNED, UNRETURNED, 0]);
        assert!(thread.ended[..3].windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_tail_call_is_inside_its_caller_with_either_kind_of_return_probe() {
        for link in [TRAMPOLINE, 0x11] {
            let mut thread = Thread::default();
            thread.call(1, TOP, 0x11);
            thread.call(2, TOP, link);
            thread.ret(2, TOP);
            thread.ret(1, TOP);
            let mut fold = Fold::new();
            fold.enter(1);
            fold.enter(2);
            fold.leave(RETURNED);
            fold.leave(RETURNED);
            assert_eq!(thread.ended, [(fold.code(), 0)]);
        }
    }

    #[test]
    fn a_return_of_a_call_that_was_never_seen_changes_nothing() {
        let mut thread = Thread::default();
        thread.call(1, TOP, 0x11);
        thread.ret(2, TOP - 64);
        thread.ret(2, TOP);
        thread.ret(2, TOP + 64);
        assert_eq!(thread.fold.depth(), 1);
    }

    proptest! {
        #[test]
        fn no_thread_stays_wrong(steps in proptest::collection::vec((any::<bool>(), 1_u64..4, 0_u64..40), 0..400)) {
            let mut thread = Thread::default();
            for (begins, function, place) in steps {
                match begins {
                    true => thread.call(function, TOP - place * 8, place as u16 + 1),
                    false => thread.ret(function, TOP - place * 8),
                }
            }
            // Whatever happened: a call from further up begins a tree of its own.
            thread.call(5, TOP + 64, 0x55);
            prop_assert_eq!(thread.fold.depth(), 1);
            thread.ret(5, TOP + 64);
            let mut fold = Fold::new();
            fold.enter(5);
            fold.leave(RETURNED);
            prop_assert_eq!(thread.ended.last(), Some(&(fold.code(), 0)));
        }
    }
}
