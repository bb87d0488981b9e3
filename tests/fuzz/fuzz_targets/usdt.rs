//! The notes of USDT probes, and a whole program or library around whatever comes.
#![no_main]

use gait_agent::functions::elf::Image;
use gait_agent::functions::usdt::{MAX_PLACES, MAX_PROBES, Machine, probes};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for machine in [Machine::X86, Machine::Arm] {
        for base in [None, Some(0x1000)] {
            let found = probes(bytes, base, machine);
            assert!(found.len() <= MAX_PROBES.min(bytes.len() / 12));
            for probe in found {
                assert!(!probe.provider.is_empty() && !probe.name.is_empty());
                assert!(probe.places.is_err() || probe.places.is_ok_and(|places| places.len() <= MAX_PLACES));
            }
        }
    }
    if let Ok(image) = Image::from_memory(bytes.to_vec()) {
        for table in [".symtab", ".dynsym"] {
            if let Ok(Some(symbols)) = image.symbols(table) {
                for symbol in symbols.iter().take(1000) {
                    image.code_offset(symbol.address);
                    gait_agent::functions::names::readable(symbol.name);
                }
            }
        }
        image.build_id();
        image.debug_link();
        let _ = image.data(".note.stapsdt");
    }
});
