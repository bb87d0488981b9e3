//! Real programs, built here: what is found in them, and where.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::usdt::At;
use super::*;
use crate::config::Functions as Configured;

const SHOP: &str = r#"
    #include <stdio.h>
    #define HERE __attribute__((noinline, used))
    HERE int shop_pay(int amount) { return amount > 100 ? -1 : amount; }
    HERE static int shop_tax(int amount) { return puts("tax") + amount; }
    HERE int shop_cart(int amount) { return shop_pay(amount) + shop_tax(amount) + 1; }
    HERE int mangled(int amount) __asm__("_ZN4shop4Cart5emptyEi");
    int mangled(int amount) { return amount * 3; }
    int shop_price(int amount) __attribute__((alias("shop_pay")));
    static void *resolve(void) { return shop_pay; }
    int shop_fast(int) __attribute__((ifunc("resolve")));
    int shop_data[4] = {1};
    int main(int argc, char **argv) { return shop_cart(argc) + mangled(argc); }
"#;

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Builds C, as `directory/name`.
fn compile(directory: &TempDir, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let (file, program) = (directory.path().join(format!("{name}.c")), directory.path().join(name));
    fs::write(&file, source).expect("source");
    run(Command::new("cc").arg("-O1").args(flags).arg("-o").arg(&program).arg(&file));
    program
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("directory")
}

