//! A list file, and the use of whatever is accepted. Mutations reach every section.
#![no_main]

use gait_common::identity::{Policy, Query, Watchlist, file};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|bytes: &[u8]| {
    let Ok(list) = file::read(bytes) else { return };
    let written = file::write(&list).expect("what was read can be written");
    assert_eq!(file::read(&written).expect("what was written can be read"), list);
    let names: Vec<String> =
        list.data.entities.iter().take(4).map(|entity| entity.title().to_owned()).collect();
    let Ok(watchlist) = Watchlist::new(list.data) else { return };
    for name in names {
        let answer = watchlist.screen(&Query::name(name), &Policy::default());
        assert!(answer.hits.iter().all(|hit| hit.score.is_finite()));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    gait_fuzz::frame::mutate(data, size, max_size, seed, gait_fuzz::LIST)
});
