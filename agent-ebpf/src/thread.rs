//! Which thread works on a connection: the one that last received from its socket.

use aya_ebpf::{
    bindings::bpf_sock,
    helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid},
    programs::BtfTracePointContext,
};

use crate::{
    maps::{CONNECTIONS, stored},
    tree::{maps::trees, tie},
};

/// Remembers the thread, if it received something from a followed connection.
#[inline(always)]
pub(crate) fn received(ctx: &BtfTracePointContext) {
    if ctx.arg::<i32>(1) <= 0 {
        return;
    }
    let socket: *mut bpf_sock = ctx.arg(0);
    let Some(connection) = stored(&CONNECTIONS, socket) else { return };
    let thread = bpf_get_current_pid_tgid();
    // SAFETY: the kernel frees the value no sooner than the program has ended.
    unsafe {
        if (*connection).thread != thread {
            if let Ok(comm) = bpf_get_current_comm() {
                (*connection).comm = core::mem::transmute::<[u8; 16], [u64; 2]>(comm);
            }
            (*connection).thread = thread;
        }
        if trees() {
            tie::received((*connection).slot.record.cookie);
        }
    }
}
