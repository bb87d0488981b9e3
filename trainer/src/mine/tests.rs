//! Mining against the definitions, by brute force.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A pattern or a sequence: elements of ascending items.
type Elements = Vec<Vec<u32>>;

/// Whether `sequence` supports `pattern`, by the definition: try every element for the first, and so on.
fn supports(sequence: &[Vec<u32>], pattern: &[Vec<u32>], max_gap: Option<u32>) -> bool {
    fn rest(
        sequence: &[Vec<u32>],
        from: usize,
        pattern: &[Vec<u32>],
        furthest: usize,
        gap: Option<u32>,
    ) -> bool {
        let Some((element, behind)) = pattern.split_first() else { return true };
        (from..sequence.len().min(furthest)).any(|at| {
            let next_furthest = gap.map_or(usize::MAX, |gap| at + 2 + gap as usize);
            element.iter().all(|item| sequence[at].contains(item))
                && rest(sequence, at + 1, behind, next_furthest, gap)
        })
    }
    rest(sequence, 0, pattern, usize::MAX, max_gap)
}

/// Everything that meets the parameters, by growing patterns in every way and counting in the whole database.
fn brute_force(database: &[Elements], params: &Params) -> BTreeMap<Elements, u32> {
    let min_support = params.threshold(database.len());
    let mut items: Vec<u32> = database.iter().flatten().flatten().copied().collect();
    items.sort_unstable();
    items.dedup();
    let mut frequent: BTreeMap<Elements, u32> = BTreeMap::new();
    let mut grow: Vec<Elements> = vec![vec![]];
    while let Some(pattern) = grow.pop() {
        if pattern.iter().map(Vec::len).sum::<usize>() == params.max_length.unwrap_or(usize::MAX) {
            continue;
        }
        for &item in &items {
            let mut longer = vec![[pattern.clone(), vec![vec![item]]].concat()];
            if pattern.last().and_then(|element| element.last()).is_some_and(|&last| last < item) {
                let mut joined = pattern.clone();
                joined.last_mut().expect("it has an element").push(item);
                longer.push(joined);
            }
            for pattern in longer {
                let support =
                    database.iter().filter(|s| supports(s, &pattern, params.max_gap)).count() as u32;
                if support >= min_support && params.first.is_none_or(|first| pattern[0][0] == first) {
                    frequent.insert(pattern.clone(), support);
                    grow.push(pattern);
                }
            }
        }
    }
    let all = frequent.clone();
    let simple = params.max_gap.is_none() && database.iter().flatten().all(|element| element.len() == 1);
    if simple && params.keep == Keep::Closed {
        frequent.retain(|pattern, _| {
            Some(pattern.len()) != params.max_length || !is_dominated(database, pattern, params)
        });
    }
    let covered = |pattern: &Elements, support: u32| {
        all.iter().any(|(other, &other_support)| {
            other != pattern
                && supports(other, pattern, None)
                && match params.keep {
                    Keep::All => false,
                    Keep::Closed => other_support >= support,
                    Keep::Maximal => true,
                }
        })
    };
    frequent.retain(|pattern, support| !covered(pattern, *support));
    frequent
}

/// Whether some item can be inserted into a pattern so that it still ends at the same place of every
/// sequence.
fn is_dominated(database: &[Elements], pattern: &Elements, params: &Params) -> bool {
    let ends = |pattern: &Elements| -> Vec<Option<usize>> {
        let end =
            |sequence: &Elements| (0..=sequence.len()).find(|&end| supports(&sequence[..end], pattern, None));
        database.iter().map(end).collect()
    };
    let own = ends(pattern);
    let items: std::collections::BTreeSet<u32> = database.iter().flatten().flatten().copied().collect();
    (0..pattern.len()).any(|place| {
        items.iter().any(|&item| {
            let mut longer = pattern.clone();
            longer.insert(place, vec![item]);
            params.first.is_none_or(|first| longer[0][0] == first) && ends(&longer) == own
        })
    })
}

fn database(sequences: &[Elements]) -> Database {
    let mut database = Database::new();
    for (nth, sequence) in sequences.iter().enumerate() {
        if nth % 2 == 0 && sequence.iter().all(|element| element.len() == 1) {
            database.push(sequence.iter().map(|element| element[0]));
        } else {
            database.push_itemsets(sequence.iter().map(|element| &element[..]));
        }
    }
    database
}

fn found(mined: &Mined) -> BTreeMap<Elements, u32> {
    let pairs = mined.patterns.iter().map(|p| (p.elements().map(<[u32]>::to_vec).collect(), p.support()));
    let map: BTreeMap<Elements, u32> = pairs.collect();
    assert_eq!(map.len(), mined.patterns.len(), "a pattern came twice");
    map
}

fn check(sequences: &[Elements], params: &Params) -> Result<(), TestCaseError> {
    let mined = mine(&database(sequences), params).expect("good parameters");
    prop_assert!(mined.complete);
    prop_assert_eq!(found(&mined), brute_force(sequences, params));
    Ok(())
}

fn singles(max_len: usize) -> impl Strategy<Value = Vec<Elements>> {
    let sequence = proptest::collection::vec((0_u32..4).prop_map(|item| vec![item * 1000]), 0..max_len);
    proptest::collection::vec(sequence, 1..7)
}

fn itemsets() -> impl Strategy<Value = Vec<Elements>> {
    let element = proptest::collection::btree_set(1_u32..5, 1..4).prop_map(|set| set.into_iter().collect());
    proptest::collection::vec(proptest::collection::vec(element, 0..4), 1..6)
}

