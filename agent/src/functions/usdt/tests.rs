//! Notes as compilers write them, and as nobody should.

use proptest::prelude::*;

use super::place::At;
use super::*;

fn note(owner: &[u8], kind: u32, description: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [owner.len() as u32, description.len() as u32, kind] {
        bytes.extend(word.to_le_bytes());
    }
    for part in [owner, description] {
        bytes.extend(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

fn description(addresses: [u64; 3], texts: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = addresses.iter().flat_map(|address| address.to_le_bytes()).collect();
    bytes.extend(texts.as_bytes());
    bytes.push(0);
    bytes
}

fn place(operand: &str, machine: Machine) -> Option<Place> {
    match &place::read(operand, machine) {
        Ok(places) => match places[..] {
            [place] => Some(place),
            _ => panic!("{operand}: {places:?}"),
        },
        Err(_) => None,
    }
}

#[test]
fn a_probe_is_read_and_moved_with_its_base() {
    let texts = "python\0function__entry\x008@%rax 8@%rdx -4@%ecx";
    let bytes = note(OWNER, TYPE, &description([0x1000, 0x500, 0x2000], texts));
    let [probe] = &probes(&bytes, Some(0x700), Machine::X86)[..] else { panic!("one probe") };
    assert_eq!((probe.provider.as_str(), probe.name.as_str()), ("python", "function__entry"));
    assert_eq!((probe.address, probe.semaphore), (0x1200, Some(0x2200)));
    assert_eq!(probe.places.as_ref().map(Vec::len), Ok(3));
    // Without a section of that name nothing was moved, and a semaphore at 0 is none.
    let bytes = note(OWNER, TYPE, &description([0x1000, 0x500, 0], "a\0b\0"));
    let [probe] = &probes(&bytes, None, Machine::X86)[..] else { panic!("one probe") };
    assert_eq!((probe.address, probe.semaphore), (0x1000, None));
    assert_eq!(probe.places, Ok(Vec::new()));
}

#[test]
fn other_notes_are_passed_over() {
    let mut bytes = note(b"GNU\0", 3, &[1; 20]);
    bytes.extend(note(OWNER, 4, &description([1, 1, 1], "a\0b\0")));
    bytes.extend(note(OWNER, TYPE, &description([1, 1, 1], "a\0b\0")));
    assert_eq!(probes(&bytes, None, Machine::X86).len(), 1);
}

#[test]
fn operands_of_x86() {
    let register = |register, shift| Some(At::Register { register, shift });
    let memory = |base, index, displacement| Some(At::Memory { base, index, displacement });
    for (operand, at) in [
        ("8@%rax", register(80, 0)),
        ("-4@%eax", register(80, 0)),
        ("2@%ax", register(80, 0)),
        ("1@%al", register(80, 0)),
        ("1@%ah", register(80, 8)),
        ("8@%rbp", register(32, 0)),
        ("1@%sil", register(104, 0)),
        ("4@%r8d", register(72, 0)),
        ("1@%r15b", register(0, 0)),
        ("8@%rsp", register(152, 0)),
        ("-4@$-12", Some(At::Constant(-12))),
        ("8@$0x10", Some(At::Constant(16))),
        ("8@-24(%rbp)", memory(32, None, -24)),
        ("8@(%rdi)", memory(112, None, 0)),
        ("4@8(%rax,%rbx,4)", memory(80, Some((40, 4)), 8)),
        ("4@8(%rax, %rbx, 4)", memory(80, Some((40, 4)), 8)),
        ("8@(%rax,%rcx)", memory(80, Some((88, 1)), 0)),
        ("8f@%xmm0", None),
        ("8@%xmm0", None),
        ("8@%rip", None),
        ("8@%ss", None),
        ("8@table(%rip)", None),
        ("8@8(%eax)", None),
        ("3@%rax", None),
        ("8@(%rax,%rbx,3)", None),
        ("8@(%rax,%rbx,2,1)", None),
        ("8@é", None),
        ("%rax", None),
    ] {
        assert_eq!(place(operand, Machine::X86).map(|place| place.at), at, "{operand}");
    }
}

#[test]
fn operands_of_aarch64() {
    for (operand, at) in [
        ("8@x0", Some(At::Register { register: 0, shift: 0 })),
        ("-4@w19", Some(At::Register { register: 152, shift: 0 })),
        ("8@sp", Some(At::Register { register: 248, shift: 0 })),
        ("-4@12", Some(At::Constant(12))),
        ("8@[sp, 16]", Some(At::Memory { base: 248, index: None, displacement: 16 })),
        ("8@[x29]", Some(At::Memory { base: 232, index: None, displacement: 0 })),
        ("8@[x29, #-8]", Some(At::Memory { base: 232, index: None, displacement: -8 })),
        ("8@x31", None),
        ("8@[w1]", None),
        ("8@d0", None),
    ] {
        assert_eq!(place(operand, Machine::Arm).map(|place| place.at), at, "{operand}");
    }
}

#[test]
fn arguments_are_bounded_and_the_one_not_understood_is_named() {
    let error = place::read("8@%rax 8@%xmm1", Machine::X86).expect_err("no such register");
    assert_eq!(error.to_string(), "the place of its argument 2, \"8@%xmm1\", is not understood");
    assert_eq!(place::read(&"8@%rax ".repeat(13), Machine::X86), Err(PlaceError::TooMany));
}

proptest! {
    #[test]
    fn hostile_notes_are_bounded(bytes in prop::collection::vec(any::<u8>(), 0..400), base in any::<Option<u64>>()) {
        prop_assert!(probes(&bytes, base, Machine::X86).len() <= bytes.len() / 12);
    }

    #[test]
    fn what_follows_a_cut_is_not_invented(cut in 0_usize..200) {
        let one = note(OWNER, TYPE, &description([1, 2, 3], "provider\0name\x004@%eax"));
        let bytes = [one.clone(), one.clone()].concat();
        let cut = cut.min(bytes.len());
        let found = probes(&bytes[..cut], None, Machine::X86);
        prop_assert!(found.len() <= cut / (one.len() - 4));
        prop_assert!(found.iter().all(|probe| probe.name == "name"));
    }

    #[test]
    fn hostile_operands_are_refused_or_read(text in "[-0-9@$%()a-z, x\\[\\]é]{0,60}") {
        for machine in [Machine::X86, Machine::Arm] {
            if let Ok(places) = place::read(&text, machine) {
                prop_assert!(places.len() <= MAX_PLACES);
            }
        }
    }
}
