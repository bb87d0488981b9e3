//! Names of both sides: hostile listed names and hostile queries, compared with everything on the list.
#![no_main]

use gait_common::identity::{Entity, ListData, Name, Policy, Query, Source, Watchlist};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (listed, query) = text.split_once('\n').unwrap_or((text, text));
    let entity =
        |text: &str| Entity { id: "1".into(), names: vec![Name::primary(text)], ..Entity::default() };
    let names = [listed, "程英晓", "AL-'ALI, Dr. Hamed 'Abdallah", "Анатолий Щёлоков", "محمد علي"];
    let list = ListData {
        sources: vec![Source { name: "fuzzed".into(), ..Source::default() }],
        entities: names.map(entity).to_vec(),
        ..ListData::default()
    };
    let Ok(watchlist) = Watchlist::new(list) else { return };
    let (asked, policy) = (Query::name(query), Policy::default());
    let answer = watchlist.screen(&asked, &policy);
    assert_eq!(answer, watchlist.screen(&asked, &policy));
    for place in 0..5 {
        let Some(hit) = watchlist.compare_with(&asked, place, &policy) else { continue };
        assert!((0.0..=1.0 + 1e-9).contains(&hit.score), "{}", hit.score);
        let shares: f64 = hit.fields.iter().map(|field| field.weight).sum();
        assert!((shares - 1.0).abs() < 1e-9);
    }
});