fn params(gaps: bool) -> impl Strategy<Value = Params> {
    let keep = prop_oneof![Just(Keep::All), Just(Keep::Closed), Just(Keep::Maximal)];
    let first = proptest::option::weighted(0.2, prop_oneof![Just(0), Just(1000), Just(1), Just(77)]);
    let gap = proptest::option::weighted(if gaps { 0.8 } else { 0.01 }, 0_u32..3);
    (2_u32..4, keep, gap, proptest::option::weighted(0.3, 1_usize..5), first).prop_map(
        |(support, keep, max_gap, max_length, first)| Params {
            keep,
            max_gap,
            max_length,
            first,
            ..Params::new(Support::Sequences(support))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn single_items(sequences in singles(9), params in params(false)) {
        check(&sequences, &params)?;
    }

    #[test]
    fn single_items_with_gaps(sequences in singles(8), params in params(true)) {
        check(&sequences, &params)?;
    }

    #[test]
    fn sets_of_items(sequences in itemsets(), params in params(true)) {
        check(&sequences, &params)?;
    }

    /// A user who mines on another machine must get the same patterns in the same order.
    #[test]
    fn threads_and_cuts_change_nothing(sequences in singles(9), params in params(true), max in 1_usize..20) {
        let database = database(&sequences);
        let run = |threads: usize, max_patterns: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let params = Params { max_patterns, ..params.clone() };
            pool.install(|| mine(&database, &params)).expect("good parameters")
        };
        let whole = run(1, 1_000_000);
        prop_assert_eq!(&whole.patterns, &run(4, 1_000_000).patterns);
        let mut sorted: Vec<_> = whole.patterns.iter().map(|p| p.items()).collect();
        sorted.sort();
        prop_assert!(sorted.iter().copied().eq(whole.patterns.iter().map(|p| p.items())));
        let (one, four) = (run(1, max), run(4, max));
        prop_assert_eq!(one.complete, four.complete);
        prop_assert_eq!(&one.patterns, &four.patterns);
        prop_assert!(one.patterns.len() <= max);
        if params.keep == Keep::All {
            prop_assert_eq!(one.complete, whole.patterns.len() <= max);
            let wanted = whole.patterns.iter().take(max);
            prop_assert!(one.patterns.iter().eq(wanted));
        }
    }
}

#[test]
fn parameters_are_checked() {
    let error = |params: Params| mine(&Database::new(), &params).expect_err("bad parameters");
    assert_eq!(error(Params::new(Support::Sequences(0))), Error::NoSupport);
    assert_eq!(error(Params::new(Support::Share(0.0))), Error::Share(0.0));
    assert!(matches!(error(Params::new(Support::Share(f64::NAN))), Error::Share(_)));
    assert_eq!(error(Params { max_length: Some(0), ..Params::new(Support::Share(1.0)) }), Error::NoLength);
    assert_eq!(error(Params { max_patterns: 0, ..Params::new(Support::Share(1.0)) }), Error::NoPatterns);
    let supports = ["42", "5%", "0.05", "1.0"].map(str::parse);
    let want = [Support::Sequences(42), Support::Share(0.05), Support::Share(0.05), Support::Share(1.0)];
    assert_eq!(supports, want.map(Ok));
    assert!(["", "x", "-1", "%", "1e3"].iter().all(|text| text.parse::<Support>().is_err()));
    assert_eq!(Params::new(Support::Share(0.2)).threshold(730), 146);
    assert_eq!(Params::new(Support::Share(0.0007)).threshold(59_601), 42);
    assert!(mine(&Database::new(), &Params::new(Support::Share(0.5))).expect("good").patterns.is_empty());
}

/// A caller that polls one address all day: every length is frequent. Neither stack nor memory may give way.
#[test]
fn endless_repetition_is_cut_and_says_so() {
    let mut database = Database::new();
    for _ in 0..3 {
        database.push(std::iter::repeat_n(7, 20_000));
    }
    for max_gap in [None, Some(0)] {
        for keep in [Keep::All, Keep::Closed, Keep::Maximal] {
            let params = Params { max_gap, keep, ..Params::new(Support::Share(1.0)) };
            let mined = mine(&database, &params).expect("good parameters");
            assert!(!mined.complete);
            assert!(mined.patterns.iter().all(|pattern| pattern.support() == 3));
            let longest = mined.patterns.iter().map(|pattern| pattern.items().len()).max();
            assert!(longest > Some(100) && longest <= Some(Params::LONGEST));
        }
    }
}

/// What the model's pattern graphs need: of a way longer than the bound its beginning, not every part of it.
#[test]
fn a_long_way_is_cut_to_its_beginning() {
    let mut database = Database::new();
    (0..3).for_each(|_| database.push(0..40));
    let params = Params { keep: Keep::Closed, max_length: Some(24), ..Params::new(Support::Share(1.0)) };
    let mined = mine(&database, &params).expect("good parameters");
    assert!(mined.complete);
    let way: Vec<u32> = (0..24).collect();
    assert_eq!(mined.patterns.iter().map(|pattern| pattern.items()).collect::<Vec<_>>(), [&way[..]]);
}

/// Item numbers near the end of their range take another way through the tables.
#[test]
fn large_item_numbers() {
    let mut database = Database::new();
    database.push([u32::MAX, 5, u32::MAX - 1]);
    database.push([u32::MAX, u32::MAX - 1]);
    let mined = mine(&database, &Params { keep: Keep::Maximal, ..Params::new(Support::Share(1.0)) });
    let mined = mined.expect("good parameters");
    assert_eq!(mined.patterns.get(0).items(), [u32::MAX, u32::MAX - 1]);
    assert_eq!(mined.patterns.len(), 1);
}
