//! Hostile and broken documents.

use super::*;

fn read(text: &str) -> Result<Vec<(String, String, u64)>> {
    let mut found = Vec::new();
    records(text.as_bytes(), &["r"], |node| {
        found.push((node.name.clone(), format!("{}|{}", node.attribute("a"), node.of("x")), node.line));
        Ok(())
    })?;
    Ok(found)
}

fn refused(text: &str, reason: &str) {
    let error = format!("{:#}", read(text).map(|found| found.len()).expect_err(reason));
    assert!(error.contains(reason), "{error}");
}

#[test]
fn records_with_references_and_nested_lists() {
    let text = "<?xml version='1.0'?>\n<!-- c --><l xmlns:n='u'>\n<r a='1 &amp; &#x4f60;'><x> A &lt;B&gt; &#233;<![CDATA[ & C]]> </x></r>\n\
                <n:r a='2'/><o><r/></o></l>";
    let found = read(text).expect("a document");
    assert_eq!(
        found,
        [
            ("l".to_owned(), "|".to_owned(), 2),
            ("r".to_owned(), "1 & 你|A <B> é & C".to_owned(), 3),
            ("r".to_owned(), "2|".to_owned(), 4),
            ("r".to_owned(), "|".to_owned(), 4),
        ]
    );
}

/// What would be lost: the machine's memory.
#[test]
fn entity_bombs_are_refused_before_they_unfold() {
    let laughs = "<?xml version='1.0'?><!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]><l><r><x>&b;</x></r></l>";
    refused(laughs, "declares a type or entities of its own");
    refused("<!DOCTYPE l [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><l>&e;</l>", "of its own");
    refused("<l><r><x>&b;</x></r></l>", "the entity &b; is none of XML's own five");
    refused("<l><r a='&b;'/></l>", "the entity &b; is none of XML's own five");
    assert!(read("<!DOCTYPE l SYSTEM 'list.dtd'><l/>").is_ok(), "a type that is only named is never fetched");
}

#[test]
fn documents_that_are_cut_short_are_no_lists() {
    let whole = "<l>\n<r><x>one</x></r>\n<r><x>two</x></r>\n</l>";
    for len in 1..whole.len() {
        assert!(read(&whole[..len]).is_err(), "{}", &whole[..len]);
    }
    refused("<l><r><x>one</x></r>", "cut short: <l> is not closed");
    refused("<l><r></x></r></l>", "line 1");
    refused("no XML", "begins with text");
    refused("", "no XML");
}

#[test]
fn attributes_and_names_of_a_record_count_towards_its_size() {
    let tag = format!("<x a='{}'/>", "a".repeat(100_000));
    let name = "n".repeat(100_000);
    for part in [tag.clone(), tag.replace("/>", "></x>"), format!("<{name}/>")] {
        refused(&format!("<l><r>{}</r></l>", part.repeat(200)), "16 MiB");
    }
    assert!(read(&format!("<l>{}</l>", format!("<r>{}</r>", tag.repeat(50)).repeat(5))).is_ok());
}

#[test]
fn depth_and_size_are_bounded() {
    refused(&"<a>".repeat(100_000), "more than 64 deep");
    refused(&format!("<l><r><x>{}</x></r></l>", "y".repeat(3 << 20)), "longer than 1 MiB");
    refused(&format!("<l><r {}/></l>", "a='b' ".repeat(1 << 18)), "longer than 1 MiB");
    let wide: String = (0..50_000).map(|i| format!(" a{i}=''")).collect();
    refused(&format!("<l><r{wide}/></l>"), "more than 256 attributes");
    refused(&format!("<l><r>{}</r></l>", "<x/>".repeat(MAX_NODES + 9)), "a record has more than");
    let many = format!("<l>{}</l>", "<r><x>y</x></r>".repeat(MAX_NODES));
    assert_eq!(read(&many).expect("many small records").len(), MAX_NODES + 1);
}
