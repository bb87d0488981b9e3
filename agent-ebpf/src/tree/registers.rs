//! The registers of the traced thread, as far as the machines differ.
#![expect(
    unexpected_cfgs,
    reason = "the build names the kernel's machine to this crate and to aya_ebpf alike"
)]

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user};
use aya_ebpf::{EbpfContext, bindings::pt_regs};
use gait_common::wire::tree::point::{CONSTANT, MEMORY, NO_REGISTER, Place, REGISTER};

/// Bytes that a return takes off the stack.
#[cfg(bpf_target_arch = "x86_64")]
const RETURN_BYTES: u64 = 8;
#[cfg(not(bpf_target_arch = "x86_64"))]
const RETURN_BYTES: u64 = 0;

#[inline(always)]
fn registers(ctx: &impl EbpfContext) -> *const pt_regs {
    ctx.as_ptr().cast()
}

/// The stack pointer.
#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn stack_pointer(ctx: &impl EbpfContext) -> u64 {
    // SAFETY: the context is the registers.
    unsafe { (*registers(ctx)).rsp }
}

/// The stack pointer.
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
pub(crate) fn stack_pointer(ctx: &impl EbpfContext) -> u64 {
    // SAFETY: the context is the registers.
    unsafe { (*registers(ctx)).sp }
}

/// The stack pointer that the call which has just returned was entered with.
#[inline(always)]
pub(crate) fn entry_stack_pointer(ctx: &impl EbpfContext) -> u64 {
    stack_pointer(ctx).wrapping_sub(RETURN_BYTES)
}

/// The register with the return value.
#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn return_value(ctx: &impl EbpfContext) -> u64 {
    // SAFETY: the context is the registers.
    unsafe { (*registers(ctx)).rax }
}

/// The register with the return value.
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
pub(crate) fn return_value(ctx: &impl EbpfContext) -> u64 {
    // SAFETY: the context is the registers.
    unsafe { (*registers(ctx)).regs[0] }
}

/// The low half of the address that a call which begins will return to.
#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn link(ctx: &impl EbpfContext) -> u16 {
    user_word(stack_pointer(ctx)) as u16
}

/// The low half of the address that a call which begins will return to.
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
pub(crate) fn link(ctx: &impl EbpfContext) -> u16 {
    // SAFETY: the context is the registers.
    unsafe { (*registers(ctx)).regs[30] as u16 }
}

/// A word of the traced process, 0 if it cannot be read.
#[inline(always)]
fn user_word(address: u64) -> u64 {
    let mut word = 0_u64;
    // SAFETY: the helper leaves a zero where the address cannot be read.
    unsafe { bpf_probe_read_user((&raw mut word).cast(), 8, address as *const _) };
    word
}

/// The value of an argument, which is a pointer; 0 if it cannot be read.
///
/// No `Option` here and below: the verifier takes offence at the value that none of them does not have.
#[inline(always)]
pub(crate) fn argument(ctx: &impl EbpfContext, place: &Place) -> u64 {
    let found = locate(ctx, place);
    if place.kind == MEMORY { user_word(found) } else { found }
}

/// The value of an argument, or its address if it is in memory.
#[inline(always)]
pub(crate) fn locate(ctx: &impl EbpfContext, place: &Place) -> u64 {
    let displacement = place.displacement as u64;
    if place.kind == CONSTANT {
        return displacement;
    }
    let value = register(ctx, place.register);
    if place.kind == REGISTER {
        return value;
    }
    let mut address = value.wrapping_add(displacement);
    if place.index != NO_REGISTER {
        address = address.wrapping_add(register(ctx, place.index) << (place.scale & 3));
    }
    address
}

/// A register by its offset.
#[inline(always)]
fn register(ctx: &impl EbpfContext, offset: u16) -> u64 {
    let mut value = 0_u64;
    // SAFETY: the helper reads what it can; the agent gives offsets inside the registers.
    unsafe {
        let at = ctx.as_ptr().cast::<u8>().add(usize::from(offset & 0x1ff));
        bpf_probe_read_kernel((&raw mut value).cast(), 8, at.cast());
    }
    value
}