fn contents(path: &Path) -> Contents {
    Contents::read(path, path, Path::new("/")).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn target(binary: &Path, include: &[&str]) -> Configured {
    Configured {
        binary: Some(binary.display().to_string()),
        include: include.iter().map(|glob| glob.parse().expect("a glob")).collect(),
        ..Configured::default()
    }
}

fn chosen(path: &Path, include: &[&str]) -> Selection {
    select(&contents(path), &Target::new(0, &target(path, include)).expect("a target"))
}

/// The code at a spot's offset, as it is in the file.
fn code_at(path: &Path, offset: u64) -> u8 {
    fs::read(path).expect("the file")[usize::try_from(offset).expect("an offset")]
}

fn reason(contents: &Contents, name: &str) -> Option<Refusal> {
    let function = contents.functions().iter().find(|function| function.readable == name);
    contents.refusal(function.unwrap_or_else(|| panic!("{name} is not there")))
}

#[test]
fn programs_of_every_kind_give_their_functions() {
    let directory = directory();
    for (name, flags) in [
        ("pie", &["-fPIE", "-pie"][..]),
        ("fixed", &["-no-pie"]),
        ("static", &["-static"]),
        ("exported", &["-rdynamic"]),
    ] {
        let program = compile(&directory, name, SHOP, flags);
        let found = contents(&program);
        assert!(found.is_program(), "{name}");
        assert_eq!(reason(&found, "shop_cart"), None, "{name}");
        assert_eq!(reason(&found, "shop::Cart::empty(int)"), None, "{name}");
        assert_eq!(reason(&found, "shop_fast"), Some(Refusal::Resolver), "{name}");
        assert_eq!(reason(&found, "shop_price"), Some(Refusal::Alias("shop_pay".to_owned())), "{name}");
        assert_eq!(reason(&found, "_start"), Some(Refusal::Start), "{name}");
        assert!(found.functions().iter().all(|function| function.readable != "shop_data"), "{name}");
        let selection = chosen(&program, &["shop_*"]);
        let follows = |function: &str| selection.followed.contains(&format!("{name}:{function}"));
        assert!(follows("shop_pay") && follows("shop_tax") && follows("shop_cart"), "{selection:?}");
        assert!(!follows("shop_price") && selection.refused.len() == 1, "{selection:?}");
    }
}

#[test]
fn offsets_are_those_of_the_code_in_the_file() {
    let directory = directory();
    // In a program that is not moved, the linker's addresses are not offsets.
    let program = compile(&directory, "shop", SHOP, &["-no-pie", "-fcf-protection=branch"]);
    let selection = chosen(&program, &["shop_cart"]);
    let kinds: Vec<Kind> = selection.spots.iter().map(|spot| spot.kind).collect();
    assert_eq!(kinds, [Kind::Return, Kind::Enter], "C without unwinding: the kernel's return probe");
    let code = fs::read(&program).expect("the file");
    let at = usize::try_from(selection.spots[0].offset).expect("an offset");
    #[cfg(target_arch = "x86_64")]
    assert_eq!(code[at..at + 4], [0xf3, 0x0f, 0x1e, 0xfa], "endbr64 begins the function");
    assert_eq!(selection.spots[0].offset, selection.spots[1].offset);
    assert!(at < code.len());
}

#[test]
fn where_exceptions_may_pass_the_return_instructions_are_found() {
    let directory = directory();
    let program = compile(&directory, "libshop.so.2.1", SHOP, &["-shared", "-fPIC"]);
    let found = contents(&program);
    assert!(found.unwinds() && !found.is_program());
    let selection = chosen(&program, &["shop_pay", "shop_cart"]);
    assert_eq!(selection.followed, ["libshop.so:shop_cart", "libshop.so:shop_pay"]);
    let exits: Vec<&select::Spot> = selection.spots.iter().filter(|spot| spot.kind == Kind::Exit).collect();
    assert!(
        exits.len() >= 2 && selection.spots.iter().all(|spot| spot.kind != Kind::Return),
        "{selection:?}"
    );
    #[cfg(target_arch = "x86_64")]
    assert!(exits.iter().all(|exit| code_at(&program, exit.offset) == 0xc3), "{selection:?}");
    // The same evidence in a program: it asks for the unwinder.
    let source = format!("{SHOP}\nvoid _Unwind_Resume(void *); void *keep = _Unwind_Resume;");
    let program = compile(&directory, "cpp", &source, &["-lgcc_s"]);
    assert!(contents(&program).unwinds());
}

#[test]
fn tail_calls_end_the_function_and_cold_parts_belong_to_it() {
    let directory = directory();
    let source = r#"
        #include <stdlib.h>
        #define HERE __attribute__((noinline, used))
        HERE int next(int a) { return a * 7; }
        HERE int chain(int a) { return next(a + 1); }
        __attribute__((cold)) HERE int rare(int a) { abort(); }
        HERE int split(int a, int *b) { if (__builtin_expect(a == 77, 0)) { rare(a); b[0] = b[1]; return rare(b[2]); } return b[a]; }
    "#;
    let program =
        compile(&directory, "libtail.so", source, &["-shared", "-fPIC", "-O2", "-fvisibility=hidden"]);
    let selection = chosen(&program, &["chain", "split"]);
    let kinds = |name: &str| -> Vec<Kind> {
        let of = |spot: &&select::Spot| spot.function.name == format!("libtail.so:{name}");
        selection.spots.iter().filter(of).map(|spot| spot.kind).collect()
    };
    assert_eq!(kinds("chain"), [Kind::Tail, Kind::Enter], "{selection:?}");
    assert!(kinds("split").contains(&Kind::Exit), "{selection:?}");
    let found = contents(&program);
    if found.functions().iter().any(|function| function.readable == "split.cold") {
        assert_eq!(reason(&found, "split.cold"), Some(Refusal::Part));
    }
}

#[test]
fn stripped_programs_have_what_their_debug_file_says() {
    let directory = directory();
    for (name, flags, build_id) in [("linked", "--build-id=none", false), ("identified", "--build-id", true)]
    {
        let program = compile(&directory, name, SHOP, &[&format!("-Wl,{flags}")]);
        let debug = directory.path().join(format!(".debug/{name}.debug"));
        fs::create_dir_all(debug.parent().expect("a directory")).expect("made");
        let objcopy = |arguments: &[&str]| {
            run(Command::new("objcopy").current_dir(&directory).args(arguments).arg(&program));
        };
        run(Command::new("objcopy").arg("--only-keep-debug").args([&program, &debug]));
        objcopy(&["--strip-all"]);
        assert_eq!(
            chosen(&program, &["shop_*"]).trouble.as_deref().map(|trouble| trouble.contains("matches")),
            Some(true),
            "only what is imported is left"
        );
        objcopy(&[&format!("--add-gnu-debuglink={}", debug.display())]);
        let selection = chosen(&program, &["shop_tax"]);
        assert_eq!(selection.followed, [format!("{name}:shop_tax")]);
        let found = contents(&program);
        let tax = found.functions().iter().find(|function| function.raw == "shop_tax").expect("there");
        assert_eq!(tax.origin, Origin::DebugFile);
        // The debug file of another build says nothing about this one.
        let other = compile(&directory, "other", &SHOP.replace("* 3", "* 5 + 1"), &[&format!("-Wl,{flags}")]);
        run(Command::new("objcopy").arg("--only-keep-debug").args([&other, &debug]));
        assert!(chosen(&program, &["shop_tax"]).followed.is_empty(), "build id: {build_id}");
    }
}

#[test]
fn symbols_are_unpacked_from_inside_the_file() {
    use std::io::Write as _;
    let directory = directory();
    let program = compile(&directory, "mini", SHOP, &[]);
    let (debug, packed) = (directory.path().join("debug"), directory.path().join("debug.xz"));
    run(Command::new("objcopy").arg("--only-keep-debug").args([&program, &debug]));
    let options = lzma_rust2::XzOptions::default();
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).expect("options");
    writer.write_all(&fs::read(&debug).expect("debug file")).expect("packed");
    fs::write(&packed, writer.finish().expect("packed")).expect("written");
    let section = format!(".gnu_debugdata={}", packed.display());
    run(Command::new("objcopy").args(["--strip-all", "--add-section", &section]).arg(&program));
    let found = contents(&program);
    let tax = found.functions().iter().find(|function| function.raw == "shop_tax").expect("there");
    assert_eq!((tax.origin, found.refusal(tax)), (Origin::MiniDebug, None));
}

