#!/bin/busybox sh
# The first program of the guest: puts this machine's own files, read-only below a layer of memory, in the root's place,
# and runs the command there. MODULES, COMMAND: filled in by xtask.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod "$module"; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose host /low || $b poweroff -f
$b mount -t tmpfs -o size=60% layer /layer
$b mkdir /layer/upper /layer/work
$b mount -t overlay -o lowerdir=/low,upperdir=/layer/upper,workdir=/layer/work root /root || $b poweroff -f
for dir in proc sys dev; do $b mkdir -p /root/$dir && $b mount --move /$dir /root/$dir; done
$b mkdir -p /root/dev/pts /root/dev/shm /root/lib/modules
$b mount -t devpts devpts /root/dev/pts
$b mount -t tmpfs shm /root/dev/shm
# The kernel asks for what it lacks by this name; its modules are not those of the machine's own kernel.
$b cp $b /root/sbin/modprobe
$b mount --bind "/low@MODULES@" /root/lib/modules
$b mount -t tracefs tracefs /root/sys/kernel/tracing
$b mount -t bpf bpf /root/sys/fs/bpf
$b mount -t cgroup2 cgroup /root/sys/fs/cgroup
$b ip link set lo up
$b chroot /root /bin/sh -c "$($b cat /command)"
echo "guest: ended with $?"
$b poweroff -f
