//! Whole sources of every format, hostile files, updates and differences.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use gait_common::identity::file::{ListFile, Part};
use gait_common::identity::{Entity, EntityKind, NameKind};
use tempfile::TempDir;

use super::diff::{DiffCounts, diff};
use super::input::Limits;
use super::list::{UpdateOptions, build, update};
use super::sink::Problem;
use super::source::{Loaded, Options, load_all};
use super::spec;

/// A directory of files, and what was said of their rows.
struct House {
    directory: TempDir,
    problems: Vec<String>,
}

impl House {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let directory = tempfile::tempdir().expect("directory");
        for (name, bytes) in files {
            fs::write(directory.path().join(name), bytes).expect("file");
        }
        Self { directory, problems: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn load_with(&mut self, source: &str, options: &Options) -> Result<Loaded> {
        let specs = spec::parse(&self.path(source).display().to_string())?;
        let directory = format!("{}/", self.directory.path().display());
        let problems = &mut self.problems;
        let mut tell = |problem: &Problem| {
            problems.push(problem.to_string().replace(&directory, ""));
            Ok(())
        };
        let mut loaded = load_all(&specs, options, &mut tell)?;
        assert_eq!(loaded.len(), 1);
        Ok(loaded.remove(0))
    }

    fn load(&mut self, source: &str) -> Loaded {
        self.load_with(source, &Options::default()).expect(source)
    }

    fn refused(&mut self, source: &str, reason: &str) {
        let error = format!("{:#}", self.load_with(source, &Options::default()).expect_err(reason));
        assert!(error.contains(reason), "{error}");
    }
}

/// What screening needs of an entity, on a few lines.
fn shown(entity: &Entity) -> String {
    let names: Vec<String> =
        entity.names.iter().map(|name| format!("{:?} {}", name.kind, name.text)).collect();
    let dates: Vec<String> = entity.birth_dates.iter().map(ToString::to_string).collect();
    let documents: Vec<String> =
        entity.documents.iter().map(|d| format!("{} {} {}", d.kind, d.number, d.country)).collect();
    format!(
        "{} {:?} | {} | {} | {} | {} | {} | {}",
        entity.id,
        entity.kind,
        names.join(", "),
        dates.join(", "),
        entity.countries.join(", "),
        documents.join(", "),
        entity.addresses.join(" / "),
        entity.programs.join(", ")
    )
}

const UN: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<CONSOLIDATED_LIST dateGenerated="2026-02-27T00:00:09.554Z">
  <INDIVIDUALS><INDIVIDUAL>
    <DATAID>1</DATAID><FIRST_NAME>IVAN</FIRST_NAME><SECOND_NAME>IVANOV</SECOND_NAME><UN_LIST_TYPE>DRC</UN_LIST_TYPE>
    <REFERENCE_NUMBER>CDi.001</REFERENCE_NUMBER><NAME_ORIGINAL_SCRIPT>Иван Иванов</NAME_ORIGINAL_SCRIPT>
    <NATIONALITY><VALUE>Rwanda</VALUE></NATIONALITY>
    <INDIVIDUAL_ALIAS><QUALITY>Low</QUALITY><ALIAS_NAME>Vanya</ALIAS_NAME></INDIVIDUAL_ALIAS>
    <INDIVIDUAL_ALIAS><QUALITY>Good</QUALITY><ALIAS_NAME>Ivan I. Ivanov</ALIAS_NAME></INDIVIDUAL_ALIAS>
    <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>BETWEEN</TYPE_OF_DATE><FROM_YEAR>1960</FROM_YEAR><TO_YEAR>1962</TO_YEAR></INDIVIDUAL_DATE_OF_BIRTH>
    <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>APPROXIMATELY</TYPE_OF_DATE><YEAR>1961</YEAR></INDIVIDUAL_DATE_OF_BIRTH>
    <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>EXACT</TYPE_OF_DATE><DATE>1961-03-24</DATE></INDIVIDUAL_DATE_OF_BIRTH>
    <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>EXACT</TYPE_OF_DATE><DATE>1402-06-24</DATE></INDIVIDUAL_DATE_OF_BIRTH>
    <INDIVIDUAL_DOCUMENT><TYPE_OF_DOCUMENT>Passport</TYPE_OF_DOCUMENT><NUMBER>AB 1</NUMBER><ISSUING_COUNTRY>Rwanda</ISSUING_COUNTRY></INDIVIDUAL_DOCUMENT>
    <INDIVIDUAL_ADDRESS><STREET>1 Way</STREET><CITY>Goma</CITY><COUNTRY>Congo</COUNTRY></INDIVIDUAL_ADDRESS>
  </INDIVIDUAL></INDIVIDUALS>
  <ENTITIES><ENTITY><DATAID>2</DATAID><FIRST_NAME>A &amp; B TRADING</FIRST_NAME><REFERENCE_NUMBER>CDe.001</REFERENCE_NUMBER></ENTITY>
  <ENTITY><DATAID>3</DATAID><FIRST_NAME/><REFERENCE_NUMBER>CDe.002</REFERENCE_NUMBER></ENTITY></ENTITIES>
</CONSOLIDATED_LIST>"#;

#[test]
fn the_list_of_the_un() {
    let mut house = House::new(&[("un.xml", UN.as_bytes())]);
    let options = Options { max_rejected: 0.5, ..Options::default() };
    let loaded = house.load_with("un.xml", &options).expect("a list");
    assert_eq!(loaded.source.name, "un-sc");
    assert_eq!(
        (loaded.source.date.as_str(), loaded.source.version.as_str()),
        ("2026-02-27", "2026-02-27T00:00:09.554Z")
    );
    assert_eq!(
        loaded.entities.iter().map(shown).collect::<Vec<_>>(),
        [
            "CDi.001 Person | Primary IVAN IVANOV, OriginalScript Иван Иванов, Weak Vanya, Alias Ivan I. Ivanov | 1960 to 1962, circa 1961, \
             1961-03-24 | Rwanda, Congo | Passport AB 1 Rwanda | 1 Way, Goma, Congo | DRC",
            "CDe.001 Organisation | Primary A & B TRADING |  |  |  |  | ",
        ]
    );
    assert_eq!(
        house.problems,
        [
            "un.xml:3: left out: birth date: is of another calendar, or of nobody alive: \"1402-06-24\" (id CDi.001)",
            "un.xml:17: rejected: FIRST_NAME: is empty (id CDe.002)",
        ]
    );
    house.refused("un.xml", "1 of 3 rows");
}

const OFAC_XML: &str = r#"<?xml version="1.0" standalone="yes"?>
<sdnList xmlns="https://example.org/XML">
  <publshInformation><Publish_Date>05/03/2024</Publish_Date><Record_Count>2</Record_Count></publshInformation>
  <sdnEntry><uid>36</uid><lastName>IVANOV</lastName><firstName>Ivan</firstName><sdnType>Individual</sdnType>
    <programList><program>SDGT</program><program>IRAN</program></programList>
    <idList><id><uid>9</uid><idType>Passport</idType><idNumber>AB123</idNumber><idCountry>Russia</idCountry></id>
      <id><uid>8</uid><idType>Gender</idType><idNumber>Male</idNumber></id></idList>
    <akaList><aka><uid>1</uid><type>a.k.a.</type><category>weak</category><lastName>VANYA</lastName></aka>
      <aka><uid>2</uid><type>a.k.a.</type><category>strong</category><lastName>IVANOFF</lastName><firstName>Ivan</firstName></aka></akaList>
    <addressList><address><uid>3</uid><address1>1 Way</address1><city>Omsk</city><country>Russia</country></address></addressList>
    <nationalityList><nationality><uid>4</uid><country>Russia</country><mainEntry>true</mainEntry></nationality></nationalityList>
    <dateOfBirthList><dateOfBirthItem><uid>5</uid><dateOfBirth>24 Mar 1961</dateOfBirth></dateOfBirthItem></dateOfBirthList></sdnEntry>
  <sdnEntry><uid>37</uid><lastName>SHIP</lastName><sdnType>Vessel</sdnType>
    <vesselInfo><callSign>C4</callSign><vesselFlag>Iran</vesselFlag></vesselInfo></sdnEntry>
</sdnList>"#;

#[test]
fn ofac_s_xml_says_what_its_csv_says() {
    let mut house = House::new(&[("sdn.xml", OFAC_XML.as_bytes())]);
    let loaded = house.load("sdn.xml");
    assert_eq!((loaded.source.name.as_str(), loaded.source.date.as_str()), ("ofac-sdn", "2024-05-03"));
    assert_eq!(
        loaded.entities.iter().map(shown).collect::<Vec<_>>(),
        [
            "36 Person | Primary IVANOV, Ivan, Weak VANYA, Alias IVANOFF, Ivan | 1961-03-24 | Russia | Passport AB123 Russia | \
             1 Way, Omsk, Russia | SDGT, IRAN",
            "37 Vessel | Primary SHIP |  | Iran | Call Sign C4  |  | ",
        ]
    );
    let cut = OFAC_XML.replace("<Record_Count>2<", "<Record_Count>3<");
    House::new(&[("cut.xml", cut.as_bytes())])
        .refused("cut.xml", "says that it has 3 entries, and 2 were found");
}

const ADVANCED: &str = r#"<Sanctions xmlns="http://www.un.org/sanctions/1.0">
  <DateOfIssue CalendarTypeID="1"><Year>2024</Year><Month>5</Month><Day>3</Day></DateOfIssue>
  <ReferenceValueSets>
    <CountryValues><Country ID="11" ISO2="RU">Russia</Country></CountryValues>
    <FeatureTypeValues><FeatureType ID="8">Birthdate</FeatureType><FeatureType ID="10">Nationality Country</FeatureType><FeatureType ID="25">Location</FeatureType></FeatureTypeValues>
    <IDRegDocTypeValues><IDRegDocType ID="1571">Passport</IDRegDocType></IDRegDocTypeValues>
    <NamePartTypeValues><NamePartType ID="1520">Last Name</NamePartType><NamePartType ID="1521">First Name</NamePartType></NamePartTypeValues>
    <PartyTypeValues><PartyType ID="1">Individual</PartyType></PartyTypeValues>
    <PartySubTypeValues><PartySubType ID="4" PartyTypeID="1">Unknown</PartySubType></PartySubTypeValues>
    <ScriptValues><Script ID="215" ScriptCode="Latn">Latin</Script><Script ID="220" ScriptCode="Cyrl">Cyrillic</Script></ScriptValues>
  </ReferenceValueSets>
  <Locations><Location ID="70"><LocationCountry CountryID="11"/><LocationPart LocPartTypeID="1"><LocationPartValue Primary="true"><Value>Omsk</Value></LocationPartValue></LocationPart></Location></Locations>
  <IDRegDocuments><IDRegDocument ID="1" IDRegDocTypeID="1571" IdentityID="5" IssuedBy-CountryID="11"><IDRegistrationNo>AB123</IDRegistrationNo></IDRegDocument></IDRegDocuments>
  <DistinctParties><DistinctParty FixedRef="36"><Profile ID="36" PartySubTypeID="4"><Identity ID="5" Primary="true">
    <Alias AliasTypeID="1400" Primary="false" LowQuality="true"><DocumentedName ID="3"><DocumentedNamePart><NamePartValue NamePartGroupID="91" ScriptID="215">VANYA</NamePartValue></DocumentedNamePart></DocumentedName></Alias>
    <Alias AliasTypeID="1403" Primary="true" LowQuality="false">
      <DocumentedName ID="1"><DocumentedNamePart><NamePartValue NamePartGroupID="92" ScriptID="215">Ivan</NamePartValue></DocumentedNamePart><DocumentedNamePart><NamePartValue NamePartGroupID="91" ScriptID="215">IVANOV</NamePartValue></DocumentedNamePart></DocumentedName>
      <DocumentedName ID="2"><DocumentedNamePart><NamePartValue NamePartGroupID="91" ScriptID="220">ИВАНОВ</NamePartValue></DocumentedNamePart></DocumentedName></Alias>
    <NamePartGroups><MasterNamePartGroup><NamePartGroup ID="91" NamePartTypeID="1520"/></MasterNamePartGroup><MasterNamePartGroup><NamePartGroup ID="92" NamePartTypeID="1521"/></MasterNamePartGroup></NamePartGroups></Identity>
    <Feature ID="1" FeatureTypeID="8"><FeatureVersion><DatePeriod><Start Approximate="false"><From><Year>1961</Year><Month>3</Month><Day>24</Day></From></Start><End Approximate="false"><To><Year>1961</Year><Month>3</Month><Day>24</Day></To></End></DatePeriod></FeatureVersion></Feature>
    <Feature ID="2" FeatureTypeID="8"><FeatureVersion><DatePeriod><Start Approximate="true"><From><Year>1962</Year><Month>1</Month><Day>1</Day></From></Start><End Approximate="true"><To><Year>1962</Year><Month>12</Month><Day>31</Day></To></End></DatePeriod></FeatureVersion></Feature>
    <Feature ID="3" FeatureTypeID="10"><FeatureVersion><VersionLocation LocationID="70"/></FeatureVersion></Feature>
    <Feature ID="4" FeatureTypeID="25"><FeatureVersion><VersionLocation LocationID="70"/></FeatureVersion></Feature>
  </Profile></DistinctParty></DistinctParties>
  <SanctionsEntries><SanctionsEntry ID="1" ProfileID="36"><SanctionsMeasure SanctionsTypeID="1"><Comment>SDGT</Comment></SanctionsMeasure></SanctionsEntry></SanctionsEntries>
</Sanctions>"#;

#[test]
fn ofac_s_advanced_model_is_put_together_from_its_references() {
    let loaded = House::new(&[("advanced.xml", ADVANCED.as_bytes())]).load("advanced.xml");
    assert_eq!((loaded.origin.format.as_str(), loaded.source.date.as_str()), ("ofac-advanced", "2024-05-03"));
    assert_eq!(
        loaded.entities.iter().map(shown).collect::<Vec<_>>(),
        [
            "36 Person | Primary IVANOV, Ivan, OriginalScript ИВАНОВ, Weak VANYA | 1961-03-24, circa 1962 | Russia | Passport AB123 Russia | \
          Omsk, Russia | SDGT"
        ]
    );
}

#[test]
fn follow_the_money_flat_and_nested() {
    let flat = r#"{"id":"a1","schema":"Person","caption":"Ivan Ivanov","target":true,"properties":{"name":["Иван Иванов","Ivan Ivanov"],"alias":["I. Ivanov"],"weakAlias":["Vanya"],"birthDate":["1961-03-24","1961"],"nationality":["ru"],"innCode":["770123"],"topics":["sanction"],"addressEntity":["x"]}}
{"id":"p1","schema":"Passport","properties":{"holder":["a1","a1"],"number":["AB123"],"country":["ru"]}}
{"id":"s1","schema":"Sanction","properties":{"entity":["a1"],"program":["SDGT"]}}
{"id":"b1","schema":"Company","caption":"A Bank","target":false,"properties":{"name":["A Bank"]}}
{"id":"o1","schema":"Ownership","properties":{"owner":["a1"]}}
{"id":"v1","schema":"Vessel","properties":{"name":["SHIP"],"imoNumber":["IMO9037678"],"flag":["ir"],"addressEntity":[{"id":"n","schema":"Address","properties":{"full":["1 Way"],"country":["ir"]}}]}}
{"id":"c1","schema":"Person","properties":{"birthDate":["1961"]}}
{"id":"cut","schema":"Per"#;
    let mut house = House::new(&[("list.ftm.json", flat.as_bytes())]);
    let loaded = house
        .load_with("list.ftm.json", &Options { max_rejected: 0.6, ..Options::default() })
        .expect("a list");
    assert_eq!((loaded.origin.format.as_str(), loaded.source.name.as_str()), ("ftm", "list"));
    assert_eq!(
        loaded.entities.iter().map(shown).collect::<Vec<_>>(),
        [
            "a1 Person | Primary Ivan Ivanov, OriginalScript Иван Иванов, Alias I. Ivanov, Weak Vanya | 1961-03-24, 1961 | ru | innCode 770123 , \
             passport AB123 ru |  | sanction, SDGT",
            "v1 Vessel | Primary SHIP |  | ir | imoNumber IMO9037678  | 1 Way | ",
        ]
    );
    assert_eq!(loaded.counts.passed_over, 4);
    assert_eq!(house.problems.len(), 2, "{:?}", house.problems);
    assert!(
        house.problems[0].starts_with("list.ftm.json:7: rejected: name: is empty"),
        "{}",
        house.problems[0]
    );
    assert!(
        house.problems[1].contains(":8: rejected: row: is no whole JSON object: it ends too early"),
        "{}",
        house.problems[1]
    );
    let text = format!("{},all=true", house.path("list.ftm.json").display());
    let all = load_all(
        &spec::parse(&text).expect("a source"),
        &Options { max_rejected: 0.6, ..Options::default() },
        &mut |_| Ok(()),
    );
    assert_eq!(all.expect("a list")[0].entities.len(), 3, "the bank is taken when all are asked for");
}

#[test]
fn tables_by_usual_names_and_by_a_map() {
    let csv = b"\xef\xbb\xbfEntity ID;Name;Aliases;DOB;Nationality;Passport Number;Type\n\
        7;M\xc3\xbcller, Jos\xe9;\"Pepe|Jos\xc3\xa9 M.\";1961;Spain;AB1;person\n\
        8;;;;;;person\n9;Too;few\n10;Acme;;;;;company\n11;Who;;;;;alien\n";
    let toml = b"[[source]]\nfile = 'own.csv'\nname = 'own'\nversion = '12'\nlicence = 'internal'\nsplit = '|'\n\
        [[source]]\nfile = 'own.json'\nname = 'json'\n[source.fields]\nid = 'no'\nname = '{n.first} {n.last}'\nalias = 'n.also'\nkind = '=person'\nnotes='x.y'";
    let json = r#"[{"no": 5, "n": {"first": "Ivan", "last": "Ivanov", "also": ["Vanya", "I"]}, "x.y": "dot"},
 {"no": 6, "n": {"first": "Иван"}}, 7, {"no": 8}]"#;
    let mut house = House::new(&[("own.csv", csv), ("s.toml", toml), ("own.json", json.as_bytes())]);
    let specs = spec::parse(&house.path("s.toml").display().to_string()).expect("sources");
    let mut problems = Vec::new();
    let options = Options { max_rejected: 0.7, ..Options::default() };
    let mut tell = |problem: &Problem| {
        problems.push(format!("{} {} {}", problem.line, problem.field, problem.reason));
        Ok(())
    };
    let loaded = load_all(&specs, &options, &mut tell).expect("sources");
    let all: Vec<String> = loaded.iter().flat_map(|loaded| loaded.entities.iter().map(shown)).collect();
    assert_eq!(
        all,
        [
            "7 Person | Primary Müller, José, Alias Pepe, Alias José M. | 1961 | Spain |  AB1  |  | ",
            "10 Organisation | Primary Acme |  |  |  |  | ",
            "11 Unknown | Primary Who |  |  |  |  | ",
            "5 Person | Primary Ivan Ivanov, Alias Vanya, Alias I |  |  |  |  | ",
            "6 Person | Primary Иван |  |  |  |  | ",
        ]
    );
    assert_eq!(loaded[1].entities[0].notes, "dot");
    assert_eq!((loaded[0].source.version.as_str(), loaded[0].source.licence.as_str()), ("12", "internal"));
    assert_eq!(
        problems,
        [
            "3 name is empty",
            "4 row has 3 fields where the header has 7",
            "6 kind is none of person, organisation, vessel, aircraft",
            "2 text bytes that are not UTF-8 were read as Windows-1252; give encoding=latin-1 if all of it is",
            "2 row is no JSON object",
            "2 name is empty",
        ]
    );
    fs::write(house.path("odd.csv"), "a,b\n1,2\n").expect("file");
    house.refused("odd.csv", "no column holds names");
    fs::write(house.path("cut.json"), &json[..json.len() - 5]).expect("file");
    house.refused("cut.json", "the JSON list is broken or cut short");
}

#[test]
fn what_is_no_list_is_refused_with_a_reason() {
    let mut house = House::new(&[
        ("empty", b""),
        ("alt.csv", b"36,12,\"aka\",\"AERO\",-0- \n"),
        ("page.html", b"<html><body>404</body></html>"),
        ("binary", b"\x00\x01\x02\x03"),
        ("wide.txt", b"\xff\xfei\0d\0"),
        ("cut.xml", &UN.as_bytes()[..900]),
        (
            "bomb.xml",
            b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'ha'>]><CONSOLIDATED_LIST>&a;</CONSOLIDATED_LIST>",
        ),
        ("header.csv", b"id,name\n"),
    ]);
    house.refused("none", "No such file");
    house.refused("empty", "it is empty");
    house.refused("alt.csv", "name the sdn file");
    house.refused("page.html", "neither a list of OFAC nor of the UN");
    house.refused("binary", "neither text nor packed");
    house.refused("wide.txt", "UTF-16");
    house.refused("cut.xml", "cut.xml");
    house.refused("bomb.xml", "declares a type or entities of its own");
    house.refused("header.csv", "it holds no rows");
    house.refused("", "is a directory");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("memory can be written");
    packed.finish().expect("memory can be written")
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a member");
        archive.write_all(bytes).expect("memory can be written");
    }
    archive.finish().expect("memory can be written").into_inner()
}