#[test]
fn rust_is_named_as_its_source() {
    let directory = directory();
    let source = directory.path().join("shop.rs");
    fs::write(
        &source,
        "mod cart { #[inline(never)] pub fn pay(n: usize) -> usize { if n > 9 { panic!() } else { n } } }
         fn main() { std::process::exit(cart::pay(std::env::args().count()) as i32) }",
    )
    .expect("source");
    let program = directory.path().join("shop");
    run(Command::new("rustc").args(["--edition=2021", "-Copt-level=1", "-o"]).args([&program, &source]));
    let selection = chosen(&program, &["shop::cart::*"]);
    assert_eq!(selection.followed, ["shop:shop::cart::pay"], "{selection:?}");
    assert!(contents(&program).unwinds(), "panics unwind");
}

const PROBES: &str = r#"
    #define NOTE(name, arguments) __asm__ volatile ( \
        "990: nop\n" \
        ".pushsection .note.stapsdt,\"\",\"note\"\n.balign 4\n.4byte 992f-991f,994f-993f,3\n" \
        "991: .asciz \"stapsdt\"\n992: .balign 4\n" \
        "993: .8byte 990b\n.8byte _.stapsdt.base\n.8byte shop_" name "_semaphore\n" \
        ".asciz \"shop\"\n.asciz \"" name "\"\n.asciz \"" arguments "\"\n994: .balign 4\n.popsection\n" \
        ".ifndef _.stapsdt.base\n.pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
        ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n.popsection\n.endif\n")
    __attribute__((section(".probes"))) volatile unsigned short shop_pay__start_semaphore, shop_pay__done_semaphore;
    __attribute__((noinline)) int pay(int amount) {
        NOTE("pay__start", "-4@%edi 8@$7");
        amount *= 2;
        NOTE("pay__done", "");
        return amount;
    }
    int main(int argc, char **argv) { return pay(argc); }
"#;

