//! Screening as a whole: what a person who screens names relies on.

use proptest::prelude::*;

use super::{
    BirthDate, Decision, Document, Entity, EntityKind, Field, ListData, Name, NameKind, Policy, Query,
    Script, Source, Watchlist,
};

fn entity(id: &str, names: &[&str]) -> Entity {
    Entity {
        id: id.into(),
        names: names.iter().map(|&name| Name::primary(name)).collect(),
        ..Entity::default()
    }
}

fn list(entities: Vec<Entity>) -> Watchlist {
    let source =
        Source { name: "ours".into(), version: "3".into(), date: "2026-11-22".into(), ..Source::default() };
    Watchlist::new(ListData { sources: vec![source], entities, same: Vec::new() }).unwrap()
}

/// The score of two names, each alone.
fn score(query: &str, listed: &str) -> f64 {
    let hit = list(vec![entity("1", &[listed])]).compare_with(&Query::name(query), 0, &Policy::default());
    hit.map_or(0.0, |hit| hit.score)
}

fn hits(query: &str, listed: &str) -> bool {
    !list(vec![entity("1", &[listed])]).screen(&Query::name(query), &Policy::default()).hits.is_empty()
}

#[test]
fn characters_count_more_than_pinyin_and_pinyin_more_than_another_name_of_that_sound() {
    let (same, pinyin, homophone) =
        (score("卢玉霞", "卢玉霞"), score("Lu Yuxia", "卢玉霞"), score("陆玉霞", "卢玉霞"));
    assert!(same > pinyin && pinyin > homophone, "{same} {pinyin} {homophone}");
    assert_eq!(score("盧玉霞", "卢玉霞"), same);
    assert!(hits("Lu Yuxia", "卢玉霞") && !hits("陆玉霞", "卢玉霞"));
}

#[test]
fn chinese_names_are_found_however_they_are_written() {
    for query in [
        "Shan Xiongxin",
        "XIONGXIN SHAN",
        "SHANXIONGXIN",
        "Shan Xiong-Xin",
        "Shàn Xióngxìn",
        "shan4 xiong2 xin4",
        "单xiongxin",
        "xiongxin单",
        "單雄信",
        "单·雄信先生",
        "Ｓｈａｎ　Ｘｉｏｎｇｘｉｎ",
        "Shan Hsiung-hsin",
        "Mr. Shan Xiongxin",
    ] {
        assert!(hits(query, "单雄信"), "{query}: {}", score(query, "单雄信"));
    }
    for query in ["Shan Xiong", "单雄", "Shan Xiongwei", "Li Xiongxin", "李雄信", "Shan"] {
        assert!(!hits(query, "单雄信"), "{query}: {}", score(query, "单雄信"));
    }
    assert!(hits("单雄信", "SHAN, Xiong Xin"), "and the other way round");
    assert!(hits("Chan Ka Shing", "陈嘉诚") && hits("Tsai Ing-wen", "蔡英文"));
}

#[test]
fn words_may_move_join_part_and_slip() {
    for (query, listed) in [
        ("Hamed Abdallah al Ali", "AL-'ALI, Dr. Hamed Abdullah"),
        ("ALTIKRITI Ahmed Watban Ibrahim", "AL-TIKRITI, Ahmed Watban Ibrahim"),
        ("P. Mendoza, Sergio", "PENA MENDOZA, Sergio"),
        ("Lopez Carlos Antonio", "LOPEZ OSPINA, Carlos Antonio"),
        ("Владимир Путин", "PUTIN, Vladimir Vladimirovich"),
        ("Mikhail Gorbachov", "Михаил Горбачёв"),
        ("Gorbachev, Mijail", "Михаил Горбачёв"),
        ("Acme Trading", "ACME TRADING CO., LTD."),
    ] {
        assert!(hits(query, listed), "{query}: {}", score(query, listed));
    }
    for (query, listed) in [
        ("Mateo Laureano Ruiz", "MATEO LAUREANO, Ignacio"),
        ("Osman Ho", "HO, Chun Ting"),
        ("Sergio", "PENA MENDOZA, Sergio"),
        ("Ivan Petrov", "IVANOV, Petr"),
        ("Bank of Tehran", "BANK OF MOSCOW"),
    ] {
        assert!(!hits(query, listed), "{query}: {}", score(query, listed));
    }
}