const SDN: &str = "36,\"AIR, A.\",-0- ,\"CUBA\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- \n\
    37,\"IVANOV, Ivan Petrovich\",\"individual\",\"SDGT\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,\"DOB 24 Mar 1961; a.k.a. 'VANYA'.\"\n\
    38,\"GONE, A.\",\"individual\",\"SDGT\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- \n\u{1a}";
const ALT: &str = "37,1,\"aka\",\"IVANOFF, Ivan\",-0- \n";
const ADD: &str = "37,1,\"1 Way\",\"Omsk\",\"Russia\",-0- \n";

#[test]
fn packed_files_and_archives_are_read_like_plain_ones() {
    let archive = zip(&[
        ("lists/alt.csv", ALT.as_bytes()),
        ("lists/sdn.csv", SDN.as_bytes()),
        ("../../add.csv", ADD.as_bytes()),
    ]);
    let mut house = House::new(&[
        ("sdn.csv", SDN.as_bytes()),
        ("alt.csv", ALT.as_bytes()),
        ("add.csv.gz", &gzip(ADD.as_bytes())),
        ("sdn_2024-05-03.csv.gz", &gzip(SDN.as_bytes())),
        ("all.zip", &archive),
        ("sdn_z.csv.zst", &zstd::encode_all(SDN.as_bytes(), 1).expect("memory can be written")),
        ("cut.csv.gz", &gzip(&SDN.repeat(40).into_bytes())[..60]),
    ]);
    let plain = house.load("sdn.csv");
    assert_eq!(plain.entities[1].names.len(), 3);
    assert_eq!(plain.entities[1].addresses, ["1 Way, Omsk, Russia"]);
    assert_eq!(plain.origin.files.len(), 3);
    assert!(plain.warnings.is_empty(), "{:?}", plain.warnings);
    let zipped = house.load("all.zip");
    assert_eq!(zipped.entities, plain.entities);
    let alone = house.load("sdn_2024-05-03.csv.gz");
    assert_eq!((alone.source.date.as_str(), &alone.origin.aliases), ("2024-05-03", &Part::Missing));
    assert!(alone.warnings[0].contains("alt_2024-05-03.csv.gz is not beside it"), "{:?}", alone.warnings);
    assert_eq!(house.load("sdn_z.csv.zst").entities, alone.entities);
    house.refused("cut.csv.gz", "cut.csv.gz");
}

