//! Names of files, and rows that are not as they should be.

use super::super::sink::Problem;
use super::*;

#[test]
fn files_beside_the_main_one_are_known_by_its_name() {
    for (main, alt, comments) in [
        ("sdn.csv", Some("alt.csv"), Some("sdn_comments.csv")),
        ("SDN.CSV", Some("ALT.CSV"), Some("SDN_COMMENTS.CSV")),
        ("sdn_2021-07-07.csv.gz", Some("alt_2021-07-07.csv.gz"), Some("sdn_comments_2021-07-07.csv.gz")),
        ("cons_prim.csv", Some("cons_alt.csv"), Some("cons_comments.csv")),
        ("sdn_comments.csv", None, None),
        ("list.csv", None, None),
    ] {
        assert_eq!(Beside::Alt.name(main).as_deref(), alt);
        assert_eq!(Beside::Comments.name(main).as_deref(), comments);
    }
}

#[test]
fn a_row_that_is_broken_is_rejected_with_its_line_and_reason() {
    let rows = "36,\"AIR, A.\",-0- ,\"CUBA\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- \r\n\
                x7,\"B\",-0- ,\"CUBA\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- \r\n\
                8,-0- ,-0- ,\"CUBA\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- \r\n\
                9,\"SHIP\",\"vessel\",\"IRAN] [SDGT\",-0- ,\"C4\",\"Tanker\",\"9\",-0- ,\"Iran\",\"OWNER\",\"DOB never; IMO\"\r\n\
                10,\"CUT\",\"indiv";
    let mut problems: Vec<String> = Vec::new();
    let mut tell = |problem: &Problem| {
        problems.push(problem.to_string());
        Ok(())
    };
    let mut sink = Sink::new(&mut tell);
    sink.begin("sdn.csv");
    read(&mut Text::of(rows.as_bytes()), &mut sink).expect("rows");
    read_beside(
        Beside::Alt,
        &mut Text::of(b"36,1,\"aka\",\"AIR\",-0- \n7,1,\"aka\",\"X\",-0- \n"),
        &mut sink,
    )
    .expect("rows");
    read_beside(Beside::Add, &mut Text::of(b"36,1,\"1 Way\",\"Havana\",\"Cuba\",-0- \n"), &mut sink)
        .expect("rows");
    read_beside(Beside::Comments, &mut Text::of(b"36,\" and more; Tax ID No. 12345 (Cuba).\"\n"), &mut sink)
        .expect("rows");
    let ship = &sink.entities[1];
    assert_eq!(
        (ship.kind, &ship.programs[..]),
        (EntityKind::Vessel, &["IRAN".to_owned(), "SDGT".to_owned()][..])
    );
    assert_eq!(ship.notes, "vessel type Tanker; tonnage 9; owner OWNER; DOB never; IMO");
    assert_eq!(ship.documents[0].number, "C4");
    let air = &sink.entities[0];
    assert_eq!(air.names.iter().map(|n| n.text.as_str()).collect::<Vec<_>>(), ["AIR, A.", "AIR"]);
    assert_eq!(
        (&air.addresses[..], &air.countries[..]),
        (&["1 Way, Havana, Cuba".to_owned()][..], &["Cuba".to_owned()][..])
    );
    assert_eq!(air.documents[0].number, "12345");
    let counts = sink.counts;
    assert_eq!(
        (counts.rows, counts.entities, counts.rejected, counts.attached, counts.detached),
        (5, 2, 3, 3, 1)
    );
    assert!(sink.warnings[0].contains("end mark"), "{:?}", sink.warnings);
    assert_eq!(
        problems,
        [
            "sdn.csv:2: rejected: id: is no number: \"B\" (id x7)",
            "sdn.csv:3: rejected: name: is empty (id 8)",
            "sdn.csv:4: left out: birth date: is no date that can be understood: \"never\" (id 9)",
            "sdn.csv:5: rejected: row: a quote is opened and not closed in this row: \"10,\\\"CUT\\\",\\\"indiv\"",
            "sdn.csv:2: rejected: id: is of no identity in the main file: \"1\" (id 7)",
        ]
    );
}
