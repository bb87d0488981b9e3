//! Names of interfaces: those of a hostile model, and those learned from hostile calls.
#![no_main]

use gait_common::call::Call;
use gait_common::interface::{Interfaces, NEW_NAME, Naming, Unknowns};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let calls: Vec<Call<'_>> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        // As every source of calls makes sure.
        .filter(|(method, _)| !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic()))
        .map(|(method, target)| Call { method, target, host: "shop.example:80", ..Call::default() })
        .collect();
    gait_fuzz::learned_names_are_known(&calls);

    let names: Vec<String> = [NEW_NAME].into_iter().chain(text.lines()).map(str::to_owned).collect();
    let naming = Naming { host: text.len().is_multiple_of(2), ..Naming::default() };
    let Ok(interfaces) = Interfaces::new(&names, naming) else { return };
    let (mut scratch, mut unknowns) = (String::new(), Unknowns::default());
    for call in &calls {
        let named = interfaces.name_call(call, &mut scratch);
        assert!((named.id as usize) < interfaces.len());
        unknowns.remember(named.value, call);
        assert!(unknowns.get(named.value as u32).is_some_and(|name| !name.contains('\n')));
    }
});