/// What would be lost: disk and memory.
#[test]
fn bombs_are_refused_while_they_unpack() {
    let zeros = vec![b'1'; 8 << 20];
    let bomb_zst = zstd::encode_all(&zeros[..], 1).expect("memory can be written");
    let mut house = House::new(&[
        ("bomb.csv.gz", &gzip(&zeros)),
        ("bomb.csv.zst", &bomb_zst),
        ("bomb.zip", &zip(&[("sdn.csv", &zeros)])),
        ("nested.zip", &zip(&[("inner.zip", &zip(&[("sdn.csv", SDN.as_bytes())]))])),
    ]);
    let options = |limits| Options { limits, ..Options::default() };
    let small = Limits { free: 1 << 20, ratio: 50, ..Limits::default() };
    let tight = Limits { unpacked: 1 << 20, ratio: u64::MAX, ..Limits::default() };
    for name in ["bomb.csv.gz", "bomb.csv.zst", "bomb.zip"] {
        for (limits, reason) in [(small, "come out of it"), (tight, "come out of it")] {
            let error = format!("{:#}", house.load_with(name, &options(limits)).expect_err(name));
            assert!(error.contains(reason) || error.contains("refused as a bomb"), "{name}: {error}");
        }
    }
    house.refused("nested.zip", "an archive within an archive");
}