#[cfg(target_arch = "x86_64")]
#[test]
fn probes_are_found_with_semaphores_and_arguments() {
    let directory = directory();
    for flags in [&["-no-pie"][..], &["-fPIE", "-pie"]] {
        let program = compile(&directory, "shop", PROBES, flags);
        let config = |usdt: &str| Configured {
            binary: Some(program.display().to_string()),
            usdt: Some(usdt.parse().expect("a pair")),
            ..Configured::default()
        };
        let found = contents(&program);
        let choose = |config| select(&found, &Target::new(0, &config).expect("a target"));
        let selection = choose(config("shop:pay__start/done"));
        assert_eq!(selection.followed, ["shop:pay"], "{selection:?}");
        let [exit, enter] = &selection.spots[..] else { panic!("{selection:?}") };
        assert_eq!((exit.kind, enter.kind), (Kind::UsdtReturn, Kind::UsdtEnter));
        assert_eq!(code_at(&program, enter.offset), 0x90, "the probe is a nop");
        assert_eq!(enter.places[0].at, At::Register { register: 112, shift: 0 });
        assert_eq!(enter.places[1].at, At::Constant(7));
        let semaphores = [exit.semaphore, enter.semaphore].map(|offset| offset.expect("a semaphore"));
        assert_ne!(semaphores[0], semaphores[1]);
        for (usdt, trouble) in [
            ("shop:pay__start/end", "it has no USDT probe shop:pay__end"),
            ("postgresql:query__start/done", "it has no USDT probes of the provider postgresql"),
        ] {
            assert_eq!(choose(config(usdt)).trouble.as_deref(), Some(trouble));
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn probes_that_name_calls_must_have_the_names() {
    let directory = directory();
    for (arguments, trouble) in [
        ("8@%rdi 8@%rsi", None),
        ("8@%rdi", Some("its probe python:function__return has only 1 arguments")),
        (
            "8@%rdi 8@%xmm0",
            Some(
                "its probe python:function__return cannot be used: the place of its argument 2, \"8@%xmm0\", is not \
                 understood",
            ),
        ),
    ] {
        let source = PROBES.replace("\"shop\\", "\"python\\").replace("pay__start", "function__entry");
        let source = source.replace("pay__done", "function__return").replace("-4@%edi 8@$7", arguments);
        let source =
            source.replace("\"function__return\", \"\"", &format!("\"function__return\", \"{arguments}\""));
        let program = compile(&directory, "python", &source, &[]);
        let config = Configured {
            binary: Some(program.display().to_string()),
            usdt: Some("python".parse().expect("a pair")),
            ..Configured::default()
        };
        let selection = select(&contents(&program), &Target::new(0, &config).expect("a target"));
        assert_eq!(selection.trouble.as_deref(), trouble, "{arguments}");
    }
}

#[test]
fn what_is_no_program_is_refused_with_a_reason() {
    let directory = directory();
    let file = directory.path().join("file");
    let program = compile(&directory, "shop", SHOP, &[]);
    let whole = fs::read(&program).expect("the program");
    let error = |bytes: &[u8]| {
        fs::write(&file, bytes).expect("written");
        Contents::read(&file, &file, Path::new("/")).expect_err("it is none").to_string()
    };
    assert_eq!(error(b"#!/bin/sh\n"), "it is no ELF file");
    assert_eq!(error(b""), "it is no ELF file");
    let mut small = whole.clone();
    small[4] = 1;
    assert_eq!(error(&small), "it is a program of 32 bits");
    assert_eq!(error(&whole[..whole.len() / 2]), "it is malformed: it ends before its contents");
    let directory = Contents::read(Path::new("/"), Path::new("/"), Path::new("/")).expect_err("a directory");
    assert_eq!(directory.to_string(), "it is no regular file");
}

/// Bits of a real program turned over: whatever is made of it, nothing breaks.
#[test]
fn damaged_programs_are_read_or_refused() {
    let directory = directory();
    let program = compile(&directory, "libshop.so", SHOP, &["-shared", "-fPIC"]);
    let whole = fs::read(&program).expect("the program");
    let mut random = 1_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    for round in 0..400 {
        let mut bytes = whole.clone();
        for _ in 0..=next(6) {
            // Headers are where damage tells.
            let at = match round % 4 {
                0 => next(bytes.len()),
                1 => next(64),
                2 => 64 + next(600),
                _ => bytes.len() - 1 - next(2000),
            };
            bytes[at] ^= 1 << next(8);
        }
        fs::write(&program, &bytes).expect("written");
        if let Ok(found) = Contents::read(&program, &program, Path::new("/")) {
            let target = Target::new(0, &target(&program, &["*"])).expect("a target");
            let len = bytes.len() as u64;
            assert!(select(&found, &target).spots.iter().all(|spot| spot.offset < len), "round {round}");
        }
    }
}

#[test]
fn a_plan_follows_replaced_files_and_services_that_start() {
    let directory = directory();
    let program = compile(&directory, "gait-shop", SHOP, &[]);
    let sleeper = compile(
        &directory,
        "gait-sleeper",
        "#include <unistd.h>\n__attribute__((noinline)) int nap(int s) { return sleep(s); }\nint main() { return nap(30); }",
        &[],
    );
    let service = Configured {
        service: Some("gait-sleeper".to_owned()),
        include: vec!["nap".parse().expect("a glob")],
        ..Configured::default()
    };
    let targets = [target(&program, &["shop_pay"]), service];
    let mut plan = Plan::new(&targets).expect("targets");
    let mut now = Instant::now();
    let mut refresh = |plan: &mut Plan| {
        let change = plan.refresh(now);
        now += INTERVAL;
        change
    };
    let names = |points: &[Arc<Point>]| -> Vec<(String, Kind)> {
        points.iter().map(|point| (point.function.name.clone(), point.key.kind)).collect()
    };
    let of = |name: &str| vec![(name.to_owned(), Kind::Return), (name.to_owned(), Kind::Enter)];

    let change = refresh(&mut plan);
    assert_eq!((names(&change.add), change.remove.len()), (of("gait-shop:shop_pay"), 0));
    assert_eq!(plan.points().count(), 2);
    assert_eq!(refresh(&mut plan), Change::default(), "nothing has changed");

    // A new version under the same path.
    let old = change.add[0].key.file;
    let next = compile(&directory, "next", &SHOP.replace("100", "200"), &[]);
    fs::rename(&next, &program).expect("renamed");
    let change = refresh(&mut plan);
    assert_eq!(names(&change.add), of("gait-shop:shop_pay"));
    assert_eq!(names(&change.remove), of("gait-shop:shop_pay").into_iter().rev().collect::<Vec<_>>());
    assert!(change.remove.iter().all(|point| point.key.file == old));
    assert!(change.add.iter().all(|point| point.key.file != old && point.path == program));

    // A service that starts, goes on under a new version of its file, and ends.
    let mut child = Command::new(&sleeper).spawn().expect("started");
    let deadline = Instant::now() + Duration::from_secs(10);
    let change = loop {
        let change = refresh(&mut plan);
        if !change.add.is_empty() || Instant::now() > deadline {
            break change;
        }
    };
    assert_eq!(names(&change.add), of("gait-sleeper:nap"));
    let first = change.add[0].key.file;
    fs::copy(&sleeper, directory.path().join("copy")).expect("copied");
    fs::rename(directory.path().join("copy"), &sleeper).expect("renamed");
    let change = refresh(&mut plan);
    assert_eq!(names(&change.add), of("gait-sleeper:nap"), "the new file, from its first call");
    assert_eq!(change.remove, [], "the old file is still run");
    child.kill().expect("killed");
    child.wait().expect("reaped");
    let change = refresh(&mut plan);
    assert!(
        change.remove.len() == 2 && change.remove.iter().all(|point| point.key.file == first),
        "{change:?}"
    );
    assert_eq!(plan.points().count(), 4);
}

#[test]
fn a_library_of_a_running_service_is_found_by_name() {
    let directory = directory();
    let library = compile(&directory, "libgaitshop.so.3", SHOP, &["-shared", "-fPIC"]);
    let source = "#include <dlfcn.h>\n#include <unistd.h>\nint main(int c, char **v) { dlopen(v[1], RTLD_NOW); return sleep(30); }";
    let program = compile(&directory, "gait-loader", source, &["-ldl"]);
    let config = Configured {
        binary: Some("libgaitshop.so*".to_owned()),
        service: Some("gait-loader".to_owned()),
        include: vec!["shop_pay".parse().expect("a glob")],
        ..Configured::default()
    };
    let mut plan = Plan::new(&[config]).expect("a target");
    let mut child = Command::new(&program).arg(&library).spawn().expect("started");
    let (mut now, deadline) = (Instant::now(), Instant::now() + Duration::from_secs(10));
    while plan.points().count() == 0 && Instant::now() < deadline {
        plan.refresh(now);
        now += INTERVAL;
    }
    child.kill().expect("killed");
    child.wait().expect("reaped");
    let point = plan.points().next().expect("found in the process's map");
    assert_eq!((point.function.name.as_str(), &point.path), ("libgaitshop.so:shop_pay", &library));
}

#[test]
fn bounds_are_kept_and_counted() {
    let directory = directory();
    let source: String = (0..40).map(|n| format!("int many_{n:02}(int a) {{ return a + {n}; }}\n")).collect();
    let library = compile(&directory, "libmany.so", &source, &["-shared", "-fPIC"]);
    let config = Configured { max_functions: 10, ..target(&library, &["many_*"]) };
    let selection = select(&contents(&library), &Target::new(0, &config).expect("a target"));
    assert_eq!((selection.followed.len(), selection.beyond), (10, 30));
    assert_eq!(selection.followed[9], "libmany.so:many_09", "in order of their names");
}

/// What the configuration asks of each function is taken where it is, and what cannot be taken is said.
#[test]
fn values_and_rules_are_for_the_functions_that_they_name() {
    let directory = directory();
    let program = compile(&directory, "shop", SHOP, &[]);
    let value = |of: &str, form: &str, functions: &[&str]| super::values::Value {
        of: of.parse().expect("a value"),
        form: form.parse().expect("a type"),
        functions: functions.iter().map(|glob| glob.parse().expect("a glob")).collect(),
        hash: false,
    };
    let mut configured = target(&program, &["shop_*"]);
    configured.success = Some("ret >= 0".parse().expect("a rule"));
    configured.success_functions = vec!["shop_pay".parse().expect("a glob")];
    configured.values = vec![
        value("arg1", "i32", &[]),
        value("ret", "i64", &["shop_c*"]),
        value("arg2", "i32", &["shop_tax"]),
        value("arg1", "u8", &["shop_tax"]),
        value("arg3", "i32", &["shop_tax"]),
        value("arg4", "i32", &["shop_tax"]),
        value("arg5", "i32", &["shop_tax"]),
    ];
    let target = Target::new(0, &configured).expect("a target");
    let selection = select(&contents(&program), &target);
    let shown: Vec<String> =
        selection.values.iter().map(|(function, value)| format!("{function} {value}")).collect();
    assert_eq!(
        shown,
        [
            "shop:shop_cart arg1 as i32",
            "shop:shop_cart ret as i64",
            "shop:shop_pay arg1 as i32",
            "shop:shop_tax arg1 as i32",
            "shop:shop_tax arg2 as i32",
            "shop:shop_tax arg3 as i32",
            "shop:shop_tax arg4 as i32",
        ]
    );
    let refused = [
        "arg1 of shop_tax is asked for twice; the first one counts",
        "arg5 of shop_tax is beyond 4 arguments of one function",
    ];
    assert_eq!(selection.values_refused, refused);
    assert_eq!(selection.ruled, 1);
    for spot in &selection.spots {
        let returns = spot.values.iter().any(|value| value.which == super::values::Which::Return);
        assert!(!returns || !spot.kind.enters(), "{spot:?}");
        assert_eq!(spot.function.success.is_some(), spot.function.name == "shop:shop_pay");
    }
    for (key, alter) in [
        ("success_functions", (|wrong| wrong.success = None) as fn(&mut Configured)),
        ("values", |wrong| wrong.values.push(wrong.values[0].clone())),
        ("values", |wrong| wrong.values[0].form = super::values::Form::Text),
    ] {
        let mut wrong = configured.clone();
        alter(&mut wrong);
        assert_eq!(Target::new(0, &wrong).expect_err(key).0, key);
    }
}