#[test]
fn other_fields_raise_and_lower_the_score_and_missing_ones_do_neither() {
    let mut listed = entity("7", &["IVANOV, Sergei"]);
    listed.kind = EntityKind::Person;
    listed.birth_dates = vec!["1961-03-24".parse().unwrap()];
    listed.countries = vec!["Russia".into()];
    listed.documents =
        vec![Document { kind: "Passport".into(), number: "AB 123456".into(), country: String::new() }];
    let watchlist = list(vec![listed]);
    let ask = |change: &dyn Fn(&mut Query)| {
        let mut query = Query::name("Sergey Ivanov");
        change(&mut query);
        watchlist.compare_with(&query, 0, &Policy::default()).unwrap()
    };
    let alone = ask(&|_| ());
    assert_eq!(alone.fields.len(), 1);
    let born = |text: &str| -> Option<BirthDate> { Some(text.parse().unwrap()) };
    assert!(ask(&|query| query.birth_date = born("1961-03-24")).score > alone.score);
    assert!(ask(&|query| query.birth_date = born("1985")).score < 0.8);
    assert!(ask(&|query| query.countries = vec!["RU".into()]).score > alone.score);
    assert!(ask(&|query| query.countries = vec!["Peru".into()]).score < alone.score);
    assert_eq!(ask(&|query| query.documents = vec!["X999999".into()]).score, alone.score);
    assert!(ask(&|query| query.kind = Some(EntityKind::Vessel)).score < alone.score);
    let whole = ask(&|query| query.documents = vec!["ab-123456".into()]);
    assert!(whole.score > alone.score && whole.fields.iter().any(|field| field.field == Field::Document));
    // A document alone finds its holder, whose name has nothing in common.
    let mut query = Query::name("Nobody Else");
    query.documents = vec!["AB123456".into()];
    assert!(watchlist.compare_with(&query, 0, &Policy::default()).unwrap().score < 0.5);
    query.name.clear();
    assert_eq!(watchlist.screen(&query, &Policy::default()).decision, Decision::Block);
}

#[test]
fn the_answer_says_where_every_point_comes_from() {
    let watchlist = list(vec![entity("1", &["PENA MENDOZA, Sergio"]), entity("2", &["卢玉霞"])]);
    let answer = watchlist.screen(&Query::name("Serjio Mendoza"), &Policy::default());
    let hit = &answer.hits[0];
    let field = &hit.fields[0];
    let shares: f64 = field.tokens.iter().map(|token| token.weight).sum();
    let points: f64 = field.tokens.iter().map(|token| token.weight * token.score).sum();
    assert!((shares - 1.0).abs() < 1e-9 && (points - field.score).abs() < 0.02, "{field:?}");
    assert!(field.reason.contains("not in the query"), "{}", field.reason);
    assert_eq!((answer.lists[0].version.as_str(), answer.lists[0].date.as_str()), ("3", "2026-11-22"));
    let answer = watchlist.screen(&Query::name("LU YUXIA"), &Policy::default());
    let forms = &answer.hits[0].fields[0].forms;
    assert_eq!((forms[0].script, forms[0].listed.as_str()), (Script::Pinyin, "lu yuxia"));
    assert_eq!((forms[1].script, forms[1].listed.as_str()), (Script::Han, "卢玉霞"));
    assert_eq!((forms[2].script, forms[2].query.as_str()), (Script::Latin, "lu yuxia"));
}

#[test]
fn weak_names_never_block_alone_and_the_best_name_counts() {
    let mut listed = entity("1", &["IVANOV, Sergei Borisovich"]);
    listed.names.push(Name::new("Old Wolf", NameKind::Weak));
    let watchlist = list(vec![listed]);
    let weak = watchlist.screen(&Query::name("Old Wolf"), &Policy::default());
    assert_eq!((weak.decision, weak.hits[0].fields[0].field), (Decision::Review, Field::Alias));
    let primary = watchlist.screen(&Query::name("Sergei Borisovich Ivanov"), &Policy::default());
    assert_eq!((primary.decision, primary.hits[0].fields[0].field), (Decision::Block, Field::Name));
}

#[test]
fn hits_beyond_the_most_are_counted_and_the_order_is_always_the_same() {
    let watchlist = list((0..50).map(|at| entity(&at.to_string(), &["Ivan Ivanov"])).collect());
    let policy = Policy { max_hits: 7, ..Policy::default() };
    let answer = watchlist.screen(&Query::name("Ivan Ivanov"), &policy);
    assert_eq!((answer.hits.len(), answer.more), (7, 43));
    assert!(answer.hits.iter().enumerate().all(|(at, hit)| hit.entity == at as u32));
}

