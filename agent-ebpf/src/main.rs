//! Gait's kernel side: reads HTTP exchanges where their bytes pass the sockets of this host, and codes call trees.
//!
//! No kernel struct read, no patched kernel text. `gait_ingress` and `gait_egress` see every packet of
//! every socket at the root of cgroup v2; `gait_receive` knows the thread that receives; `gait_state` knows when a
//! connection has ended. What a connection has said so far is kept in storage that belongs to its socket
//! ([`maps`]), so it cannot outlive it. No program ever changes or drops a packet.
//!
//! Where functions are followed, a program at their entries and exits codes the call trees ([`tree`]); otherwise it is
//! not even loaded.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    missing_docs,
    unreachable_pub,
    reason = "aya's macros wrap each program in a public function without its documentation"
)]

mod atomic;
mod bound;
mod connection;
mod detect;
mod early;
mod exchange;
mod http;
mod maps;
mod packet;
mod reorder;
mod thread;
mod tree;

use aya_ebpf::{
    macros::{btf_tracepoint, cgroup_skb, uprobe},
    programs::{BtfTracePointContext, ProbeContext, SkBuffContext},
};

/// What a `cgroup_skb` program returns to let the packet pass.
const PASS: i32 = 1;

/// Packets that arrive at a socket.
#[cgroup_skb(ingress)]
pub fn gait_ingress(ctx: SkBuffContext) -> i32 {
    http::packet(&ctx, packet::INGRESS);
    PASS
}

/// Packets that a socket sends.
#[cgroup_skb(egress)]
pub fn gait_egress(ctx: SkBuffContext) -> i32 {
    http::packet(&ctx, packet::EGRESS);
    PASS
}

/// A thread has received from a socket.
#[btf_tracepoint(function = "sock_recv_length")]
pub fn gait_receive(ctx: BtfTracePointContext) -> i32 {
    thread::received(&ctx);
    0
}

/// A TCP socket has changed its state.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn gait_state(ctx: BtfTracePointContext) -> i32 {
    connection::state_changed(&ctx);
    0
}

/// A followed function is entered or left.
#[uprobe]
pub fn gait_point(ctx: ProbeContext) -> u32 {
    tree::reached(&ctx);
    0
}

/// A thread ends.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn gait_thread_end(ctx: BtfTracePointContext) -> i32 {
    tree::thread_ended(&ctx);
    0
}

/// Never runs: the verifier admits no program that could panic.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel lends some helpers to programs under the GPL only; this is dual-licensed with it for that purpose.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
