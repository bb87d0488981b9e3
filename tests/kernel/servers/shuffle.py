"""A cable between two network namespaces that delivers packets out of order: `shuffle.py NAMESPACE`.

Makes the device gaitA here and gaitB in the namespace; every few packets that come together leave in reverse order.
Prints one line when both are up.
"""

import fcntl
import os
import select
import struct
import subprocess
import sys

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001


def device(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN_NO_PI))
    return fd


def run(command):
    subprocess.run(command.split(), check=True)


def together(fd):
    """The packets that come within a moment of the first, four at most."""
    packets = []
    while len(packets) < 4 and select.select([fd], [], [], 0.002)[0]:
        packets.append(os.read(fd, 65536))
    return packets


namespace = sys.argv[1]
here, there = device("gaitA"), device("gaitB")
run(f"ip link set gaitB netns {namespace}")
run("ip addr add 10.252.1.1/24 dev gaitA")
run("ip link set gaitA up")
run("ip route add 10.252.2.0/24 dev gaitA")
run(f"ip -n {namespace} addr add 10.252.2.1/24 dev gaitB")
run(f"ip -n {namespace} link set gaitB up")
run(f"ip -n {namespace} route add 10.252.1.0/24 dev gaitB")
print("up", flush=True)
while True:
    for fd in select.select([here, there], [], [])[0]:
        for packet in reversed(together(fd)):
            os.write(there if fd == here else here, packet)