#[test]
fn oversized_values_cost_themselves_and_not_the_entry() {
    let long = "x".repeat(1 << 18);
    let csv = format!("id,name,aliases,notes\n1,Ivan,{long};Vanya,{long}\n2,{long},,\n");
    let mut house = House::new(&[("a.csv", csv.as_bytes())]);
    let loaded = house.load_with("a.csv", &Options { max_rejected: 0.9, ..Options::default() });
    let loaded = loaded.expect("a list");
    assert_eq!(loaded.entities.len(), 1, "an entry without any name that fits is rejected");
    assert_eq!(loaded.entities[0].names.len(), 2);
    assert!(loaded.entities[0].notes.len() <= 4096);
    let said = house.problems.join("\n");
    for part in
        ["left out: name: has 262144 bytes", "repaired: notes: shortened", "rejected: row: it has no name"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// What would be lost: minutes for one row, since each name is compared with those before it.
#[test]
fn more_names_than_an_entry_may_have_cost_no_time() {
    let names: String = (0..100_000).map(|i| format!("n{i};")).collect();
    let csv = format!("id,name,aliases\n1,Ivan,{names}\n");
    let mut house = House::new(&[("a.csv", csv.as_bytes())]);
    assert_eq!(house.load("a.csv").entities[0].names.len(), 4096);
    assert!(house.problems[0].contains("there are more than 4096"), "{:?}", house.problems);
}

#[test]
fn later_rows_and_files_of_a_source_replace_earlier_ones() {
    let mut house = House::new(&[
        ("a.csv", b"id,name\n1,Old\n2,Two\n1,New\n"),
        ("b.csv", b"id,name\n2,Newer\n3,Three\n"),
    ]);
    let loaded = house.load("a.csv");
    assert_eq!(loaded.entities.iter().map(Entity::title).collect::<Vec<_>>(), ["New", "Two"]);
    let text = |name: &str| format!("{},name=own", house.path(name).display());
    let specs = ["a.csv", "b.csv"].map(|name| spec::parse(&text(name)).expect("a source")).concat();
    let loaded = load_all(&specs, &Options::default(), &mut |_| Ok(())).expect("sources");
    assert_eq!(loaded.len(), 1);
    assert_eq!(loaded[0].entities.iter().map(Entity::title).collect::<Vec<_>>(), ["New", "Newer", "Three"]);
}

fn list(files: &[(&str, &str)]) -> ListFile {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    build(vec![House::new(&files).load("sdn.csv")]).expect("a list")
}

/// A new edition without the file of its aliases: nobody known by an alias may get through for that, and no alias may be
/// reported as withdrawn.
#[test]
fn an_edition_without_its_aliases_keeps_those_that_are_known() {
    let old = list(&[("sdn.csv", SDN), ("alt.csv", ALT), ("add.csv", ADD)]);
    let new = SDN
        .replace("38,\"GONE, A.\"", "39,\"NEW, A.\"")
        .replace("DOB 24 Mar 1961", "DOB 25 Mar 1961; nationality Russia");
    let edition = || House::new(&[("sdn.csv", new.as_bytes())]).load("sdn.csv");
    let (kept, said) = update(&old, vec![edition()], &UpdateOptions::default()).expect("a list");
    let ivan =
        |list: &ListFile| list.data.entities.iter().find(|entity| entity.id == "37").expect("Ivan").clone();
    assert!(
        ivan(&kept).names.iter().any(|name| name.text == "IVANOFF, Ivan" && name.kind == NameKind::Alias)
    );
    assert_eq!(ivan(&kept).addresses, ["1 Way, Omsk, Russia"]);
    assert!(matches!(&kept.origins[0].aliases, Part::Kept { version, .. } if version.starts_with("blake3:")));
    assert!(said[0].contains("1 other names of the edition of"), "{said:?}");
    let changes = diff(&old, &kept);
    let source = &changes.sources[0];
    assert_eq!(source.counts, DiffCounts { added: 1, changed: 1, removed: 1, same: 1 });
    let fields: Vec<_> = source.changed[0].fields.iter().map(|change| change.field).collect();
    assert_eq!(fields, ["birth dates", "notes"], "{:?}", source.changed);
    assert_eq!(source.unknown.len(), 2);

    let drop = UpdateOptions { keep: false, ..UpdateOptions::default() };
    let (dropped, _) = update(&old, vec![edition()], &drop).expect("a list");
    assert_eq!(ivan(&dropped).names.len(), 2, "the weak name of the remarks is known");
    let changes = diff(&old, &dropped);
    let fields: Vec<_> = changes.sources[0].changed[0].fields.iter().map(|change| change.field).collect();
    assert_eq!(fields, ["birth dates", "notes"], "what is not known is no change");
    let text = changes.describe(20);
    assert!(text.contains("other names are not compared"), "{text}");
    for line in ["+ 39 NEW, A. (person) SDGT", "- 38 GONE, A. (person) SDGT", "    birth dates: - 1961-03-24"]
    {
        assert!(text.contains(line), "{text}");
    }

    // A third edition that has its aliases again is believed.
    let whole = House::new(&[
        ("sdn.csv", new.as_bytes()),
        ("alt.csv", b"36,1,\"aka\",\"AERO\",-0- \n"),
        ("add.csv", ADD.as_bytes()),
    ])
    .load("sdn.csv");
    let (third, _) = update(&kept, vec![whole], &UpdateOptions::default()).expect("a list");
    assert_eq!(third.origins[0].aliases, Part::Read);
    let changes = diff(&kept, &third);
    let fields: Vec<_> =
        changes.sources[0].changed.iter().map(|c| (c.id.as_str(), c.fields[0].field)).collect();
    assert_eq!(fields, [("36", "other names"), ("37", "other names")]);
}

#[test]
fn an_edition_that_lost_most_entries_is_refused() {
    let old = list(&[("sdn.csv", SDN)]);
    let few: String = SDN.lines().take(1).collect();
    let edition = || House::new(&[("sdn.csv", few.as_bytes())]).load("sdn.csv");
    let error = update(&old, vec![edition()], &UpdateOptions::default()).expect_err("too few").to_string();
    assert!(error.contains("2 of the 3 entries of ofac-sdn are not in the new edition"), "{error}");
    let options = UpdateOptions { max_removed: 1.0, ..UpdateOptions::default() };
    assert_eq!(update(&old, vec![edition()], &options).expect("a list").0.data.entities.len(), 1);
}

#[test]
fn the_same_person_on_two_sources_is_linked_and_stays_two_entries() {
    let un = UN
        .replace("<SECOND_NAME>IVANOV", "<SECOND_NAME>PETROVICH IVANOV")
        .replace("<ENTITY><DATAID>3</DATAID><FIRST_NAME/>", "<ENTITY><FIRST_NAME>X Y</FIRST_NAME>");
    let mut house = House::new(&[("sdn.csv", SDN.as_bytes()), ("un.xml", un.as_bytes())]);
    let sources = vec![house.load("sdn.csv"), house.load("un.xml")];
    let list = build(sources).expect("a list");
    assert_eq!(list.data.same, [vec![1, 3]]);
    assert_eq!(list.links[0].reason, "same name IVANOV, Ivan Petrovich and birth date 1961-03-24");
    let (found, count) = super::inspect::find(&list, Some("37"), None, 5);
    assert_eq!(count, 1);
    let text = found[0].describe();
    assert!(text.contains("also on un-sc CDi.001 IVAN PETROVICH IVANOV: same name"), "{text}");
    assert_eq!(list.data.entities[1].kind, EntityKind::Person);
    let summary = super::inspect::Summary::new(&list).describe();
    assert!(summary.contains("6 entries") && summary.contains("1 stand on more than one"), "{summary}");
}
