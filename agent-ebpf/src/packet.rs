//! Where the TCP payload of a packet lies, and its place in the stream.

use aya_ebpf::{helpers::generated::bpf_skb_load_bytes, programs::SkBuffContext};

use crate::maps::raw;

/// The packet arrives.
pub(crate) const INGRESS: u32 = 0;
/// The packet leaves.
pub(crate) const EGRESS: u32 = 1;

const TCP: u8 = 6;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;

/// A TCP segment inside a packet.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    /// Offset of the payload in the packet.
    pub(crate) payload: u32,
    /// Bytes of payload.
    pub(crate) len: u32,
    /// Sequence number of the first one.
    pub(crate) sequence: u32,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    flags: u8,
    /// Whether this is IPv6.
    pub(crate) v6: bool,
}

impl Segment {
    #[inline(always)]
    pub(crate) fn fin(&self) -> bool {
        self.flags & FIN != 0
    }

    #[inline(always)]
    pub(crate) fn rst(&self) -> bool {
        self.flags & RST != 0
    }
}

/// Loads `T`, plain bytes, from the packet.
#[inline(always)]
pub(crate) fn load<T: Copy + Default>(ctx: &SkBuffContext, offset: u32) -> Option<T> {
    let mut value = T::default();
    // SAFETY: the helper writes exactly the bytes of `value`, for whose types every bit pattern is valid.
    let failed = unsafe {
        bpf_skb_load_bytes(raw(ctx), offset, (&raw mut value).cast(), core::mem::size_of::<T>() as u32)
    };
    (failed == 0).then_some(value)
}

/// Reads the IP and TCP headers; `None` when the packet is not TCP or is a later fragment.
#[inline(always)]
pub(crate) fn parse(ctx: &SkBuffContext) -> Option<Segment> {
    if let Some(tcp) = plain(ctx) {
        return Some(segment(ctx, 20, tcp, false));
    }
    let ip: [u32; 3] = load(ctx, 0)?;
    let version = (ip[0] as u8) >> 4;
    let (offset, v6) = if version == 4 {
        let fragment = u16::from_be((ip[1] >> 16) as u16) & 0x1fff;
        let protocol = (ip[2] >> 8) as u8;
        if protocol != TCP || fragment != 0 {
            return None;
        }
        (u32::from(ip[0] as u8 & 15) * 4, false)
    } else if version == 6 {
        (skip_extensions(ctx, (ip[1] >> 16) as u8)?, true)
    } else {
        return None;
    };
    Some(segment(ctx, offset, load(ctx, offset)?, v6))
}

/// The TCP header of a packet as nearly all are: IPv4 without options, unfragmented, headers in one piece. Reads it in
/// place, which costs less than two helpers.
#[inline(always)]
fn plain(ctx: &SkBuffContext) -> Option<[u32; 4]> {
    // SAFETY: the verifier knows these fields as the packet's bounds, and that all that is read lies between them.
    unsafe {
        let start = (*ctx.skb.skb).data as usize;
        let end = (*ctx.skb.skb).data_end as usize;
        if start + 40 > end {
            return None;
        }
        let ip = start as *const u32;
        let (first, second, third) = (*ip, *ip.add(1), *ip.add(2));
        let fragment = u16::from_be((second >> 16) as u16) & 0x3fff;
        if first as u8 != 0x45 || fragment != 0 || (third >> 8) as u8 != TCP {
            return None;
        }
        Some([*ip.add(5), *ip.add(6), *ip.add(7), *ip.add(8)])
    }
}

/// The segment behind the TCP header `tcp` at `offset`.
#[inline(always)]
fn segment(ctx: &SkBuffContext, offset: u32, tcp: [u32; 4], v6: bool) -> Segment {
    let header = u32::from((tcp[3] as u8) >> 4) * 4;
    let payload = offset + header;
    let flags = (tcp[3] >> 8) as u8;
    Segment {
        payload,
        len: ctx.len().saturating_sub(payload),
        // A SYN has a number of its own, before its payload's.
        sequence: u32::from_be(tcp[1]).wrapping_add(u32::from(flags & SYN != 0)),
        source_port: u16::from_be(tcp[0] as u16),
        destination_port: u16::from_be((tcp[0] >> 16) as u16),
        flags,
        v6,
    }
}

/// Offset of the TCP header behind the common IPv6 extension headers.
#[inline(always)]
fn skip_extensions(ctx: &SkBuffContext, first: u8) -> Option<u32> {
    let mut next = first;
    let mut offset = 40;
    for _ in 0..4 {
        match next {
            TCP => return Some(offset),
            // Hop-by-hop, routing and destination options: next header, length in eights beyond the first.
            0 | 43 | 60 => {
                let extension: [u8; 2] = load(ctx, offset)?;
                next = extension[0];
                offset += (u32::from(extension[1]) + 1) * 8;
            }
            _ => return None,
        }
    }
    (next == TCP).then_some(offset)
}

/// Source and destination address, IPv4 in its v6-mapped form.
#[inline(always)]
pub(crate) fn addresses(ctx: &SkBuffContext, v6: bool) -> Option<([u32; 4], [u32; 4])> {
    if v6 {
        Some((load(ctx, 8)?, load(ctx, 24)?))
    } else {
        let pair: [u32; 2] = load(ctx, 12)?;
        let mapped = |address| [0, 0, 0xffff_u32.to_be(), address];
        Some((mapped(pair[0]), mapped(pair[1])))
    }
}