#[test]
fn the_decision_does_not_rest_on_how_many_hits_are_named() {
    let watchlist = list(vec![entity("1", &["Ivan Ivanov"])]);
    let policy = Policy { max_hits: 0, ..Policy::default() };
    let answer = watchlist.screen(&Query::name("Ivan Ivanov"), &policy);
    assert_eq!((answer.decision, answer.hits.len(), answer.more), (Decision::Block, 0, 1));
}

#[test]
fn a_large_group_of_equals_costs_each_member_its_place_only() {
    let entities: Vec<Entity> = (0..200_u32).map(|at| entity(&at.to_string(), &["Ivan Ivanov"])).collect();
    let data = ListData {
        sources: vec![Source { name: "ours".into(), ..Source::default() }],
        entities,
        same: vec![(0..150).collect(), vec![3, 199]],
    };
    let watchlist = Watchlist::new(data).unwrap();
    let same = |at| {
        let hit = watchlist.compare_with(&Query::name("Ivan Ivanov"), at, &Policy::default());
        hit.map(|hit| hit.same).unwrap_or_default()
    };
    assert_eq!(same(199), [3]);
    assert!(same(160).is_empty());
    assert!(same(3).len() == 100 && !same(3).contains(&3), "{:?}", same(3));
}

/// A filler letter counts as a letter, and nothing is left of it once names are compared.
#[test]
fn a_name_that_comes_to_nothing_borrows_no_other() {
    let document = |number: &str| vec![Document { number: number.into(), ..Document::default() }];
    let blank = |id| Entity { documents: document(id), ..entity(id, &["\u{3164}"]) };
    let watchlist = list(vec![blank("A1234567"), entity("2", &["Anna Nowak"]), blank("B1234567")]);
    for id in ["A1234567", "B1234567"] {
        let query = Query { documents: vec![id.into()], ..Query::name("Anna Nowak") };
        let policy = Policy { review: 0.1, ..Policy::default() };
        let answer = watchlist.screen(&query, &policy);
        let hit = answer.hits.iter().find(|hit| hit.id == id).unwrap();
        assert!(hit.fields.iter().all(|field| field.field == Field::Document), "{hit:?}");
    }
}

#[test]
fn hostile_queries_get_a_clear_answer() {
    let watchlist = list(vec![entity("1", &["Ivan Ivanov"]), entity("2", &["程英晓"])]);
    for query in [
        "a".repeat(1_000_000),
        "ivan ".repeat(200_000),
        "程".repeat(300_000),
        format!("Ivan{} Ivanov", "\u{301}".repeat(100_000)),
        "ا".repeat(100_000),
    ] {
        let answer = watchlist.screen(&Query::name(query), &Policy::default());
        assert!(answer.notes.iter().any(|note| note.contains("only its beginning")), "{:?}", answer.notes);
    }
    let empty = watchlist.screen(&Query::name("\u{202e}\u{0} .-"), &Policy::default());
    assert!(empty.hits.is_empty() && empty.notes[0].contains("no letters"));
    assert!(hits("Iv\u{200b}an \u{202e}Ivanov", "Ivan Ivanov"));
}

proptest! {
    #[test]
    fn any_two_names_compare_within_bounds_and_the_same_every_time(query in "\\PC{0,40}", listed in "\\PC{0,40}x") {
        let watchlist = list(vec![entity("1", &[&listed])]);
        let asked = Query::name(&query);
        let answer = watchlist.screen(&asked, &Policy::default());
        prop_assert_eq!(&answer, &watchlist.screen(&asked, &Policy::default()));
        if let Some(hit) = watchlist.compare_with(&asked, 0, &Policy::default()) {
            prop_assert!((0.0..=1.0 + 1e-9).contains(&hit.score));
        }
    }

    #[test]
    fn a_listed_name_finds_itself(name in "[A-Z][a-z]{2,9} [A-Z][a-z]{2,9}|[王李张刘陈杨][伟芳秀敏静丽强磊军洋]{1,2}|[А-Я][а-я]{2,8}|[ب-غ]{3,8}") {
        let watchlist = list(vec![entity("1", &["Somebody Else"]), entity("2", &[&name])]);
        let answer = watchlist.screen(&Query::name(&name), &Policy::default());
        prop_assert!(answer.hits.iter().any(|hit| hit.id == "2" && hit.score > 0.85), "{:?}", answer);
    }
}
